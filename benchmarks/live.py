"""A stream on its way into Redis as a running exchange has it, and what is measured of it."""

import contextlib
import gc
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
from django.conf import settings
from redis import Redis

from benchmarks.helper import Helper
from exchanges.errors import Unreachable
from exchanges.lock.acquire import ExchangeLock
from exchanges.rest.clock import ExchangeClock
from exchanges.rest.reply import QuietBars
from exchanges.stream.events import Clock, Event
from exchanges.stream.streamer import Streamer
from exchanges.venues.binance.stream import BinanceSession, BinanceStream
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from livermore.running.embedded_redis import socket_path
from warmup.live.sink import CandleSink

SYMBOLS = 500
PAIRS = SYMBOLS * len(Timeframe)
NATIVE = {f"S{number:03d}-USD": f"S{number:03d}USD" for number in range(SYMBOLS)}
SECONDS_TO_CONNECT = 30


class CountingSession(BinanceSession):
    """Counts the frames that are parsed, those that no newer one has replaced; knows the time."""

    parsed = 0
    time_ms = 0

    def parse(self, frame: bytes) -> list[Event]:
        CountingSession.parsed += 1
        events = super().parse(frame)
        if events and isinstance(events[0], Clock):
            CountingSession.time_ms = events[0].time_ms
        return events


class HastyStream(BinanceStream):
    """Binance's stream, but it connects and subscribes without the pauses that are due there."""

    limits = replace(
        BinanceStream.limits, seconds_between_messages=0.02, seconds_between_connects=0.1
    )

    def session(self) -> CountingSession:
        return CountingSession(self._symbols, self.limits)


class NoRest:
    """An exchange that tells the time of its frames, and else can't be asked.

    `asked` counts who tried, for a bar that did not come.
    """

    workers = 1
    quiet_bars = QuietBars.FILLS
    lag_ms = 0

    def __init__(self):
        self.clock = ExchangeClock(self._time_ms)
        self.asked = 0

    @staticmethod
    def _time_ms() -> int:
        if not CountingSession.time_ms:
            raise Unreachable("no frame came yet")
        return CountingSession.time_ms

    def get_candles(self, *_pair, **_options):
        self.asked += 1
        raise Unreachable("nothing is asked of it here")


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used and done until now."""

    at: float
    cpu_seconds: float
    redis_cpu_seconds: float
    frames: int
    parsed: int
    resident_bytes: int


class Live:
    """One exchange that streams into Redis, until `end`."""

    def __init__(self, redis: Redis, exchange_id: int, feeder: Helper, listener: Helper):
        self._redis = redis
        self._exchange_id = exchange_id
        self._feeder = feeder
        self._listener = listener
        self._rest = NoRest()
        self._lease = ExchangeLock(redis, exchange_id).acquire()
        self._lease.start()
        self._sink = CandleSink(
            redis, exchange_id, self._rest, self._lease.epoch, self._lease.may_write
        )
        self._streamer = Streamer(
            HastyStream(f"ws://127.0.0.1:{feeder.word}", NATIVE), self._sink, self._rest
        )
        self.delays_ms: list[float] = []
        self.sent = 0

    def start(self) -> None:
        """Connect; returns when all pairs are streamed."""
        gc.collect()
        gc.freeze()  # as the runner does
        self._streamer.start(NATIVE)
        connections = -(-(PAIRS + 1) // HastyStream.limits.topics_per_connection)
        deadline = time.monotonic() + SECONDS_TO_CONNECT
        while self._streamer.counters()["connections"] < connections:
            assert time.monotonic() < deadline, f"not connected: {self._streamer.counters()}"
            self.check()
            time.sleep(0.02)
        assert not self.closes(), "it took too long to connect: something closed meanwhile"

    def usage(self) -> Usage:
        cpu = self._redis.info("cpu")
        return Usage(
            time.monotonic(),
            time.process_time(),
            cpu["used_cpu_user"] + cpu["used_cpu_sys"],
            self._streamer.counters()["frames"],
            CountingSession.parsed,
            resident_bytes(),
        )

    def closes(self) -> int:
        """Return how many closes are in Redis."""
        return self._redis.xlen(keys.events(self._exchange_id))

    def check(self) -> None:
        if self._streamer.error:
            raise self._streamer.error

    def end(self) -> None:
        """Disconnect; what was sent and heard is known then."""
        self.sent = int(self._feeder.end())
        self._streamer.stop()
        self._sink.close()
        self.check()
        self.delays_ms = sorted(orjson.loads(self._listener.end()))

    def astray(self) -> int:
        """Return how many closes were lost, doubled, out of order, not stored, or asked for."""
        told = defaultdict(list)
        for _, fields in self._redis.xrange(keys.events(self._exchange_id)):
            event = orjson.loads(fields[b"event"])
            told[event["symbol"], event["timeframe"]].append(event["timestamp"])
        in_order = sum(len(set(times)) for times in told.values() if times == sorted(set(times)))
        heard = len(self.delays_ms)
        stored = sum(self._redis.zcard(keys.candles(self._exchange_id, *pair)) for pair in told)
        failed = self._rest.asked + self._sink.flush_failures + self._streamer.counters()["lost"]
        return sum(abs(self.sent - count) for count in (in_order, heard, stored)) + failed

    def forget(self) -> None:
        self._lease.release()
        self._redis.flushdb()
        gc.collect()


@contextlib.contextmanager
def live(
    redis: Redis, exchange_id: int, pace: str, lead_seconds: float, closing: Timeframe
) -> Iterator[Live]:
    """Stream an exchange that is fed as `benchmarks.feeder` says, into an empty Redis."""
    path = socket_path(Path(settings.REDIS_URL.removeprefix("unix://").partition("?")[0]).parent)
    pattern = keys.close_channel(exchange_id, "*", "*")
    with (
        Helper("benchmarks.listener", path, pattern) as listener,
        Helper("benchmarks.feeder", pace, lead_seconds, closing) as feeder,
    ):
        streaming = Live(redis, exchange_id, feeder, listener)
        try:
            streaming.start()
            yield streaming
        finally:
            streaming.forget()


def resident_bytes() -> int:
    """Return the memory of this process, where /proc doesn't tell the most it ever had."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except FileNotFoundError:
        return peak_bytes()
    return pages * resource.getpagesize()


def peak_bytes() -> int:
    """Return the most memory that this process had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)
