"""Asks a server by processes of their own, and tells what they found."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from benchmarks.programs.helper import Helper

PROGRAM = "benchmarks.programs.http_load"
ANSWERED = {"200"}


@dataclass(frozen=True, slots=True)
class Found:
    """What a load found out, and what it cost itself; `octets` are those of an answer."""

    per_second: float
    seconds: float
    statuses: dict[str, int]
    octets: float
    p50: float
    p99: float
    slowest: float
    own_micros: float
    own_share: float

    @property
    def answers(self) -> int:
        return sum(self.statuses.values())

    @property
    def failed(self) -> int:
        return sum(count for status, count in self.statuses.items() if status not in ANSWERED)

    def check(self) -> "Found":
        """Return this. Raises AssertionError where an answer was none."""
        assert self.statuses and not self.failed, f"not all was answered: {self.statuses}"
        return self


def flat(port: int, paths: Sequence[str], connections: int, seconds: float) -> Found:
    """Ask for the next one wherever there is an answer."""
    return _ask(port, paths, connections, "flat", seconds).check()


def paced(
    port: int, paths: Sequence[str], connections: int, seconds: float, per_second: float
) -> Found:
    """Ask for so many in a second, whatever becomes of those before."""
    return _ask(port, paths, connections, "paced", seconds, per_second).check()


def once(port: int, paths: Sequence[str], connections: int) -> Found:
    """Let each of so many ask for all of them once, until it has them."""
    return _ask(port, paths, connections, "once")


@contextlib.contextmanager
def lines(texts: Sequence[str]) -> Iterator[Path]:
    """Keep lines in a file as long as the block lasts."""
    with tempfile.NamedTemporaryFile("w", prefix="paths-", delete=False) as file:
        file.write("\n".join(texts))
    path = Path(file.name)
    try:
        yield path
    finally:
        path.unlink()


def _ask(port: int, paths: Sequence[str], connections: int, how: str, *numbers: float) -> Found:
    with (
        lines(paths) as file,
        Helper(PROGRAM, port, file, connections, how, *numbers) as helper,
    ):
        found = orjson.loads(helper.word)
    return Found(
        found["perSecond"],
        found["seconds"],
        found["statuses"],
        found["octets"],
        found["p50"],
        found["p99"],
        found["slowest"],
        found["ownMicros"],
        found["ownShare"],
    )
