from collections.abc import Iterator, Sequence
from dataclasses import replace

from redis import Redis

from benchmarks.fixtures.bench import Bench
from benchmarks.fixtures.candles import newest
from benchmarks.measurement import Measurement
from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CANDLES_KEPT, CandleCache, CandleWrite

SYMBOLS = 200
TARGET_MB = 150
MB = 1_000_000
SETS = 100  # pairs, full
# How Redis keeps sorted sets: the longest that stays a list, which is searched from its beginning,
# and how long a member of it may be. First what we have, which is Redis's own default.
WAYS = {"128": "64", "1024": "192"}
ENTRIES, VALUE = "zset-max-listpack-entries", "zset-max-listpack-value"


def measure(bench: Bench) -> Iterator[Measurement]:
    # A new process counts the peak of the one it was forked from as its own: nothing is warmed
    # in this one, which therefore stays smaller than the command.
    with bench.sandbox(SYMBOLS) as sandbox:
        exchange, _ = bench.exchange(SYMBOLS, sandbox.url)
        _, idle, _ = bench.manage("warmup", "--help")
        seconds, peak, _ = bench.manage("warmup", exchange.name)
        assert sandbox.candle_calls() >= 6 * SYMBOLS
    what = f"peak memory, warmup of {SYMBOLS} symbols x 6"
    note = f"the command took {seconds:.3g} s with process start"
    yield Measurement(what, peak / MB, "MB", TARGET_MB, note)
    yield Measurement("of which a command that does nothing", idle / MB, "MB")
    ten = newest(Timeframe.M1, CANDLES_KEPT + 1)
    six = [replace(each, columns=None) for each in ten]
    for entries, value in WAYS.items():
        for numbers, candles in (("six", six), ("ten", ten)):
            yield from _candles(bench.redis, entries, value, numbers, candles)


def _candles(
    redis: Redis, entries: str, value: str, numbers: str, candles: Sequence[Candle]
) -> Iterator[Measurement]:
    """Measure full sets, and what a close and a read of them take of Redis's time."""
    redis.flushdb()
    redis.config_set(ENTRIES, entries)
    redis.config_set(VALUE, value)
    symbols = [f"S{number}-USD" for number in range(SETS)]
    cache = CandleCache(redis, 1)
    cache.write_many(CandleWrite(each, Timeframe.M1, candles[:-1]) for each in symbols)
    name = keys.candles(1, symbols[0], Timeframe.M1)
    octets = redis.memory_usage(name, samples=0) / CANDLES_KEPT
    way = f"{ENTRIES} {entries}"
    what = f"a candle of {numbers} numbers in Redis, {CANDLES_KEPT:,} a pair"
    yield Measurement(what, octets, "bytes", note=way)
    seconds = _server_seconds(redis)
    cache.write_many(CandleWrite(each, Timeframe.M1, candles[-1:]) for each in symbols)
    micros = 1e6 * (_server_seconds(redis) - seconds) / SETS
    yield Measurement("a close into one that is full, Redis's time", micros, "µs", note=way)
    seconds = _server_seconds(redis)
    for symbol in symbols:
        cache.newest(symbol, Timeframe.M1, 100)
    micros = 1e6 * (_server_seconds(redis) - seconds) / SETS
    yield Measurement("the newest 100 of it, Redis's time", micros, "µs", note=way)


def _server_seconds(redis: Redis) -> float:
    used = redis.info("cpu")
    return used["used_cpu_user"] + used["used_cpu_sys"]
