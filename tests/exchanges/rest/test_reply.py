import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchanges.rest.reply import CandleReply, QuietBars, number, real
from livermore.market.timeframe import Timeframe

M = 60_000
T = 1_790_000_100_000  # a whole minute
END = T + 10 * M
NOW = END + 20_000  # the bar that opened at END is the open one
LAG_MS = 3 * M
FILLS, OMITS = QuietBars.FILLS, QuietBars.OMITS


def values(row, timeframe):
    return (float(row[1]),) * 4 + (1.0, timeframe)


def reply(quiet_bars=OMITS):
    """Return a collector of rows `(time, price)`."""
    return CandleReply(Timeframe.M1, lambda row: row[0], values, quiet_bars, LAG_MS)


def collect(*pages, window=(T - 100 * M, T + 100 * M), now_ms=NOW, quiet_bars=OMITS, known=()):
    collector = reply(quiet_bars)
    for page in pages:
        collector.add_page(page, *window, known)
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


def minutes(coverage):
    return [n for start, end in coverage for n in range((start - T) // M, (end - T) // M)]


def test_rows_become_candles():
    got = collect(rows(0, 1, 2))
    assert times(got) == [0, 1, 2]
    assert {candle.timeframe for candle in got} == {Timeframe.M1}
    assert (got.refused, got.open_candle, got.runs_ahead) == ([], None, False)


def test_rows_that_come_newest_first_are_turned_round():
    collector = CandleReply(
        Timeframe.M1, lambda row: row[0], values, OMITS, LAG_MS, newest_first=True
    )
    collector.add_page(rows(3, 2, 1), T, END)
    collector.add_page(rows(1, 0), T, END)
    got = collector.result(T, END, NOW)
    assert (times(got), covered(got), got.refused) == ([0, 1, 2, 3], [0, 1, 2, 3], [])


@pytest.mark.parametrize(("told", "read"), [(83729.5, 83729.5), (0, 0.0), (0.21155628, 0.21155628)])
def test_a_number_of_json_is_read_as_it_is(told, read):
    assert real(told) == read
    assert type(real(told)) is float


@pytest.mark.parametrize("told", ["1.5", True, None, [1], float("nan"), float("inf"), 10**400])
def test_what_is_no_number_of_json_is_refused(told):
    with pytest.raises((TypeError, ValueError, OverflowError)):
        real(told)


# What an answer proves


@pytest.mark.parametrize("quiet_bars", QuietBars)
def test_an_empty_answer_proves_nothing(quiet_bars):
    for got in (collect(quiet_bars=quiet_bars), collect([], quiet_bars=quiet_bars)):
        assert (got.covered, got.asked, got.empty) == ((), ((T, END),), ((T, END),))


@pytest.mark.parametrize(("quiet_bars", "proven"), [(FILLS, [2, 4]), (OMITS, [2, 3, 4])])
def test_between_two_rows_nothing_is_missing_only_where_quiet_bars_are_left_out(quiet_bars, proven):
    got = collect(rows(2, 4, 5), quiet_bars=quiet_bars)
    assert covered(got) == [*proven, 5]
    assert minutes(got.quiet) == ([3] if quiet_bars is OMITS else [])
    assert minutes(got.empty) == [n for n in range(10) if n not in covered(got)]


@pytest.mark.parametrize("quiet_bars", QuietBars)
def test_the_newest_row_may_still_grow_until_one_follows_it_or_it_is_old(quiet_bars):
    young = collect(rows(7, 8), quiet_bars=quiet_bars)
    assert (times(young), covered(young), times([young.young])) == ([7], [7], [8])
    assert minutes(young.empty) == [0, 1, 2, 3, 4, 5, 6, 9]
    followed = collect(rows(7, 8, 10), quiet_bars=quiet_bars)
    assert (times(followed), followed.young) == ([7, 8], None)
    assert 8 in covered(followed)
    old = collect(rows(7, 8), quiet_bars=quiet_bars, now_ms=T + 9 * M + LAG_MS)
    assert (times(old), covered(old), old.young) == ([7, 8], [7, 8], None)


def test_of_a_row_that_two_pages_have_the_one_with_rows_behind_it_counts():
    for pages in ([[*rows(7), *rows(8, price=9)], rows(8, 9, 10)],) * 2:
        got = collect(*pages)
        assert [candle.open for candle in got] == [5, 5, 5]
        pages.reverse()


@pytest.mark.parametrize("quiet_bars", QuietBars)
def test_an_answer_without_a_row_that_is_known_proves_its_rows_and_nothing_between(quiet_bars):
    got = collect(rows(2, 4, 5), quiet_bars=quiet_bars, known=[T + 3 * M])
    assert got.contradicts
    assert covered(got) == [2, 4, 5]


@pytest.mark.parametrize("quiet_bars", QuietBars)
def test_before_the_first_row_of_an_answer_that_has_a_known_one_nothing_is(quiet_bars):
    got = collect(rows(4, 5, 6, 10), window=(T, NOW), quiet_bars=quiet_bars, known=[T + 5 * M])
    assert not got.contradicts
    assert set(covered(got)) >= {0, 1, 2, 3, 4, 5, 6}


def test_an_answer_that_was_wrong_at_first_is_forgiven():
    collector = reply()
    assert not collector.add_page([], T, END, [T + M])
    assert collector.add_page(rows(0, 1, 2, 10), T, END, [T + M])
    got = collector.result(T, END, NOW)
    assert (got.contradicts, covered(got)) == (False, list(range(10)))


def test_pages_may_come_in_any_order():
    got = collect(rows(4, 5), rows(0, 1))
    assert times(got) == covered(got) == [0, 1, 4, 5]


def test_a_row_that_two_pages_share_is_taken_once_and_silently():
    got = collect(rows(4, 5), rows(3, 4))
    assert times(got) == covered(got) == [3, 4, 5]
    assert got.refused == []


# What lies beyond the range


def test_the_newest_row_of_the_bar_that_is_open_now_comes_apart():
    got = collect(rows(8, 9, 10))
    assert times(got) == [8, 9]
    assert times([got.open_candle]) == [10]
    assert not got.runs_ahead


def test_a_bar_that_is_over_but_not_settled_is_neither_closed_nor_open():
    got = collect(rows(8, 9, 10), now_ms=NOW + M)
    assert times(got) == covered(got) == [8, 9]
    assert (got.open_candle, got.refused) == (None, [])


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


def test_a_row_from_the_far_future_shows_of_no_other_that_it_is_over():
    got = collect(rows(8, 9, 13))
    assert (times(got), times([got.young])) == ([8], [9])


@pytest.mark.parametrize("alien", [-1, 3])
def test_a_row_outside_of_what_was_asked_for_is_refused(alien):
    got = collect(rows(*sorted([0, 1, 2, alien])), window=(T, T + 2 * M))
    assert times(got) == covered(got) == [0, 1, 2]
    assert reasons(got) == ["outside of what was asked for"]


def test_what_is_refused_beside_the_stretch_is_not_counted():
    got = collect([*rows(-3), (T - 2 * M, "nan"), *rows(-1, 0, 1)])
    assert (times(got), got.refused, got.refusals) == ([0, 1], [], [])


def test_a_page_that_comes_again_in_place_of_the_next_replaces_and_covers_nothing():
    collector = reply()
    collector.add_page(rows(0, 1, 2, 3, 4), T, T + 4 * M)
    collector.add_page(rows(0, 1, 2, 3, 4, price=9), T + 5 * M, T + 9 * M)
    got = collector.result(T, END, NOW)
    assert {candle.open for candle in got} == {5}
    assert covered(got) == [0, 1, 2, 3, 4]
    assert len(got.refused) == 5
    assert minutes(each[:2] for each in got.refusals) == [5, 6, 7, 8, 9]


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
def test_a_bad_value_leaves_its_own_bar_open_and_no_other(price):
    got = collect([*rows(0), (T + 3 * M, price), *rows(5)])
    assert times(got) == [0, 5]
    assert covered(got) == [0, 1, 2, 4, 5]
    (refusal,) = got.refusals
    assert refusal[:2] == (T + 3 * M, T + 4 * M)
    assert got.refused == [refusal.reason]


def test_a_time_off_the_boundary_leaves_open_what_lies_between_its_neighbours():
    got = collect([*rows(0), (T + 2 * M + 7000, 5), *rows(4, 5)])
    assert times(got) == [0, 4, 5]
    assert covered(got) == [0, 4, 5]


@pytest.mark.parametrize(
    "time", [T // 1000, T * 1000, T * 10**6, float(T), str(T), True, None, -T, 10**400]
)
def test_a_time_that_is_none_leaves_open_what_lies_between_its_neighbours(time):
    got = collect([*rows(0, 1), (time, 5), *rows(4, 5)])
    assert times(got) == covered(got) == [0, 1, 4, 5]


def test_a_row_without_a_place_between_two_that_touch_costs_nothing():
    got = collect([*rows(0, 1), None, *rows(2)])
    assert (covered(got), len(got.refused), got.refusals) == ([0, 1, 2], 1, [])


def test_a_row_without_a_place_where_no_bar_has_room_leaves_open_what_lies_between_any_others():
    got = collect([*rows(0, 2), None, *rows(3, 5)])  # that of 1, behind the one of 2
    assert times(got) == covered(got) == [0, 2, 3, 5]
    assert minutes(each[:2] for each in got.refusals) == [1, 4]


def test_a_row_without_a_place_at_an_end_leaves_all_open_up_to_there():
    got = collect([None, *rows(3, 4, 6), None], window=(T, NOW))
    assert covered(got) == [3, 4, 5, 6]
    assert minutes(each[:2] for each in got.refusals) == [0, 1, 2, 7, 8, 9]


@pytest.mark.parametrize("row", [None, 1, "", (), {}, {"time": T}])
def test_a_row_without_its_fields_is_refused(row):
    got = collect([*rows(0), row, *rows(2)])
    assert times(got) == covered(got) == [0, 2]
    assert len(got.refused) == 1


def test_a_long_row_is_clipped_in_the_line_that_refuses_it():
    (line,) = collect([(T, "x" * 100_000)]).refused
    assert len(line) < 500


BAD = st.sampled_from([None, "nan", "0", "-1", "junk"])


@given(
    st.sampled_from(QuietBars),
    st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(1, 3) | BAD), max_size=15),
)
def test_whatever_comes_no_row_is_lost_uncounted_and_no_bad_time_is_covered(quiet_bars, told):
    got = collect([(T + minute * M, price) for minute, price in told], quiet_bars=quiet_bars)
    assert times(got) == sorted(set(times(got)))
    young = got.young is not None
    assert len(got) + young + len(got.refused) == len(told)
    known, candle_at = set(covered(got)), dict(zip(times(got), got, strict=True))
    good = {minute for minute, price in told if isinstance(price, int)}
    if quiet_bars is FILLS or not good:
        assert known <= set(candle_at)
    else:
        assert all(min(good) <= minute <= max(good) for minute in known)
    for minute, price in told:
        if minute in known:
            assert isinstance(price, int)
            assert candle_at[minute].open == price
    pieces = [*got.covered, *got.empty, *(each[:2] for each in got.refusals)]
    assert set(range(10)) == set(minutes(pieces)) | ({times([got.young])[0]} if young else set())


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
