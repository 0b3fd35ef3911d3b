"""What counts as known of a pair."""

import asyncio
import time
from dataclasses import replace

import pytest

from livermore.market.candle import Candle
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.candles.cached import Cached
from serving.candles.clocks import Clocks
from serving.memory.windows import Windows
from serving.reading import CacheReader
from tests.serving.conftest import ROW
from tests.warmup.runners import wait_until
from warmup.cache.candles import CandleCache
from warmup.cache.unconfirmed import EMPTY, TRADED, Unconfirmed, settled_empty

M1 = Timeframe.M1
BEGIN = 1_795_046_400_000
LAG_MS = 5 * M1.ms


def stretch(first, last, seen, reason=EMPTY):
    """Return bars `[first, last)`, told so `seen` bars after the beginning."""
    return Unconfirmed(*(BEGIN + at * M1.ms for at in (first, last)), reason, BEGIN + seen * M1.ms)


def test_an_exchange_that_may_be_late_has_not_told_that_a_bar_is_empty():
    assert settled_empty((stretch(0, 1, 2),), M1, LAG_MS) == ()
    assert settled_empty((stretch(0, 10, 10),), M1, LAG_MS) == ((BEGIN, BEGIN + 5 * M1.ms),)


def test_what_was_told_empty_late_enough_is_as_known_as_it_can_be():
    assert settled_empty((stretch(0, 1, 6),), M1, LAG_MS) == ((BEGIN, BEGIN + M1.ms),)
    assert settled_empty((stretch(0, 1, 6, TRADED),), M1, LAG_MS) == ()


def test_what_one_answer_told_to_be_empty_is_known_once_the_exchange_is_no_longer_late(redis):
    bars = [Candle(BEGIN + at * M1.ms, 100.5, 102.0, 99.0, 101.0, 0.5, M1) for at in range(5)]
    cache = CandleCache(redis, ROW.exchange_id)
    until_ms = BEGIN + 5 * M1.ms
    cache.write("BTC-USD", M1, bars, ((BEGIN, until_ms),), (stretch(5, 12, 12),))
    window = Windows(redis).read(replace(ROW, lag_ms=LAG_MS), Pair("BTC-USD", M1))
    assert window.coverage == ((BEGIN, BEGIN + 7 * M1.ms),)


class Several:
    """Pairs of an exchange in Redis, and windows of them."""

    def __init__(self, redis):
        self.redis = redis
        self.cache = CandleCache(redis, ROW.exchange_id)
        self.pairs = [Pair(f"{base}-USD", M1) for base in "ABC"]
        for pair in self.pairs:
            self.close(pair, 0)
        self.windows = Windows(redis)

    def close(self, pair, at, volume=0.5):
        bar = Candle(BEGIN + at * M1.ms, 100.5, 102.0, 99.0, 101.0, volume, M1)
        self.cache.write(*pair, [bar], ((bar.timestamp, bar.close_time_ms),))

    def show(self, pair, volume):
        opened_ms = M1.floor(int(time.time() * 1000))
        bar = Candle(opened_ms, 100.5, 102.0, 99.0, 101.0, volume, M1)
        self.cache.set_live(pair.symbol, bar)


@pytest.fixture
def several(redis):
    found = Several(redis)
    found.windows.start()
    wait_until(lambda: found.windows.kept(ROW.exchange_id, found.pairs[0]) or read_all(found))
    yield found
    found.windows.close()


def read_all(several):
    """Read all windows, and return whether they are kept: while nothing is told none is."""
    for pair in several.pairs:
        several.windows.read(ROW, pair)
    return all(several.windows.kept(ROW.exchange_id, pair) for pair in several.pairs)


def test_a_window_is_kept_while_nothing_of_its_pair_changes(several):
    first, second, _ = several.pairs
    kept = several.windows.kept(ROW.exchange_id, second)
    several.close(first, 1)
    wait_until(lambda: several.windows.kept(ROW.exchange_id, first) is None)
    assert several.windows.current(ROW, first).times[-1] == BEGIN + M1.ms
    assert several.windows.kept(ROW.exchange_id, second) is kept


