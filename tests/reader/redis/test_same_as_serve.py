"""What is made of stored candles here and in `serve`, which know nothing of each other."""

from hypothesis import given
from hypothesis import strategies as st
from livermore_reader import derived as ours
from livermore_reader import selection, stretches
from livermore_reader.candles import Asked
from livermore_reader.sources.redis.pair import told_empty

from livermore.market import coverage
from livermore.market import derived as theirs
from livermore.market.timeframe import Timeframe
from serving.candles.selection import Wanted, is_awaited, select, select_known, stretch_of
from warmup.cache.unconfirmed import EMPTY, TRADED, Unconfirmed, settled_empty

MINUTE = 60_000
BEGIN = 1_796_000_400_000  # a day's half and some hours
BARS = 40

stretch = st.tuples(st.integers(0, BARS), st.integers(0, BARS))
covered = st.lists(stretch, max_size=5).map(
    lambda found: coverage.union((BEGIN + a * MINUTE, BEGIN + b * MINUTE) for a, b in found)
)
# Bars with a row: of what is known some had no trade.
traded = st.sets(st.integers(0, BARS - 1)).map(
    lambda found: [BEGIN + at * MINUTE for at in sorted(found)]
)
moments = st.integers(BEGIN, BEGIN + (BARS + 2) * MINUTE)
maybe = st.none() | moments


@given(covered, covered, moments, moments)
def test_stretches(known, others, start, end):
    assert stretches.union(known + others) == coverage.union(known + others)
    assert stretches.missing(known, start, end) == coverage.missing(known, start, end)
    assert stretches.both(known, others) == coverage.intersect(known, others)


@given(traded, covered, maybe, maybe, st.integers(1, BARS + 5), moments)
def test_which_candles_answer(times, known, start, end, limit, now):
    if start is not None and end is not None and start >= end:
        return
    asked = Asked("x", "A-B", "1m", start, end, limit)
    here = selection.select(times, known, asked, now)
    open_ms = Timeframe.M1.floor(now)
    until_ms = open_ms if end is None else min(end, open_ms)
    wanted = Wanted(start, until_ms - 1, limit)
    there = select(times, known, Timeframe.M1, wanted, now)
    if there.missing:
        awaited_ms = MINUTE if is_awaited(known, Timeframe.M1, now) else 0
        stretch = stretch_of(Timeframe.M1, wanted, now - awaited_ms)
        there = select_known(times, known, stretch)
    assert times[here.first : here.last] == times[there.first : there.last]
    assert here.missing == there.missing


@given(traded, covered, st.integers(1, BARS), moments)
def test_what_is_missing_is_all_that_nobody_knows(times, known, limit, now):
    found = selection.select(times, known, Asked("x", "A-B", "1m", limit=limit), now)
    taken = times[found.first : found.last]
    assert len(taken) <= limit
    for at in range(taken[0] if taken else found.until_ms, found.until_ms, MINUTE):
        is_known = not coverage.missing(known, at, at + MINUTE)
        is_told = any(start <= at < end for start, end in found.missing)
        assert is_known != is_told


@given(traded, covered, maybe, maybe, st.integers(1, BARS), moments)
def test_what_lacks_the_newest_bar_is_stale_and_nothing_else(times, known, start, end, limit, now):
    if start is not None and end is not None and start >= end:
        return
    found = selection.select(times, known, Asked("x", "A-B", "1m", start, end, limit), now)
    open_ms = Timeframe.M1.floor(now)
    is_on_its_way = now < open_ms + selection.GRACE_MS
    assert not (found.is_stale and not found.missing)
    lacks = [
        at
        for at in (open_ms - 2 * MINUTE, open_ms - MINUTE)
        if (start is None or start <= at) and (end is None or end > at)
        if any(since <= at < until for since, until in found.missing)
    ]
    assert found.is_stale == (open_ms - MINUTE * (1 + is_on_its_way) in lacks)


numbers = st.integers(1, 10**6).map(lambda number: number / 1000)
candle = st.tuples(numbers, numbers, numbers, numbers, numbers)
more = st.tuples(numbers, st.integers(0, 999), numbers, numbers)


@given(
    st.dictionaries(st.integers(0, BARS - 1), st.tuples(candle, st.none() | more)),
    covered,
    st.sampled_from(["3m", "30m"]),
)
def test_bars_that_are_made_of_shorter_ones(bars, known, timeframe):
    there = theirs.BY_TEXT[timeframe]
    step = there.base.ms
    known = coverage.union(
        (BEGIN + (start - BEGIN) // MINUTE * step, BEGIN + (end - BEGIN) // MINUTE * step)
        for start, end in known
    )
    rows = [[BEGIN + at * step, *six, *(ten or ())] for at, (six, ten) in sorted(bars.items())]
    tens = [row if len(row) == 10 else [*row, *[None] * 4] for row in rows]
    expected, whole = theirs.derive(rows, known, there)
    made, known_here = ours.derive(tens, known, timeframe)
    assert known_here == whole
    assert made == [row if len(row) == 10 else [*row, *[None] * 4] for row in expected]


@given(
    st.lists(
        st.tuples(stretch, st.sampled_from([EMPTY, TRADED, "refused"]), st.integers(0, 2 * BARS))
    ),
    st.sampled_from([0, 10_000, 300_000]),
)
def test_what_was_told_empty(found, lag_ms):
    known = [
        Unconfirmed(
            BEGIN + min(span) * MINUTE, BEGIN + max(span) * MINUTE, why, BEGIN + seen * MINUTE
        )
        for span, why, seen in found
    ]
    stored = str([list(each) for each in known]).replace("'", '"').encode()
    expected = settled_empty(tuple(known), Timeframe.M1, lag_ms)
    assert told_empty(stored, MINUTE, lag_ms) == expected
