from hypothesis import given
from hypothesis import strategies as st

from exchanges.sandbox.market.listings import Listing, listings
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.market.ticks import Tape
from livermore.market.timeframe import Timeframe

DAY_MS = Timeframe.D1.ms
LISTED_MS = 1_780_012_860_000
NEW = Listing("NEW-USD", "1.00000", quiet=True, listed_ms=LISTED_MS)
MARKET = Market(7, (*listings(), NEW))
SYMBOLS = st.sampled_from([one.symbol for one in MARKET.listings.values()])
TIMES = st.integers(1_700_000_000_000, 1_900_000_000_000) | st.integers(
    LISTED_MS - DAY_MS, LISTED_MS + DAY_MS
)
STEPS = st.lists(st.integers(0, 4 * 3_600_000) | st.integers(0, 3000), max_size=6)


@given(SYMBOLS, TIMES, STEPS)
def test_a_tape_shows_what_the_book_shows_at_every_moment(symbol, time_ms, steps):
    book = MARKET.book(symbol)
    tape = Tape(book)
    tape.settle(time_ms)
    for step in (0, *steps):
        time_ms += step
        tape.move(time_ms)
        assert {one: tape.bar(one) for one in Timeframe} == {
            one: book.open_bar(one, time_ms) for one in Timeframe
        }
        day = book.day_before(time_ms)
        assert tape.day() == (day and day._replace(open_ms=tape.day().open_ms))


@given(SYMBOLS, TIMES, STEPS)
def test_every_bar_that_ends_on_the_way_is_told_once_whole_and_in_order(symbol, time_ms, steps):
    book = MARKET.book(symbol)
    tape = Tape(book)
    tape.settle(time_ms)
    told = [closed for step in steps for closed in tape.move(tape.at_ms + step)]
    for timeframe in Timeframe:
        bars = book.bars(timeframe, timeframe.floor(time_ms), timeframe.floor(tape.at_ms))
        assert [bar for one, bar in told if one is timeframe] == bars
    ends = [bar.open_ms + timeframe.ms for timeframe, bar in told]
    assert ends == sorted(ends)


@given(SYMBOLS, TIMES, STEPS)
def test_the_trades_between_two_moments_have_no_gap(symbol, time_ms, steps):
    tape = Tape(MARKET.book(symbol))
    tape.settle(time_ms)
    first_id = next_id = tape.next_id
    found = []
    for step in steps:
        before_ms = tape.at_ms
        tape.move(before_ms + step)
        found += tape.trades(next_id, before_ms)
        next_id = tape.next_id
    if first_id:
        assert [trade.id for trade in found] == list(range(first_id, next_id))


def test_too_long_a_leap_and_a_step_back_close_nothing():
    book = MARKET.book("BTC-USD")
    tape = Tape(book)
    tape.settle(1_790_000_000_000)
    assert tape.move(1_790_000_000_000 + DAY_MS + 1) == []
    assert tape.move(1_790_000_000_000) == []
    assert tape.bar(Timeframe.H4) == book.open_bar(Timeframe.H4, 1_790_000_000_000)
