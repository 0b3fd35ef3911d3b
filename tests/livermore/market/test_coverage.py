"""Coverage against the same thing done slowly: sets of single minutes."""

from hypothesis import given
from hypothesis import strategies as st

from livermore.market.coverage import missing, span, subtract, union

MINUTES = st.integers(0, 40)
INTERVALS = st.lists(st.tuples(MINUTES, MINUTES), max_size=8)


def minutes_of(intervals):
    return {minute for start, end in intervals for minute in range(start, end)}


def is_tidy(coverage):
    """Not empty anywhere, ascending, and with a gap between any two."""
    edges = [edge for interval in coverage for edge in interval]
    return edges == sorted(set(edges))


@given(INTERVALS)
def test_a_union_holds_what_any_part_holds(intervals):
    joined = union(intervals)
    assert minutes_of(joined) == minutes_of(intervals)
    assert is_tidy(joined)


@given(INTERVALS, st.randoms())
def test_neither_order_nor_repetition_changes_a_union(intervals, rng):
    shuffled = intervals * 2
    rng.shuffle(shuffled)
    assert union(shuffled) == union(intervals) == union(union(intervals))


@given(INTERVALS, INTERVALS)
def test_subtracting_leaves_what_only_the_first_holds(intervals, taken):
    left = subtract(union(intervals), taken)
    assert minutes_of(left) == minutes_of(intervals) - minutes_of(taken)
    assert is_tidy(left)


@given(INTERVALS, MINUTES, MINUTES)
def test_what_is_missing_from_a_window_is_the_window_less_the_coverage(intervals, start, end):
    gaps = missing(union(intervals), start, end)
    assert minutes_of(gaps) == set(range(start, end)) - minutes_of(intervals)
    assert is_tidy(gaps)


@given(INTERVALS, MINUTES, MINUTES)
def test_fetching_what_is_missing_leaves_nothing_missing(intervals, start, end):
    held = union(intervals)
    assert missing(union((*held, *missing(held, start, end))), start, end) == ()


@given(INTERVALS)
def test_the_span_counts_every_minute_once(intervals):
    assert span(union(intervals)) == len(minutes_of(intervals))


def test_stretches_that_touch_become_one():
    assert union([(5, 9), (0, 5)]) == ((0, 9),)
    assert union([(0, 5), (6, 9)]) == ((0, 5), (6, 9))


def test_an_interval_that_ends_before_it_begins_holds_nothing():
    assert union([(5, 5), (9, 7)]) == ()
    assert subtract(((0, 10),), [(5, 5), (9, 7)]) == ((0, 10),)
    assert missing((), 7, 3) == ()
