import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchanges.candle_reply import CandleReply, number
from livermore.market.coverage import missing
from livermore.market.timeframe import Timeframe

M = 60_000
T = 1_790_000_100_000  # a whole minute
END = T + 10 * M
NOW = END + 20_000  # the bar that opened at END is the open one


def values(row, timeframe):
    return (float(row[1]),) * 4 + (1.0, timeframe)


def reply():
    """Return a collector of rows `(time, price)`."""
    return CandleReply(Timeframe.M1, lambda row: row[0], values)


def collect(*pages, window=(T - 100 * M, T + 100 * M), now_ms=NOW):
    collector = reply()
    for page in pages:
        collector.add_page(page, *window)
    return collector.result(T, END, now_ms)


def rows(*minutes, price=5):
    return [(T + minute * M, price) for minute in minutes]


def times(candles):
    return [(candle.timestamp - T) // M for candle in candles]


def covered(candles):
    """Return the minutes that are covered."""
    return [n for start, end in candles.covered for n in range((start - T) // M, (end - T) // M)]


def reasons(candles):
    return [line.partition(":")[0] for line in candles.refused]


def test_rows_become_candles_and_their_whole_range_is_covered():
    got = collect(rows(0, 1, 2))
    assert times(got) == [0, 1, 2]
    assert {candle.timeframe for candle in got} == {Timeframe.M1}
    assert got.covered == ((T, END),)
    assert (got.refused, got.open_candle, got.runs_ahead) == ([], None, False)


def test_an_empty_answer_covers_its_range():
    assert collect().covered == collect([]).covered == ((T, END),)


def test_pages_may_come_in_any_order():
    assert times(collect(rows(4, 5), rows(0, 1))) == [0, 1, 4, 5]


def test_a_row_that_two_pages_share_is_taken_once_and_silently():
    got = collect(rows(4, 5), rows(3, 4))
    assert times(got) == [3, 4, 5]
    assert (got.refused, got.covered) == ([], ((T, END),))


# What lies beyond the range


def test_the_newest_row_of_the_bar_that_is_open_now_comes_apart():
    got = collect(rows(8, 9, 10))
    assert times(got) == [8, 9]
    assert times([got.open_candle]) == [10]
    assert not got.runs_ahead


def test_a_bar_that_is_over_but_not_settled_is_neither_closed_nor_open():
    got = collect(rows(8, 9, 10), now_ms=NOW + M)
    assert times(got) == [8, 9]
    assert got.open_candle is None
    assert (got.refused, got.covered) == ([], ((T, END),))


def test_a_candle_before_the_range_is_left_out():
    got = collect(rows(-2, -1, 0))
    assert times(got) == [0]
    assert got.refused == []


def test_a_row_that_opens_after_now_tells_that_the_clock_is_behind():
    got = collect(rows(8, 9, 10, 11))
    assert got.runs_ahead
    assert times([got.open_candle]) == [11]
    assert got.refused == []


def test_a_row_from_the_far_future_is_refused_and_is_not_the_open_candle():
    got = collect(rows(8, 9, 10, 13))
    assert got.runs_ahead
    assert times([got.open_candle]) == [10]
    assert reasons(got) == ["opens in the future"]
    assert covered(got) == [8, 9]


@pytest.mark.parametrize("alien", [-1, 3])
def test_a_row_outside_of_what_was_asked_for_is_refused(alien):
    got = collect(rows(*sorted([0, 1, 2, alien])), window=(T, T + 2 * M))
    assert times(got) == covered(got) == [0, 1, 2]
    assert reasons(got) == ["outside of what was asked for"]


def test_a_page_that_comes_again_in_place_of_the_next_replaces_and_covers_nothing():
    collector = reply()
    collector.add_page(rows(0, 1, 2, 3, 4), T, T + 4 * M)
    collector.add_page(rows(0, 1, 2, 3, 4, price=9), T + 5 * M, T + 9 * M)
    got = collector.result(T, END, NOW)
    assert {candle.open for candle in got} == {5}
    assert covered(got) == [0, 1, 2, 3, 4]
    assert len(got.refused) == 5


# Twice and out of order


def test_a_row_that_comes_twice_is_counted_and_keeps_its_time():
    got = collect(rows(0, 1, 1, 2))
    assert times(got) == covered(got) == [0, 1, 2]
    assert reasons(got) == ["out of order, or comes twice"]


def test_two_prices_for_one_time_leave_it_unknown():
    got = collect([(T, 5), (T + M, 6), (T + M, 7), (T + 2 * M, 5)])
    assert times(got) == [0, 1, 2]
    assert covered(got) == [0, 2]
    assert reasons(got) == ["out of order, or comes twice"]


def test_a_row_out_of_order_is_refused_and_its_time_stays_unknown():
    got = collect(rows(0, 2, 1, 3))
    assert times(got) == covered(got) == [0, 2, 3]
    assert reasons(got) == ["out of order, or comes twice"]


# Bad rows


@pytest.mark.parametrize("price", ["nan", "inf", "-inf", "0", "-1", "n/a", None, "", [], {}])
def test_after_a_bad_value_only_the_times_of_the_good_candles_are_known(price):
    got = collect([*rows(0), (T + M, price), *rows(2)])
    assert times(got) == covered(got) == [0, 2]
    assert len(got.refused) == 1


def test_after_a_time_off_the_boundary_only_those_of_the_good_candles_are_known():
    got = collect([*rows(0), (T + M + 7000, 5), *rows(2)])
    assert times(got) == covered(got) == [0, 2]


@pytest.mark.parametrize(
    "time", [T // 1000, T * 1000, T * 10**6, float(T), str(T), True, None, -T, 10**400]
)
def test_a_time_that_is_none_leaves_all_but_the_good_candles_unknown(time):
    got = collect([*rows(0), (time, 5), *rows(2)])
    assert times(got) == covered(got) == [0, 2]


@pytest.mark.parametrize("row", [None, 1, "", (), (T,), {}, {"time": T}])
def test_a_row_without_its_fields_is_refused(row):
    got = collect([*rows(0), row, *rows(2)])
    assert times(got) == covered(got) == [0, 2]
    assert len(got.refused) == 1


def test_what_is_distrusted_is_not_covered():
    collector = reply()
    collector.add_page(rows(0, 1), T, END)
    collector.distrust(T + 2 * M, T + 99 * M)
    assert collector.result(T, END, NOW).covered == ((T, T + 2 * M),)


def test_what_is_distrusted_is_not_covered_though_it_has_a_candle():
    collector = reply()
    collector.add_page([*rows(0, 1), None], T, END)
    collector.distrust(T + M, T + 2 * M)
    assert covered(collector.result(T, END, NOW)) == [0]


def test_a_long_row_is_clipped_in_the_line_that_refuses_it():
    (line,) = collect([(T, "x" * 100_000)]).refused
    assert len(line) < 500


BAD = st.sampled_from([None, "nan", "0", "-1", "junk"])


@given(st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(1, 3) | BAD), max_size=15))
def test_whatever_comes_no_row_is_lost_uncounted_and_no_bad_time_is_covered(told):
    got = collect([(T + minute * M, price) for minute, price in told])
    assert times(got) == sorted(set(times(got)))
    assert len(got) + len(got.refused) == len(told)
    known, candle_at = set(covered(got)), dict(zip(times(got), got, strict=True))
    if got.refused:
        assert known <= set(candle_at)
    else:
        assert missing(got.covered, T, END) == ()
    for minute, price in told:
        if minute in known and isinstance(price, int):
            assert candle_at[minute].open == price


# Decimals


@pytest.mark.parametrize(
    ("text", "value"), [("0.01634790", 0.0163479), ("0", 0.0), ("66312", 66312.0), ("1e-7", 1e-7)]
)
def test_a_decimal_string_is_a_number(text, value):
    assert number(text) == value


@pytest.mark.parametrize("told", [1, 1.5, True, None, [], b"1", "1_000", "", "n/a"])
def test_anything_but_a_decimal_string_is_no_number(told):
    with pytest.raises((TypeError, ValueError)):
        number(told)
