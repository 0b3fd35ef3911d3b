"""Bars that nobody marks as closed: concluded from what else comes, and never from too little."""

import pytest

from exchanges.stream.events import CandleUpdate, Concluded, Revised
from exchanges.stream.unmarked import GRACE_MS, MOST_CONCLUDED, UnmarkedBars
from livermore.market.candle import LATEST_MS, Candle
from livermore.market.timeframe import MINUTE_MS, Timeframe

M1 = Timeframe.M1
HOUR_MS = 1_790_002_800_000  # 2026-09-21 15:00 UTC


def at(minute):
    return HOUR_MS + minute * MINUTE_MS


def bar(minute, close=10.0, volume=1.5):
    return Candle(at(minute), 10.0, max(10.0, close), min(10.0, close), close, volume, M1)


def flat(minute, price):
    return Candle(at(minute), price, price, price, price, 0.0, M1)


def ended(events):
    return [each.candle for each in events if isinstance(each, Concluded)]


@pytest.fixture
def bars():
    """Return bars of a connection on which BTC was shown in its first minute."""
    bars = UnmarkedBars()
    bars.shown("BTC", bar(0, 11.0))
    return bars


def test_a_later_bar_closes_the_one_before_as_it_was_shown_last(bars):
    assert ended(bars.shown("BTC", bar(0, 12.0, 2.0))) == []
    events = bars.shown("BTC", bar(1))
    assert ended(events) == [bar(0, 12.0, 2.0)]
    assert events[-1] == CandleUpdate("BTC", bar(1), closed=False)


def test_minutes_of_which_nothing_came_lie_flat_between_two_that_traded(bars):
    events = bars.shown("BTC", bar(3))
    assert ended(events) == [bar(0, 11.0), flat(1, 11.0), flat(2, 11.0)]


def test_the_time_closes_bars_once_it_is_far_enough_beyond_them(bars):
    bars.shown("ETH", bar(0))
    assert bars.time(at(1) + GRACE_MS - 1) == []
    assert ended(bars.time(at(1) + GRACE_MS)) == [bar(0, 11.0), bar(0)]
    assert bars.time(at(1) + GRACE_MS + 1) == []
    assert ended(bars.time(at(3) + GRACE_MS)) == [
        *(flat(1, 11.0), flat(2, 11.0)),
        *(flat(1, 10.0), flat(2, 10.0)),
    ]


def test_the_minute_in_which_a_subscription_began_is_left_to_rest_where_nothing_is_shown_of_it():
    bars = UnmarkedBars()
    assert bars.snapshot("BTC", [bar(0), bar(2, 12.0)], at(5) + 1) == []
    assert ended(bars.time(at(7) + GRACE_MS)) == [flat(6, 12.0)]


def test_the_bar_that_is_open_as_a_subscription_begins_is_whole():
    bars = UnmarkedBars()
    assert bars.snapshot("BTC", [bar(0), bar(5)], at(5) + 1)[-1].candle == bar(5)
    assert ended(bars.time(at(6) + GRACE_MS)) == [bar(5)]


def test_of_a_symbol_that_was_never_shown_nothing_is_concluded():
    bars = UnmarkedBars()
    assert bars.snapshot("BTC", [], at(0)) == []
    assert bars.time(at(60)) == []


def test_a_bar_that_was_told_and_is_shown_as_another_one_is_revised(bars):
    bars.time(at(1) + GRACE_MS)
    assert bars.shown("BTC", bar(0, 11.0)) == []  # the same again
    assert bars.shown("BTC", bar(0, 12.0, 2.0)) == [Revised("BTC", at(0))]
    assert bars.shown("BTC", bar(0, 12.0, 2.0)) == []


def test_a_server_that_is_behind_changes_nothing(bars):
    bars.shown("BTC", bar(0, 12.0, 2.0))
    bars.shown("BTC", bar(0, 11.0, 1.8))  # as it was before
    assert ended(bars.shown("BTC", bar(1))) == [bar(0, 12.0, 2.0)]
    assert bars.shown("BTC", bar(0, 11.0, 1.8)) == []


def test_what_was_concluded_since_it_was_shown_last_is_revised_with_it(bars):
    bars.shown("BTC", bar(1))
    bars.time(at(9) + GRACE_MS)  # nothing came, though it traded from the third minute on
    bars.pause("BTC")
    rows = [bar(0, 11.0), bar(1), bar(7, 12.0)]
    assert Revised("BTC", at(2)) in bars.snapshot("BTC", rows, at(9))


