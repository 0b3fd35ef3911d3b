import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from livermore.market.candle import Candle
from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from warmup.cache.candles import CandleCache, CandleWrite
from warmup.metrics.completeness import GRACE_MS, Completeness, Measured, measure

EXCHANGE = 7
M1, H1, D1 = Timeframe.M1, Timeframe.H1, Timeframe.D1
NOW = D1.floor(1_790_000_123_456)
SYMBOLS = ["BTC-USD", "ETH-USD"]


@pytest.fixture
def fill(redis):
    """Store 100 periods of a pair and what of them is covered, counted back from now."""
    cache = CandleCache(redis, EXCHANGE)

    def fill(symbol, timeframe, *covered, candles=100):
        times = [NOW - (n + 1) * timeframe.ms for n in range(candles)]
        rows = [Candle(time, 10.0, 12.0, 9.0, 11.0, 1.0, timeframe) for time in times]
        spans = tuple((NOW - a * timeframe.ms, NOW - b * timeframe.ms) for a, b in covered)
        cache.write_many([CandleWrite(symbol, timeframe, rows, spans)])

    return fill


@pytest.fixture
def found(redis):
    return lambda now_ms=NOW: measure(redis, EXCHANGE, SYMBOLS, now_ms)


def test_a_cache_that_was_warmed_a_moment_ago_lacks_nothing(fill, found):
    for symbol, timeframe in itertools.product(SYMBOLS, LONGEST_FIRST):
        fill(symbol, timeframe, (100, 0))
    for complete in found().values():
        assert (complete.pairs, complete.holed, complete.stale) == (2, 0, 0)
        assert (complete.missing_periods, complete.ratio) == (0, 1.0)


def test_an_empty_cache_has_nothing_but_holes(redis, found):
    assert found()[M1] == Completeness(2, 2, 0, 0, 196, 196 * M1.ms, 196 * M1.ms)
    assert found()[M1].ratio == 0


def test_a_hole_is_told_from_what_is_only_late(fill, found):
    fill("BTC-USD", M1, (100, 60), (50, 0))
    fill("ETH-USD", M1, (100, 7))
    complete = found()[M1]
    assert (complete.holed, complete.stale, complete.missing_periods) == (1, 1, 15)
    assert complete.ratio == pytest.approx(1 - 15 / 196)
    assert found()[H1].holed == 2


def test_a_hole_with_stale_candles_after_it_is_a_hole(fill, found):
    fill("BTC-USD", M1, (100, 60), (50, 5))
    fill("ETH-USD", M1, (100, 0))
    assert (found()[M1].holed, found()[M1].stale) == (1, 0)


def test_what_closed_a_moment_ago_is_not_missed_yet(fill, found):
    for symbol in SYMBOLS:
        fill(symbol, M1, (100, 0))
    late = NOW + M1.ms + GRACE_MS
    assert found(late - 1)[M1].stale == 0
    assert found(late)[M1].stale == 2


def test_coverage_of_candles_that_are_gone_is_not_believed(fill, found):
    for symbol in SYMBOLS:
        fill(symbol, M1, (100, 0), candles=0)
    assert found()[M1].holed == 2


def test_an_exchange_without_symbols_lacks_nothing(redis):
    assert measure(redis, EXCHANGE, [], NOW)[M1].ratio == 1


def test_it_is_measured_once_in_fifteen_seconds(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("warmup.metrics.completeness.time.monotonic", lambda: now[0])
    measured, counted = Measured(), itertools.count()
    asked = [measured.of(1, lambda: next(counted)), measured.of(1, lambda: next(counted))]
    now[0] += 14.9
    asked.append(measured.of(1, lambda: next(counted)))
    assert asked == [0, 0, 0]
    assert measured.of(2, lambda: next(counted)) == 1
    now[0] += 0.1
    assert measured.of(1, lambda: next(counted)) == 2


def test_who_asks_while_it_is_measured_waits_for_that():
    measured, counted = Measured(), itertools.count()
    begun, go_on = threading.Event(), threading.Event()

    def slowly():
        begun.set()
        assert go_on.wait(10)
        return next(counted)

    with ThreadPoolExecutor() as threads:
        first = threads.submit(measured.of, 1, slowly)
        assert begun.wait(10)
        others = [threads.submit(measured.of, 1, lambda: next(counted)) for _ in range(3)]
        assert threads.submit(measured.of, 2, lambda: "another").result(10) == "another"
        assert not any(each.done() for each in others)
        go_on.set()
        assert [each.result(10) for each in (first, *others)] == [0, 0, 0, 0]


def test_what_failed_is_measured_again():
    measured = Measured()
    with pytest.raises(ZeroDivisionError):
        measured.of(1, lambda: 1 // 0)
    assert measured.of(1, lambda: "found") == "found"
