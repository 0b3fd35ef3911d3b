"""Runs a benchmark where nothing of the user's is: a process, a Redis and a database of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson

from benchmarks.measurement import Measurement
from livermore.running import embedded_redis

ROOT = Path(__file__).resolve().parent.parent
GRACE_SECONDS = 10
LINES_SHOWN = 6  # of a traceback, the call in the benchmark and what it met


class BenchmarkError(Exception):
    """A benchmark did not come to its end; the text is the last that it said."""


def run(name: str, thorough: bool = False) -> list[Measurement]:
    """Return what the benchmark found out. Raises BenchmarkError, EmbeddedRedisError."""
    output = output_of("benchmarks.programs.worker", name, *(["thorough"] if thorough else []))
    return [Measurement(**each) for each in orjson.loads(output)]


def output_of(worker: str, name: str, *options: str) -> bytes:
    """Return what a worker's module printed; its arguments: name, its Redis's folder, options.

    Raises BenchmarkError, EmbeddedRedisError.
    """
    with tempfile.TemporaryDirectory(prefix="livermore-bench-") as text:
        folder = Path(text)
        with embedded_redis.ensure_running(folder / "redis") as server:
            environment = _environment(folder, server.url)
            _output_of(["manage", "migrate", "--verbosity=0"], folder, environment)
            arguments = [worker, name, str(server.directory), *options]
            return _output_of(arguments, folder, environment)


def _environment(folder: Path, redis_url: str) -> dict[str, str]:
    usual = {name: text for name, text in os.environ.items() if not name.startswith("LIVERMORE_")}
    return usual | {
        "DJANGO_SETTINGS_MODULE": "livermore.settings",
        "DATABASE_URL": f"sqlite:///{folder / 'livermore.sqlite3'}",
        "REDIS_URL": redis_url,
        "LIVERMORE_SECRET_KEY": "of no use to anybody",
        "LIVERMORE_PRIVATE_EXCHANGE_HOSTS": "127.0.0.1",  # exchanges of this machine, at any port
        "TMPDIR": str(folder),
        "PYTHONPATH": str(ROOT / "reader"),  # which is not installed
    }


def _output_of(arguments: list[str], folder: Path, environment: Mapping[str, str]) -> bytes:
    log = folder / "errors.log"
    with _running(arguments, log, environment) as process:
        output = process.stdout.read()
        if process.wait():
            lines = log.read_text(errors="replace").strip().splitlines()[-LINES_SHOWN:]
            raise BenchmarkError("\n".join([f"it ended with {process.returncode}", *lines]))
    return output


@contextlib.contextmanager
def _running(
    arguments: list[str], log: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen]:
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "livermore.running.run_child", *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,  # closed at its end: it ends when this process is gone
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C must reach us alone, who end it in order
        )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(GRACE_SECONDS)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what it may have started ends with it