def test_what_is_unconfirmed_of_one_pair_costs_no_other_its_window(several):
    first, second, _ = several.pairs
    kept = several.windows.kept(ROW.exchange_id, second)
    several.cache.write(*first, [], (), (stretch(1, 2, 9),))
    wait_until(lambda: several.windows.kept(ROW.exchange_id, second) is None)
    assert several.windows.current(ROW, second) is kept
    exchange = replace(ROW, lag_ms=0)
    known = several.windows.current(exchange, first).coverage
    assert known == ((BEGIN, BEGIN + 2 * M1.ms),)


def test_as_many_windows_are_kept_as_have_room_those_that_were_asked_for_last(several, monkeypatch):
    first, _, third = several.pairs
    assert several.windows.kept(ROW.exchange_id, first)
    size = len(several.windows.kept(ROW.exchange_id, first).rows.text)
    monkeypatch.setattr("serving.memory.windows.MOST_BYTES", int(2.5 * 3 * size))
    several.windows.read(ROW, third)
    kept = [several.windows.kept(ROW.exchange_id, each) is not None for each in several.pairs]
    assert kept == [True, False, True]


def test_open_candles_that_were_asked_for_lately_are_read_together(several):
    first, second, third = several.pairs
    for pair in several.pairs:
        several.show(pair, 1.5)
    for pair in (first, second):  # the second is asked for while the first is read
        assert several.windows.kept_live(ROW.exchange_id, pair) == (False, None)
    assert several.windows.read_live(ROW.exchange_id, first).volume == 1.5
    was_read, candle = several.windows.kept_live(ROW.exchange_id, second)
    assert was_read
    assert candle.volume == 1.5
    assert several.windows.kept_live(ROW.exchange_id, third) == (False, None)


def test_what_is_still_new_enough_is_not_read_with_others(several, monkeypatch):
    monkeypatch.setattr("serving.memory.windows.LIVE_SECONDS", 60.0)
    first, second, _ = several.pairs
    several.show(first, 1.5)
    several.windows.kept_live(ROW.exchange_id, first)
    several.windows.read_live(ROW.exchange_id, first)
    several.show(first, 2.5)
    several.windows.read_live(ROW.exchange_id, second)
    assert several.windows.kept_live(ROW.exchange_id, first)[1].volume == 1.5


def test_an_open_candle_that_is_soon_too_old_is_read_while_it_is_still_shown(several, monkeypatch):
    monkeypatch.setattr("serving.memory.windows.LIVE_SECONDS", 60.0)
    monkeypatch.setattr("serving.memory.windows.AHEAD_SECONDS", 60.0)
    first, *_ = several.pairs
    several.show(first, 1.5)

    async def read():
        cached = Cached(several.windows, Clocks(several.redis), CacheReader())
        found = [(await cached.live(ROW, first)).volume]
        several.show(first, 2.5)
        while found[-1] == 1.5 and len(found) < 500:
            found.append((await cached.live(ROW, first)).volume)
            await asyncio.sleep(0.01)
        return found

    found = asyncio.run(read())
    assert found[:2] == [1.5, 1.5]
    assert found[-1] == 2.5


def test_who_asks_for_an_open_candle_while_others_are_read_disturbs_nobody(several, monkeypatch):
    first, second, third = several.pairs
    several.show(first, 1.5)
    for pair in (first, second):
        several.windows.kept_live(ROW.exchange_id, pair)
    is_due = several.windows.is_live_due

    def asked_meanwhile(number, pair):
        if pair == second:
            several.windows.kept_live(number, third)
        return is_due(number, pair)

    monkeypatch.setattr(several.windows, "is_live_due", asked_meanwhile)
    assert several.windows.read_live(ROW.exchange_id, first).volume == 1.5
