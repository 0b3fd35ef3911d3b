"""Which candles answer a request, compared with a slow look at every bar."""

from hypothesis import given
from hypothesis import strategies as st

from livermore.market.coverage import union
from livermore.market.timeframe import Timeframe
from serving.candles.selection import GRACE_MS, Wanted, select

M1 = Timeframe.M1
STEP = M1.ms
BEGIN = 1_795_046_400_000
BARS = 40


@st.composite
def pasts(draw):
    """Some bars that are known, with a candle or without, and a moment after the last of them."""
    known = draw(
        st.lists(st.sampled_from(["candle", "empty", "unknown"]), min_size=1, max_size=BARS)
    )
    now_ms = BEGIN + len(known) * STEP + draw(st.integers(0, STEP - 1))
    return known, now_ms


def window(known):
    times = [BEGIN + at * STEP for at, kind in enumerate(known) if kind == "candle"]
    spans = [
        (BEGIN + at * STEP, BEGIN + (at + 1) * STEP)
        for at, kind in enumerate(known)
        if kind != "unknown"
    ]
    return times, union(spans)


@st.composite
def requests(draw):
    moment = st.integers(BEGIN - 5 * STEP, BEGIN + (BARS + 3) * STEP)
    start, end = draw(st.none() | moment), draw(st.none() | moment)
    return Wanted(start, end, draw(st.integers(1, BARS)))


@given(pasts(), requests())
def test_what_is_answered_without_a_gap_is_all_there_is_in_its_stretch(past, wanted):
    known, now_ms = past
    times, coverage = window(known)
    found = select(times, coverage, M1, wanted, now_ms)
    chosen = times[found.first : found.last]
    assert len(chosen) + found.takes_open <= wanted.limit
    end_ms = now_ms if wanted.end_ms is None else min(wanted.end_ms, now_ms)
    assert all((wanted.start_ms or 0) <= each <= end_ms for each in chosen)
    if found.missing:
        return
    # No bar between the first and the end of what is answered is unknown.
    kinds = {BEGIN + at * STEP: kind for at, kind in enumerate(known)}
    lows = [each for each in (wanted.start_ms, chosen[0] if chosen else None) if each is not None]
    is_full = len(chosen) == wanted.limit
    for opened, kind in kinds.items():
        ended_lately = opened + STEP == M1.floor(now_ms) and now_ms < opened + STEP + GRACE_MS
        within = lows and min(lows) <= opened <= end_ms and opened + STEP <= now_ms
        past_the_last = is_full and wanted.start_ms is not None and opened > chosen[-1]
        if within and not past_the_last and not ended_lately:
            assert kind != "unknown"


@given(pasts(), requests())
def test_the_open_bar_follows_only_where_the_one_before_it_is_known(past, wanted):
    known, now_ms = past
    found = select(*window(known), M1, wanted, now_ms)
    if found.takes_open and not found.missing and wanted.limit > 1:
        last_ms = BEGIN + (len(known) - 1) * STEP
        is_asked_for = wanted.start_ms is None or wanted.start_ms <= last_ms
        assert known[-1] != "unknown" or not is_asked_for
        assert wanted.end_ms is None or wanted.end_ms >= M1.floor(now_ms)


def test_a_bar_that_ended_just_now_is_waited_for_and_then_missed():
    known = ["candle"] * 5 + ["unknown"]
    times, coverage = window(known)
    newest = Wanted(None, None, 3)
    ended_ms = BEGIN + 6 * STEP
    soon = select(times, coverage, M1, newest, ended_ms + GRACE_MS - 1)
    assert (soon.first, soon.last, soon.takes_open, soon.missing) == (2, 5, False, ())
    late = select(times, coverage, M1, newest, ended_ms + GRACE_MS)
    assert late.missing == ((ended_ms - STEP, ended_ms),)