def test_where_more_was_traded_than_a_snapshot_tells_all_is_revised_since_it_was_shown(bars):
    bars.time(at(9) + GRACE_MS)
    bars.pause("BTC")
    assert bars.snapshot("BTC", [bar(10), bar(20)], at(30)) == [Revised("BTC", at(0))]


def test_a_subscription_made_anew_goes_on_where_nothing_was_missed(bars):
    bars.time(at(2) + GRACE_MS)
    bars.pause("BTC")
    assert bars.time(at(4) + GRACE_MS) == []
    assert ended(bars.snapshot("BTC", [bar(0, 11.0)], at(4))) == []
    assert ended(bars.time(at(4) + GRACE_MS)) == [flat(2, 11.0), flat(3, 11.0)]


def test_a_deaf_subscription_is_found_out_once_it_is_made_anew(bars):
    bars.time(at(3) + GRACE_MS)  # nothing came, though it traded
    bars.pause("BTC")
    events = bars.snapshot("BTC", [bar(0, 11.0), bar(1, 13.0), bar(4)], at(4) + 1)
    assert [each for each in events if isinstance(each, Revised)] == [Revised("BTC", at(1))]
    assert ended(events) == [flat(3, 13.0)]


def test_where_too_much_may_have_been_missed_it_begins_anew(bars):
    bars.pause("BTC")
    bars.snapshot("BTC", [bar(40), bar(50, 12.0)], at(55))
    assert ended(bars.time(at(57) + GRACE_MS)) == [flat(56, 12.0)]


def test_an_open_bar_is_shown_while_a_subscription_is_made_anew(bars):
    bars.pause("BTC")
    assert bars.shown("BTC", bar(7)) == [CandleUpdate("BTC", bar(7), closed=False)]


def test_where_a_frame_is_missing_nothing_is_concluded_of_what_was_open(bars):
    bars.lost()
    assert bars.time(at(9) + GRACE_MS) == []
    bars.shown("BTC", bar(9))
    assert ended(bars.time(at(10) + GRACE_MS)) == [bar(9)]


def test_what_lies_further_apart_than_frames_can_is_left_to_rest(bars):
    far = MOST_CONCLUDED + 2
    assert bars.time(at(far) + GRACE_MS) == []
    assert ended(bars.shown("BTC", bar(far))) == []
    assert ended(bars.time(at(far + 1) + GRACE_MS)) == [bar(far)]


def test_a_bar_of_a_time_that_has_not_come_closes_nothing_before_it(bars):
    assert ended(bars.shown("BTC", bar(30_000_000))) == []
    assert bars.time(LATEST_MS - 1) == []


def test_what_is_shown_of_the_minute_in_which_a_subscription_began_is_taken():
    bars = UnmarkedBars()
    bars.snapshot("BTC", [bar(0), bar(4, 12.0)], at(5) + 1)
    assert bars.shown("BTC", bar(5, 13.0))[-1] == CandleUpdate("BTC", bar(5, 13.0), closed=False)
    assert ended(bars.time(at(7) + GRACE_MS)) == [bar(5, 13.0), flat(6, 13.0)]


def test_a_bar_that_is_shown_late_behind_the_snapshot_gives_its_price_to_what_follows():
    bars = UnmarkedBars()
    bars.snapshot("BTC", [bar(0), bar(4, 12.0)], at(5) + 1)
    assert bars.shown("BTC", bar(4, 13.0, 2.0)) == [Revised("BTC", at(4))]
    assert ended(bars.time(at(7) + GRACE_MS)) == [flat(6, 13.0)]


def test_what_a_connection_told_before_it_was_cut_is_held_against_the_next_ones_snapshot(bars):
    bars.shown("BTC", bar(1))
    bars.time(at(4) + GRACE_MS)  # nothing came, though it traded
    next_one = UnmarkedBars()
    next_one.go_on_from(bars)
    assert next_one.time(at(6) + GRACE_MS) == []
    events = next_one.snapshot("BTC", [bar(0, 11.0), bar(1), bar(3, 13.0), bar(6)], at(6) + 1)
    assert [each for each in events if isinstance(each, Revised)] == [Revised("BTC", at(2))]
    assert ended(events) == [flat(4, 13.0), flat(5, 13.0)]


def test_what_was_told_long_ago_is_not_doubted(bars):
    bars.time(at(9) + GRACE_MS)
    bars.pause("BTC")
    rows = [bar(MOST_CONCLUDED + 20), bar(MOST_CONCLUDED + 30)]
    assert bars.snapshot("BTC", rows, at(MOST_CONCLUDED + 40)) == []
