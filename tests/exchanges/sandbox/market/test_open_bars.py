from hypothesis import given
from hypothesis import strategies as st

from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.market.open_bars import OpenBars
from exchanges.sandbox.symbols import listings
from livermore.market.timeframe import Timeframe

DAY_MS = Timeframe.D1.ms
MINUTE_MS = 60_000
BEGIN_MS = 1_790_000_100_000  # a quarter of an hour begins
LISTED_MS = 1_780_012_860_000
NEW = Listing("NEW-USD", "1.00000", quiet=True, listed_ms=LISTED_MS)
MARKET = Market(7, (*listings(), NEW))
SYMBOLS = st.sampled_from([one.symbol for one in MARKET.listings.values()])
TIMES = st.integers(1_700_000_000_000, 1_900_000_000_000) | st.integers(
    LISTED_MS - DAY_MS, LISTED_MS + DAY_MS
)
STEPS = st.lists(st.integers(0, 4 * 3_600_000) | st.integers(0, 3000), max_size=6)


@given(SYMBOLS, TIMES, STEPS)
def test_open_bars_are_those_of_the_market_at_every_moment(symbol, time_ms, steps):
    symbol_market = MARKET.of(symbol)
    open_bars = OpenBars(symbol_market)
    open_bars.jump_to(time_ms)
    for step in (0, *steps):
        time_ms += step
        open_bars.advance_to(time_ms)
        assert {one: open_bars.bar(one) for one in Timeframe} == {
            one: symbol_market.open_bar(one, time_ms) for one in Timeframe
        }
        day = symbol_market.day_before(time_ms)
        assert open_bars.day() == (day and day._replace(open_ms=open_bars.day().open_ms))


@given(SYMBOLS, TIMES, STEPS)
def test_every_bar_that_ends_on_the_way_is_told_once_whole_and_in_order(symbol, time_ms, steps):
    symbol_market = MARKET.of(symbol)
    open_bars = OpenBars(symbol_market)
    open_bars.jump_to(time_ms)
    told = [closed for step in steps for closed in open_bars.advance_to(open_bars.at_ms + step)]
    for timeframe in Timeframe:
        bars = symbol_market.bars(
            timeframe, timeframe.floor(time_ms), timeframe.floor(open_bars.at_ms)
        )
        assert [bar for one, bar in told if one is timeframe] == bars
    ends = [bar.open_ms + timeframe.ms for timeframe, bar in told]
    assert ends == sorted(ends)


@given(SYMBOLS, TIMES, STEPS)
def test_the_trades_between_two_moments_have_no_gap(symbol, time_ms, steps):
    open_bars = OpenBars(MARKET.of(symbol))
    open_bars.jump_to(time_ms)
    first_id = next_id = open_bars.next_id
    found = []
    for step in steps:
        before_ms = open_bars.at_ms
        open_bars.advance_to(before_ms + step)
        found += open_bars.trades(next_id, before_ms)
        next_id = open_bars.next_id
    if first_id:
        assert [trade.id for trade in found] == list(range(first_id, next_id))


@given(st.integers(0, 14), st.integers(0, 14))
def test_what_was_told_of_halted_minutes_stays_true(halted, traded):
    """Whether they are the first of a bar, the last or all of it."""
    symbol_market = Market(7, listings()).of("ETH-USD")
    open_bars = OpenBars(symbol_market)
    open_bars.jump_to(BEGIN_MS)
    told = open_bars.advance_to(BEGIN_MS + traded * MINUTE_MS)
    symbol_market.halt(open_bars.at_ms)
    told += open_bars.advance_to(open_bars.at_ms + halted * MINUTE_MS)
    symbol_market.resume(open_bars.at_ms)
    told += open_bars.advance_to(BEGIN_MS + 30 * MINUTE_MS)
    for timeframe in (Timeframe.M1, Timeframe.M5, Timeframe.M15):
        bars = symbol_market.bars(timeframe, BEGIN_MS, open_bars.at_ms)
        assert [bar for one, bar in told if one is timeframe] == bars


def test_too_long_a_leap_and_a_step_back_close_nothing():
    symbol_market = MARKET.of("BTC-USD")
    open_bars = OpenBars(symbol_market)
    open_bars.jump_to(1_790_000_000_000)
    assert open_bars.advance_to(1_790_000_000_000 + DAY_MS + 1) == []
    assert open_bars.advance_to(1_790_000_000_000) == []
    assert open_bars.bar(Timeframe.H4) == symbol_market.open_bar(Timeframe.H4, 1_790_000_000_000)
