"""What is asked for candles: `serve`, and a plain view of the same cache."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from benchmarks.fixtures.bench import free_port
from benchmarks.fixtures.processes import used_by
from benchmarks.serving.cores import Cores
from livermore.running.children import Child, Children

HEALTH = "/health/"


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    port: int
    pid: int

    def memory_bytes(self) -> int:
        return used_by(self.pid).memory_bytes

    def cpu_seconds(self) -> float:
        return used_by(self.pid).cpu_seconds


@contextlib.contextmanager
def serve(cores: Cores) -> Iterator[Running]:
    """Run `serve`, as it is when nothing is set, on a core of its own."""
    with _running(cores, "serve", ["manage", "serve", "--port"], HEALTH) as running:
        yield running


@contextlib.contextmanager
def plain_view(cores: Cores) -> Iterator[Running]:
    """Run a Django view that answers the same of the same cache, on that core."""
    application = "benchmarks.plain.candle_view:application"
    arguments = ["daphne", "-b", "127.0.0.1", application, "-p"]
    with _running(cores, "view", arguments, "/") as running:
        yield running


@contextlib.contextmanager
def _running(cores: Cores, name: str, arguments: list[str], path: str) -> Iterator[Running]:
    """Run what takes its port as the last argument."""
    port, children = free_port(), Children(print)
    log = Path(tempfile.gettempdir()) / f"{name}.log"
    child = Child(
        name, [*arguments, str(port)], f"http://127.0.0.1:{port}{path}", log, settings.BASE_DIR
    )
    try:
        with cores.one():
            children.start(child)
        yield Running(port, child.pid)
    finally:
        children.stop()
