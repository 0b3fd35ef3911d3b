import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import orjson
from django.conf import settings
from django.db import connections

from benchmarks.fixtures.bench import Bench
from benchmarks.measurement import Measurement
from exchanges.adapters import ExchangeAdapterFactory
from exchanges.errors import LivermoreError
from exchanges.models import Exchange
from exchanges.rest.pacing.budget import Lane
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.state import SandboxState
from history import parquet
from history.filling import HistoryFilling
from history.following.follower import HistoryFollower
from history.manifest import digest_of
from history.models import HistoryFile, KeptHistory, PairHistory
from history.months import Month
from history.places.folder import Folder
from history.store import HistoryStore
from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.pair import Pair, pairs_of
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CandleCache, CandleWrite

BYTES_A_CANDLE, MONTH_MS, TWO_YEARS_MS = 30, 15, 400
MONTHS = 24
RUNS = 5
SYMBOLS, INTERVAL_SECONDS = 500, 600
ROWS_BEFORE = 100  # of the cache, which a comparison reads
HEALS = 30
FILLED_SYMBOLS, FILLED_DAYS = 20, 60
FILLED_WEIGHT = 1200  # a minute: the fill has used up its share of it soon, and waits
HEAL_FACTOR = 2  # how much longer a heal may take, at the most, beside what waits
SECONDS_STILL = 3.0
PAIR = Pair("BTC-USD", Timeframe.M1)
START = Month(2024, 1)


def measure(bench: Bench) -> Iterator[Measurement]:
    with tempfile.TemporaryDirectory(prefix="livermore-history-") as text:
        settings.HISTORY = text
        place = Folder(Path(text))
        month = _month_of_minutes()
        yield from _files(bench, place, month)
        yield from _following(bench, place, month)
        yield from _heals_beside_a_fill(bench, place)


def _month_of_minutes() -> list[Candle]:
    """Return a month of a made-up market, every minute of it."""
    config = SandboxConfig(start_ms=START.next.start_ms, speed=0)
    rows = SandboxState(config).market.closed_rows(*PAIR, *START.interval)
    return [Candle.of_values(row, PAIR.timeframe) for row in rows]


def _shifted(candles: list[Candle], start_ms: int, end_ms: int) -> list[Candle]:
    """Return the same candles as those of another time, in turn until its end."""
    times = range(start_ms, end_ms, PAIR.timeframe.ms)
    return [
        Candle(time_ms, *each.values()[1:], each.timeframe, each.columns)
        for time_ms, each in zip(times, [*candles, *candles], strict=False)
    ]


def _files(bench: Bench, place: Folder, candles: list[Candle]) -> Iterator[Measurement]:
    exchange, _ = bench.exchange(1)
    store, months = HistoryStore(place, exchange), [START]
    while len(months) < MONTHS:
        months.append(months[-1].next)
    took = []
    for month in months:
        rows = _shifted(candles, *month.interval)
        began = time.perf_counter()
        store.write(PAIR, rows, (month.interval,))
        took.append(1000 * (time.perf_counter() - began))
    file = HistoryFile.objects.first()
    note = f"{file.rows:,} minutes with ten numbers each, {file.size / 1e6:.2f} MB"
    yield Measurement("bytes of a candle", file.size / file.rows, "", BYTES_A_CANDLE, note)
    yield Measurement("writing that month, new", statistics.median(took), "ms")
    yield _median("reading that month", MONTH_MS, lambda: _read(store, [START]))
    what = f"two years of minutes ({sum(_counts()):,}) as a DataFrame"
    yield _median(what, TWO_YEARS_MS, lambda: _read(store, months).to_pandas())
    after = months[-1].interval
    last = store.read(PAIR, after[1] - PAIR.timeframe.ms, after[1]).rows
    changed = [Candle.of_values([*row[:5], row[5] + 1, *row[6:]], PAIR.timeframe) for row in last]
    began = time.perf_counter()
    store.write(PAIR, changed, ((after[1] - PAIR.timeframe.ms, after[1]),))
    yield Measurement("writing it again for a bar", 1000 * (time.perf_counter() - began), "ms")


def _counts() -> list[int]:
    return list(HistoryFile.objects.values_list("rows", flat=True))


def _read(store: HistoryStore, months: list[Month]):
    parts = store.parts(PAIR, months[0].start_ms, months[-1].next.start_ms)
    return parquet.library().concat_tables([part.table for part in parts])


def _median(what: str, at_most: float, work: Callable[[], object]) -> Measurement:
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        work()
        took.append(1000 * (time.perf_counter() - began))
    note = f"{RUNS} runs, {min(took):.3g} to {max(took):.3g} ms"
    return Measurement(what, statistics.median(took), "ms", at_most, note)


# -- following


