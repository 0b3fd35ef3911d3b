"""What following costs: rounds of all pairs of many symbols, with news and without."""

import time
from collections.abc import Iterator
from pathlib import Path

import orjson

from benchmarks.fixtures.bench import Bench
from benchmarks.history.candles import row, rows
from benchmarks.measurement import Measurement
from history import parquet
from history.following.follower import HistoryFollower
from history.manifest import digest_of
from history.models import HistoryFile, KeptHistory, PairHistory
from history.months import Month
from history.places.folder import Folder
from history.store.store import HistoryStore
from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.pair import pairs_of
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CandleCache, CandleWrite

SYMBOLS, INTERVAL_SECONDS = 500, 600
ROWS_BEFORE = 100  # of the cache, which a comparison reads
MOST_MB, MB = 300, 1_000_000
# A round in a process of its own, as the service does them; nobody is asked for candles.
ROUND = """
from django_redis import get_redis_connection
from exchanges.models import Exchange
from history.following.follower import HistoryFollower
from history.memory import share_one_heap

share_one_heap()
exchange = Exchange.objects.get(name="sandbox")
follower = HistoryFollower(get_redis_connection("default"), exchange)
follower._fill = lambda *_: None
follower.step()
"""


def measure(bench: Bench, place: Folder, candles: list[Candle]) -> Iterator[Measurement]:
    exchange, symbols = bench.exchange(SYMBOLS)
    now_ms = Timeframe.D1.floor(int(1000 * time.time())) - Timeframe.D1.ms
    start_ms = now_ms - 14 * Timeframe.D1.ms  # the middle of a month, as it were
    exchange.symbols.update(is_monitored=True)  # those that came later wait for somebody
    pairs = pairs_of(symbols)
    _have_history(exchange, place, pairs, candles, (start_ms, now_ms))
    KeptHistory.objects.create(
        exchange=exchange, since=time.strftime("%Y-%m-%d", time.gmtime(start_ms / 1000))
    )
    cache = CandleCache(bench.redis, exchange.pk)
    for pair in pairs:
        first_ms = now_ms - ROWS_BEFORE * pair.timeframe.ms
        _cache_and_tell(bench, cache, exchange.pk, pair, rows(candles, pair, first_ms, now_ms))
    ran = bench.manage("shell", "--verbosity=0", "-c", ROUND)
    what = f"comparing {len(pairs):,} pairs x {ROWS_BEFORE} candles, nothing new"
    note = f"{ran.seconds:.1f} s, process start and all"
    yield Measurement(what, ran.cpu_seconds, "s of a core", note=note)
    yield Measurement("the most memory of that", ran.memory_bytes / MB, "MB", MOST_MB)
    follower = HistoryFollower(bench.redis, exchange)
    follower._fill = lambda *_: None  # nobody is asked
    later_ms = now_ms + 1000 * INTERVAL_SECONDS
    for pair in pairs:
        news = rows(candles, pair, now_ms, pair.timeframe.floor(later_ms))
        _cache_and_tell(bench, cache, exchange.pk, pair, news)
    what = f"a round after {INTERVAL_SECONDS} s of {SYMBOLS} symbols x 6"
    yield _round(what, follower)
    known = HistoryStore(place, exchange).coverages()
    assert all(known[pair][0][-1][1] == pair.timeframe.floor(later_ms) for pair in pairs)
    yield _round("a round without news", follower)


def _round(what: str, follower: HistoryFollower) -> Measurement:
    began, used = time.perf_counter(), time.process_time()
    follower.step()
    used = time.process_time() - used
    note = f"{100 * used / INTERVAL_SECONDS:.1f} % of a core; {time.perf_counter() - began:.1f} s"
    return Measurement(what, used, "s of a core", note=note)


def _have_history(exchange, place, pairs, candles, stretch) -> None:
    """Give each pair a history of the stretch: the same files for all of a timeframe."""
    PairHistory.objects.all().delete()
    common = {"store": place.id(), "exchange": exchange}
    for timeframe in Timeframe:
        start_ms, end_ms = timeframe.ceil(stretch[0]), timeframe.floor(stretch[1])
        contents = _contents(candles, timeframe, start_ms, end_ms)
        names = [pair.symbol for pair in pairs if pair.timeframe is timeframe]
        common |= {"timeframe": timeframe, "coverage": [(start_ms, end_ms)]}
        found = PairHistory.objects.bulk_create(
            PairHistory(**common, symbol=symbol) for symbol in names
        )
        HistoryFile.objects.bulk_create(
            HistoryFile(
                pair=pair, month=str(month), rows=count, size=len(content),
                path=_put(place, f"{pair.symbol}/{timeframe}/{month}.parquet", content),
                digest=digest_of(content),
            )
            for pair in found for month, count, content in contents
        )  # fmt: skip


def _contents(candles, timeframe, start_ms, end_ms) -> list[tuple[Month, int, bytes]]:
    by_month: dict[Month, list[parquet.Row]] = {}
    for time_ms in range(start_ms, end_ms, timeframe.ms):
        by_month.setdefault(Month.of(time_ms), []).append(row(candles, time_ms))
    return [
        (month, len(found), parquet.dump(parquet.table_of(found)))
        for month, found in by_month.items()
    ]


def _put(place: Folder, path: str, content: bytes) -> str:
    """Put a file there without waiting for the disk, as `write` does."""
    file = Path(str(place)) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return path


def _cache_and_tell(bench, cache, exchange_id, pair, found) -> None:
    if not found:
        return
    closed = [Candle.of_values(each, pair.timeframe) for each in found]
    covered = ((closed[0].timestamp, closed[-1].close_time_ms),)
    cache.write_many([CandleWrite(*pair, closed, covered)])
    pipe = bench.redis.pipeline(transaction=False)
    for each in found:
        event = {"symbol": pair.symbol, "timeframe": pair.timeframe, "timestamp": each[0]}
        pipe.xadd(keys.events(exchange_id), {"event": orjson.dumps(event)})
    pipe.execute()
