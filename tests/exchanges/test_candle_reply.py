import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchanges.candle_reply import CandleReply
from livermore.market.coverage import missing
from livermore.market.timeframe import Timeframe

M = 60_000
T = 1_790_000_100_000  # a whole minute


def reply(timeframe=Timeframe.M1):
    """Return a collector of rows `(time, price)`."""
    return CandleReply(timeframe, lambda row: row[0], lambda row: (float(row[1]),) * 4 + (1.0,))


def collect(*pages, start_ms=T, end_ms=T + 10 * M):
    collector = reply()
    for page in pages:
        collector.add_page(page)
    return collector.result(start_ms, end_ms)


def rows(*minutes, price=5):
    return [(T + minute * M, price) for minute in minutes]


def times(candles):
    return [(candle.timestamp - T) // M for candle in candles]


def test_rows_become_candles_and_their_whole_range_is_covered():
    got = collect(rows(0, 1, 2))
    assert times(got) == [0, 1, 2]
    assert got.covered == ((T, T + 10 * M),)
    assert (got.refused, got.open_candle) == ([], None)


def test_an_empty_answer_covers_its_range():
    assert collect().covered == collect([]).covered == ((T, T + 10 * M),)


def test_pages_may_come_in_any_order():
    assert times(collect(rows(4, 5), rows(0, 1))) == [0, 1, 4, 5]


def test_a_candle_after_the_range_is_the_open_one():
    got = collect(rows(8, 9, 10, 11))
    assert times(got) == [8, 9]
    assert times([got.open_candle]) == [11]


def test_a_candle_before_the_range_is_left_out():
    got = collect(rows(-2, -1, 0))
    assert times(got) == [0]
    assert got.refused == []


def test_a_row_that_comes_twice_is_counted_and_keeps_its_time():
    got = collect(rows(0, 1, 1, 2))
    assert times(got) == [0, 1, 2]
    assert [line.partition(":")[0] for line in got.refused] == ["comes twice"]
    assert missing(got.covered, T, T + 10 * M) == ()


def test_two_prices_for_one_time_leave_it_unknown():
    got = collect([(T, 5), (T + M, 6), (T + M, 7), (T + 2 * M, 5)])
    assert times(got) == [0, 1, 2]
    assert missing(got.covered, T, T + 10 * M) == ((T + M, T + 2 * M),)


def test_a_row_out_of_order_is_refused_and_its_time_stays_unknown():
    got = collect(rows(0, 2, 1, 3))
    assert times(got) == [0, 2, 3]
    assert missing(got.covered, T, T + 10 * M) == ((T + M, T + 2 * M),)
    assert [line.partition(":")[0] for line in got.refused] == ["out of order"]


@pytest.mark.parametrize("price", ["nan", "inf", "-inf", "0", "-1", "n/a", None, "", [], {}])
def test_a_bad_value_leaves_its_time_unknown(price):
    got = collect([*rows(0), (T + M, price), *rows(2)])
    assert times(got) == [0, 2]
    assert missing(got.covered, T, T + 10 * M) == ((T + M, T + 2 * M),)
    assert len(got.refused) == 1


def test_a_time_off_the_boundary_leaves_its_period_unknown():
    got = collect([*rows(0), (T + M + 7000, 5), *rows(2)])
    assert times(got) == [0, 2]
    assert missing(got.covered, T, T + 10 * M) == ((T + M, T + 2 * M),)


@pytest.mark.parametrize(
    "time", [T // 1000, T * 1000, T * 10**6, float(T), str(T), True, None, -T, 10**400]
)
def test_a_time_that_is_none_leaves_all_but_the_good_candles_unknown(time):
    got = collect([*rows(0), (time, 5), *rows(2)])
    assert times(got) == [0, 2]
    assert got.covered == ((T, T + M), (T + 2 * M, T + 3 * M))


@pytest.mark.parametrize("row", [None, 1, "", (), (T,), {}, {"time": T}])
def test_a_row_without_its_fields_is_refused(row):
    got = collect([*rows(0), row, *rows(2)])
    assert times(got) == [0, 2]
    assert len(got.refused) == 1
    assert missing(got.covered, T, T + 10 * M)


def test_what_is_distrusted_is_not_covered():
    collector = reply()
    collector.add_page(rows(0, 1))
    collector.distrust(T + 2 * M, T + 99 * M)
    assert collector.result(T, T + 10 * M).covered == ((T, T + 2 * M),)


def test_a_long_row_is_clipped_in_the_line_that_refuses_it():
    (line,) = collect([(T, "x" * 100_000)]).refused
    assert len(line) < 500


BAD = st.sampled_from([None, "nan", "0", "-1", "junk"])


@given(st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(1, 3) | BAD), max_size=15))
def test_whatever_comes_no_row_is_lost_uncounted_and_no_bad_time_is_covered(told):
    sent = [(T + minute * M, price) for minute, price in told]
    got = collect(sent)
    assert times(got) == sorted(set(times(got)))
    assert len(got) + len(got.refused) == len(sent)
    unknown = {(start - T) // M + n for start, end in missing(got.covered, T, T + 10 * M)
               for n in range((end - start) // M)}  # fmt: skip
    assert {minute for minute, price in told if not isinstance(price, int)} <= unknown
    for minute, price in told:
        if minute not in unknown:
            assert (T + minute * M, float(price)) in {(c.timestamp, c.open) for c in got}
