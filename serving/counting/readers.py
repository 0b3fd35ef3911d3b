"""Who reads through this process: what each has asked for in the last minute."""

import time
from collections import deque
from dataclasses import dataclass, field

from serving.counting.asked import HIT, WAIT
from warmup.network.readers import Reader

SECONDS_SUMMED = 60
SECONDS_REMEMBERED = 3600.0  # for which one who asks no more is shown


@dataclass(slots=True)
class _Second:
    """What was asked in one second."""

    number: int
    requests: int = 0
    hits: int = 0
    answers: int = 0
    slowest: float = 0.0


@dataclass(slots=True)
class _Reading:
    """One API client at one exchange."""

    seconds: deque[_Second] = field(default_factory=deque)
    saved: int = 0
    sockets: int = 0
    seen_at: float = 0.0


class Readers:
    """All readers of one process. Used in the event loop alone."""

    def __init__(self) -> None:
        self._readings: dict[tuple[str, str], _Reading] = {}  # by API client and exchange

    def answered(self, client: str, exchange: str, outcome: str, seconds: float) -> None:
        """Count a request that was answered; `outcome` is that of `Asked`."""
        reading, now = self._reading(client, exchange), time.time()
        if not reading.seconds or reading.seconds[-1].number != int(now):
            reading.seconds.append(_Second(int(now)))
            _forget_old(reading, now)
        second = reading.seconds[-1]
        second.requests += 1
        second.hits += outcome == HIT
        second.answers += bool(outcome)
        second.slowest = max(second.slowest, seconds)
        reading.saved += outcome in (HIT, WAIT)

    def opened(self, client: str, exchange: str) -> None:
        """Count a connection that is open until `closed`."""
        self._reading(client, exchange).sockets += 1

    def closed(self, client: str, exchange: str) -> None:
        self._reading(client, exchange).sockets -= 1

    def current(self) -> tuple[Reader, ...]:
        """Return all of them as of now."""
        now = time.time()
        for which, reading in list(self._readings.items()):
            if not reading.sockets and now - reading.seen_at > SECONDS_REMEMBERED:
                del self._readings[which]
        return tuple(_told(*which, each, now) for which, each in self._readings.items())

    def _reading(self, client: str, exchange: str) -> _Reading:
        reading = self._readings.setdefault((client, exchange), _Reading())
        reading.seen_at = time.time()
        return reading


def _told(client: str, exchange: str, reading: _Reading, now: float) -> Reader:
    _forget_old(reading, now)
    return Reader(
        client,
        exchange,
        requests=sum(each.requests for each in reading.seconds),
        hits=sum(each.hits for each in reading.seconds),
        answers=sum(each.answers for each in reading.seconds),
        saved=reading.saved,
        sockets=reading.sockets,
        slowest_ms=round(1000 * max((each.slowest for each in reading.seconds), default=0)),
        seen_at=int(1000 * (now if reading.sockets else reading.seen_at)),
    )


def _forget_old(reading: _Reading, now: float) -> None:
    while reading.seconds and reading.seconds[0].number <= now - SECONDS_SUMMED:
        reading.seconds.popleft()
