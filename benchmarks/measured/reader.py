import json
import os
import subprocess
import sys
from collections.abc import Iterator

from django.conf import settings

from benchmarks.fixtures.bench import Bench
from benchmarks.measurement import Measurement
from benchmarks.serving.exchange import ServedExchange
from exchanges.redis.directory import publish_exchanges
from livermore.market.timeframe import Timeframe

SYMBOLS = 500
TARGETS = {"candles": 3, "panel": 120, "freshness": 15, "import": 80}  # ms


def measure(bench: Bench) -> Iterator[Measurement]:
    """Measure the reader in a process of its own, which knows nothing of Livermore."""
    exchange = ServedExchange.of(bench, SYMBOLS)
    exchange.fill([Timeframe.H1])
    publish_exchanges(bench.redis)
    with exchange.streamed():
        for found in _found(exchange):
            at_most = TARGETS.get(found.pop("target"))
            yield Measurement(**found, unit="ms", at_most=at_most)


def _found(exchange: ServedExchange) -> list[dict]:
    program = settings.BASE_DIR / "benchmarks/programs/reading.py"
    done = subprocess.run(
        [sys.executable, program, settings.REDIS_URL, exchange.name],
        env=os.environ | {"PYTHONPATH": str(settings.BASE_DIR / "reader")},
        capture_output=True,
        text=True,
    )
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)
