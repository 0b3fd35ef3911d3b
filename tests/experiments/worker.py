"""The process of one experiment: `python -m tests.experiments.worker NAME FOLDER SIZES`.

It prints its outcome as JSON. FOLDER is that of its Redis, SIZES an object of arguments of `run`,
or the word `quick`.
"""

import os
import sys
import tempfile
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import django
import orjson
import redis as redis_client

from livermore.command import ending_signals_raise
from livermore.running import embedded_redis
from tests.experiments.registry import module_of


def main(name: str, folder: str, sizes: str) -> None:
    with ending_signals_raise(), embedded_redis.ensure_running(Path(folder)):
        django.setup()
        experiment = import_module(module_of(name))
        chosen = experiment.QUICK if sizes == "quick" else orjson.loads(sizes)
        with (
            redis_client.Redis.from_url(os.environ["REDIS_URL"]) as redis,
            tempfile.TemporaryDirectory() as own,
        ):
            outcome = experiment.run(redis, Path(own), **chosen)
    sys.stdout.buffer.write(orjson.dumps(asdict(outcome)))


if __name__ == "__main__":
    main(*sys.argv[1:])