def _following(bench: Bench, place: Folder, candles: list[Candle]) -> Iterator[Measurement]:
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
        _cache_and_tell(bench, cache, exchange.pk, pair, _rows(candles, pair, first_ms, now_ms))
    follower = HistoryFollower(bench.redis, exchange)
    follower._fill = lambda *_: None  # nobody is asked
    yield _round(f"comparing {len(pairs):,} pairs x {ROWS_BEFORE} candles, nothing new", follower)
    later_ms = now_ms + 1000 * INTERVAL_SECONDS
    for pair in pairs:
        rows = _rows(candles, pair, now_ms, pair.timeframe.floor(later_ms))
        _cache_and_tell(bench, cache, exchange.pk, pair, rows)
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
                pair=pair, month=str(month), rows=rows, size=len(content),
                path=_put(place, f"{pair.symbol}/{timeframe}/{month}.parquet", content),
                digest=digest_of(content),
            )
            for pair in found for month, rows, content in contents
        )  # fmt: skip


def _contents(candles, timeframe, start_ms, end_ms) -> list[tuple[Month, int, bytes]]:
    by_month: dict[Month, list[parquet.Row]] = {}
    for time_ms in range(start_ms, end_ms, timeframe.ms):
        by_month.setdefault(Month.of(time_ms), []).append(_row(candles, time_ms))
    return [
        (month, len(rows), parquet.dump(parquet.table_of(rows))) for month, rows in by_month.items()
    ]


def _put(place: Folder, path: str, content: bytes) -> str:
    """Put a file there without waiting for the disk, as `write` does."""
    file = Path(str(place)) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return path


def _row(candles: list[Candle], time_ms: int) -> parquet.Row:
    row = candles[time_ms // PAIR.timeframe.ms % len(candles)].row()
    return [time_ms, *row[1:]]


def _rows(candles: list[Candle], pair: Pair, start_ms: int, end_ms: int) -> list[parquet.Row]:
    times = range(pair.timeframe.ceil(start_ms), end_ms, pair.timeframe.ms)
    return [_row(candles, time_ms) for time_ms in times]


def _cache_and_tell(bench, cache, exchange_id, pair, rows) -> None:
    if not rows:
        return
    closed = [Candle.of_values(row, pair.timeframe) for row in rows]
    covered = ((closed[0].timestamp, closed[-1].close_time_ms),)
    cache.write_many([CandleWrite(*pair, closed, covered)])
    pipe = bench.redis.pipeline(transaction=False)
    for row in rows:
        event = {"symbol": pair.symbol, "timeframe": pair.timeframe, "timestamp": row[0]}
        pipe.xadd(keys.events(exchange_id), {"event": orjson.dumps(event)})
    pipe.execute()


# -- beside what heals


def _heals_beside_a_fill(bench: Bench, place: Folder) -> Iterator[Measurement]:
    """Let a fill use up all that its lane may, and heal then, as exchanges that are live do."""
    with bench.sandbox(FILLED_SYMBOLS, weight_limit=FILLED_WEIGHT) as sandbox:
        exchange, symbols = bench.exchange(FILLED_SYMBOLS, sandbox.url)
        alone = statistics.median(_heals(bench, exchange, symbols))
        yield Measurement("a heal, with nothing beside it", alone, "ms", note="the median")
        time.sleep(60)  # until what that used is forgotten
        beside = statistics.median(_beside_a_fill(bench, place, exchange, symbols))
        what = "the same while a fill waits for its share of the weight"
        yield Measurement(what, beside, "ms", HEAL_FACTOR * alone)


def _beside_a_fill(bench, place, exchange, symbols) -> list[float]:
    rest = ExchangeAdapterFactory(bench.redis).rest(exchange)
    now_ms = rest.clock.now_ms()
    stretch = (now_ms - FILLED_DAYS * Timeframe.D1.ms, now_ms)
    filling = HistoryFilling(HistoryStore(place, exchange), rest, symbols, [Timeframe.M1], stretch)

    def fill() -> None:
        with suppress(LivermoreError):  # it is ended when the heals are done
            filling.fill(lambda *_: None)
        connections.close_all()

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    try:
        calls = -1
        while calls < 1 or calls != rest.candle_calls:
            calls = rest.candle_calls
            time.sleep(SECONDS_STILL)
        return _heals(bench, exchange, symbols)
    finally:
        rest.close()
        thread.join(60)


def _heals(bench: Bench, exchange: Exchange, symbols: list[str]) -> list[float]:
    """Fetch the newest minutes of a pair in the lane of heals, again and again."""
    rest = ExchangeAdapterFactory(bench.redis).rest(exchange)
    took = []
    try:
        for number in range(HEALS):
            symbol = symbols[number % len(symbols)]
            began = time.perf_counter()
            rest.get_candles(symbol, Timeframe.M1, limit=5, lane=Lane.HEAL)
            took.append(1000 * (time.perf_counter() - began))
            time.sleep(0.05)
    finally:
        rest.close()
    return took
