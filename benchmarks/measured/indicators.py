import time
from collections.abc import Iterator, Sequence

import orjson

from benchmarks.fixtures.bench import Bench
from benchmarks.fixtures.candles import fill
from benchmarks.fixtures.live import natives
from benchmarks.measurement import Measurement
from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.pair import Pair, pairs_of
from warmup.cache.candles import CandleCache, CandleWrite
from warmup.cache.indicators import IndicatorCache
from warmup.live.indicators import IndicatorFollower

TARGET_SECONDS = 3
ROUNDS = 3


def measure(bench: Bench) -> Iterator[Measurement]:
    exchange, _ = bench.exchange(1)
    symbols = list(natives(500))
    pairs = pairs_of(symbols)
    cache = CandleCache(bench.redis, exchange.pk)
    fill(cache, symbols)
    follower = IndicatorFollower(bench.redis, exchange.pk)
    started, used = time.perf_counter(), time.process_time()
    follower.compute(pairs)
    what = f"MACD-V of {len(pairs):,} pairs x 100 candles, from the cache"
    note = f"{time.process_time() - used:.2f} s of a core"
    yield Measurement(what, time.perf_counter() - started, "s", note=note)
    what = f"{len(pairs):,} closes in the same second, every value written"
    yield from _closes(what, 1, bench, exchange.pk, cache, follower, pairs)
    what = "the same after a gap, so that every pair is read from the cache again"
    yield from _closes(what, 2, bench, exchange.pk, cache, follower, pairs)


def _closes(
    what: str,
    bars: int,
    bench: Bench,
    number: int,
    cache: CandleCache,
    follower: IndicatorFollower,
    pairs: Sequence[Pair],
) -> Iterator[Measurement]:
    """Let a bar of every pair close at once, so many after its last; the follower reads them."""
    newest = {pair: cache.newest(*pair, 1)[0] for pair in pairs}
    seconds, used = [], []
    for _ in range(ROUNDS):
        newest = {pair: _later(candle, bars) for pair, candle in newest.items()}
        _tell(bench, number, newest)
        started, used_before = time.perf_counter(), time.process_time()
        while _behind(bench, number, pairs[-1], newest):
            follower.step()
        seconds.append(time.perf_counter() - started)
        used.append(time.process_time() - used_before)
    note = f"the worst of {ROUNDS}; {max(used):.2f} s of a core"
    yield Measurement(what, max(seconds), "s", TARGET_SECONDS, note)
    values = IndicatorCache(bench.redis, number).read_many(pairs)
    late = sum(
        value["timestamp"] != newest[pair].timestamp
        for pair, value in zip(pairs, values, strict=True)
    )
    yield Measurement(
        "values that stand on an older candle", late, at_most=0, note=f"of {len(pairs):,}"
    )


def _later(candle: Candle, bars: int) -> Candle:
    return Candle(
        candle.timestamp + bars * candle.timeframe.ms, *candle.values()[1:], candle.timeframe
    )


def _tell(bench: Bench, number: int, candles: dict[Pair, Candle]) -> None:
    cache = CandleCache(bench.redis, number)
    cache.write_many(CandleWrite(*pair, [candle]) for pair, candle in candles.items())
    pipe = bench.redis.pipeline(transaction=False)
    for (symbol, timeframe), candle in candles.items():
        names = ("timestamp", "open", "high", "low", "close", "volume")
        event = {"exchangeId": number, "symbol": symbol, "timeframe": timeframe}
        event |= dict(zip(names, candle.values(), strict=True)) | {"closed": True, "healed": False}
        pipe.xadd(keys.events(number), {"event": orjson.dumps(event)})
    pipe.execute()


def _behind(bench: Bench, number: int, last: Pair, newest: dict[Pair, Candle]) -> bool:
    """Tell whether the last close that was told is not computed yet: they are taken in order."""
    value = IndicatorCache(bench.redis, number).read_many([last])[0]
    return value["timestamp"] != newest[last].timestamp
