"""The four columns of a bar on their way: kept, told, and no reason to tell a bar again."""

from dataclasses import replace

import pytest

from exchanges.stream.events import CandleUpdate
from livermore.market import keys
from livermore.market.columns import COLUMNS, read_columns
from livermore.market.pair import pairs_of
from tests.warmup.live.sink.played import (
    BTC,
    D1,
    EXCHANGE,
    H1,
    M5,
    M15,
    OPEN,
    PAIR,
    STREAM,
    at,
    bar,
    closed,
    still_open,
)
from tests.warmup.live.sink.seen import events, tick_until
from tests.warmup.live.sink.seen import told as told_bars
from warmup.live.bars import GRACE_MS

TOLD = ("20.5", 3, "4", "8.25")
KNOWN = (20.5, 3, 4.0, 8.25)
COLUMNS_KNOWN = read_columns(TOLD)
NAMED = dict(zip(COLUMNS, KNOWN, strict=True))


def with_columns(update, told=TOLD):
    return CandleUpdate(
        update.symbol, replace(update.candle, columns=told and read_columns(told)), update.closed
    )


def kept(cache):
    return [candle.columns for candle in cache.newest(*PAIR, 10)]


def test_a_close_is_stored_and_told_with_its_columns(redis, sink, cache, listen):
    received = listen(keys.close_channel(EXCHANGE, *PAIR))
    sink.candle(with_columns(closed(0)))
    sink.candle(closed(1))
    sink.tick()
    assert kept(cache) == [KNOWN, None]
    first, second = events(redis)
    assert first == second | {"timestamp": at(0)} | NAMED
    assert list(first)[3:-2] == ["timestamp", "open", "high", "low", "close", "volume", *COLUMNS]
    assert [message for _, message in received()] == [first, second]


def test_a_column_that_cannot_be_read_is_left_out_with_the_others(redis, sink, cache):
    sink.candle(with_columns(closed(0), ("NaN", 3, "4", "8")))
    sink.tick()
    assert kept(cache) == [None]
    assert not NAMED.keys() & events(redis)[0].keys()


def test_an_open_bar_is_shown_with_its_columns(sink, cache, listen):
    received = listen(keys.candle_channel(EXCHANGE, *PAIR))
    sink.clock(at(0) + 20_000)
    sink.candle(with_columns(still_open(0)))
    sink.tick()
    assert cache.live(*PAIR).columns == KNOWN
    ((_, message),) = received()
    assert NAMED.items() <= message.items()


def test_a_healed_bar_has_the_columns_that_rest_tells(redis, sink, cache, rest):
    def tell_columns(found):
        found[:] = [replace(candle, columns=COLUMNS_KNOWN) for candle in found]

    rest.doubt = tell_columns
    sink.clock(at(1) + GRACE_MS)
    tick_until(sink, lambda: told_bars(redis) == [(0, True)])
    assert kept(cache) == [KNOWN]
    assert NAMED.items() <= events(redis)[0].items()


def test_a_row_that_only_gains_columns_is_told_no_second_time(redis, sink, cache):
    sink.candle(closed(0))
    sink.tick()
    before = events(redis)
    cache.write(*PAIR, [replace(bar(0), columns=COLUMNS_KNOWN)], ((at(0), at(1)),))
    sink.repaired(PAIR)
    sink.candle(with_columns(closed(0)))
    sink.tick()
    assert events(redis) == before
    assert kept(cache) == [KNOWN]


def test_one_that_comes_after_tells_of_the_cache_what_is_there(redis, make, cache):
    """Stored and not told: what the holder before did last, or a warmup."""
    sink = make()
    sink.connected([PAIR])
    sink.candle(closed(0))
    sink.tick()
    cache.write(*PAIR, [replace(bar(1), columns=COLUMNS_KNOWN)], ((at(1), at(2)),))
    second = make()
    second.clock(at(2))
    second.connected([PAIR])
    tick_until(second, lambda: told_bars(redis) == [(0, False), (1, True)])
    assert NAMED.items() <= events(redis)[1].items()
    assert kept(cache) == [None, KNOWN]


@pytest.mark.parametrize("is_known", [True, False])
def test_a_longer_open_bar_has_the_sums_where_all_its_parts_have_columns(make, cache, is_known):
    sink = make(rolls_up_from=M5)
    sink.connected(pairs_of([BTC], [M5, M15, H1, D1]))
    sink.candle(with_columns(closed(0, timeframe=M5), TOLD if is_known else None))
    sink.candle(with_columns(still_open(1, timeframe=M5)))
    sink.tick()
    found = cache.live(BTC, M15)
    assert found.volume == STREAM + OPEN
    assert found.columns == ((41.0, 6, 8.0, 16.5) if is_known else None)
