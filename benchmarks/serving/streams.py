"""How long a close takes from Redis to those who listen over WebSocket."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from urllib.parse import quote

import orjson

from benchmarks.fixtures.bench import Bench
from benchmarks.fixtures.candles import newest
from benchmarks.measurement import Measurement
from benchmarks.programs.helper import Helper
from benchmarks.serving.cores import Cores
from benchmarks.serving.exchange import ServedExchange
from benchmarks.serving.load import lines
from benchmarks.serving.servers import serve
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.live.bars import Close
from warmup.live.writing.write_queue import WriteQueue

SYMBOLS, CLIENTS, STREAMS = 100, 200, 20
ROUNDS, SECONDS_BETWEEN = 3, 0.02  # of all symbols, one by one
BURSTS, SECONDS_BETWEEN_BURSTS = 10, 0.5  # all symbols at once
P99_MS = 10
SECONDS_TO_ARRIVE = 1.0


def measure(bench: Bench, cores: Cores) -> Iterator[Measurement]:
    exchange = ServedExchange.of(bench, SYMBOLS)
    with exchange.streamed(), serve(cores) as server:
        yield from measure_at(server.port, exchange)
    bench.redis.flushdb()


def measure_at(port: int, exchange: ServedExchange) -> Iterator[Measurement]:
    """Measure a server that serves this exchange, which is streamed."""
    writer = _Writer(exchange)
    yield from _one_by_one(exchange, port, writer)
    yield from _at_once(exchange, port, writer)


class _Writer:
    """Writes closes of one minute as a runner does, each with the time at which it is written."""

    def __init__(self, exchange: ServedExchange):
        lease = exchange.lease
        self._queue = WriteQueue(exchange.redis, exchange.number, lease.epoch, lease.may_write)
        self._exchange = exchange
        self._bar = newest(Timeframe.M1, 1, exchange.now_ms)[0]

    def write(self, symbols: Sequence[str]) -> None:
        """Close the next bar of each of these."""
        for symbol in symbols:
            bar = replace(self._bar, volume=time.monotonic())
            close = Close(bar, (bar.timestamp, bar.close_time_ms), healed=False)
            self._queue.closes.append((Pair(symbol, Timeframe.M1), close))
        while self._queue.closes:
            assert self._queue.send_closes(self._exchange.now_ms), "nothing can be written"
        assert self._queue.finish(), "it was not written"

    def advance(self) -> None:
        """Go on with the bar behind."""
        self._bar = replace(self._bar, timestamp=self._bar.close_time_ms)


def _one_by_one(exchange: ServedExchange, port: int, writer: _Writer) -> Iterator[Measurement]:
    def write() -> int:
        for _ in range(ROUNDS):
            writer.advance()
            for symbol in exchange.symbols:
                writer.write([symbol])
                time.sleep(SECONDS_BETWEEN)
        return ROUNDS * len(exchange.symbols)

    delays = _delays(exchange, port, write)
    what = f"a close in Redis to {CLIENTS} clients x {STREAMS} streams, one by one"
    yield from _told(what, delays)


def _at_once(exchange: ServedExchange, port: int, writer: _Writer) -> Iterator[Measurement]:
    def write() -> int:
        for _ in range(BURSTS):
            writer.advance()
            writer.write(exchange.symbols)
            time.sleep(SECONDS_BETWEEN_BURSTS)
        return BURSTS * len(exchange.symbols)

    delays = _delays(exchange, port, write)
    yield from _told(f"the same, {len(exchange.symbols)} that close in one moment", delays)


def _told(what: str, delays: Sequence[float]) -> Iterator[Measurement]:
    note = f"of {len(delays):,} frames, the slowest {delays[-1]:.1f} ms"
    yield Measurement(f"{what}: p50", statistics.median(delays), "ms", note=note)
    yield Measurement("its p99", delays[int(0.99 * (len(delays) - 1))], "ms", P99_MS)


def _delays(exchange: ServedExchange, port: int, write: Callable[[], int]) -> Sequence[float]:
    """Return how long each frame took, ascending. Raises AssertionError where one is missing."""
    paths = [_path(exchange, number) for number in range(CLIENTS)]
    with (
        lines(paths) as file,
        Helper("benchmarks.programs.socket_readers", port, file) as readers,
    ):
        time.sleep(SECONDS_TO_ARRIVE)  # until it listens to all that they want
        count = write()
        time.sleep(SECONDS_TO_ARRIVE)
        found = sorted(orjson.loads(readers.end()))
    expected = count * CLIENTS * STREAMS // len(exchange.symbols)
    assert len(found) == expected, f"{len(found):,} closes arrived, of {expected:,}"
    return found


def _path(exchange: ServedExchange, number: int) -> str:
    """Return the address of a client: each has other streams than the one before."""
    words = exchange.words
    mine = [quote(words[(number * STREAMS + at) % len(words)].lower()) for at in range(STREAMS)]
    return f"/{exchange.name}/stream?streams=" + "/".join(f"{each}@kline_1m" for each in mine)
