"""Open candles of longer timeframes against bars joined from all of their parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livermore.market.aggregate import join
from livermore.market.candle import Candle
from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from warmup.live.pairs.rollup import Rollup

M5, M15, H1, D1 = Timeframe.M5, Timeframe.M15, Timeframe.H1, Timeframe.D1
MIDNIGHT = D1.floor(1_790_000_000_000)
LONGER = [each for each in LONGEST_FIRST if each.ms > M5.ms]


def bar(number, first=10.0, last=10.0, volume=1.0):
    """Return the five-minute bar so many after (or before) midnight."""
    opened = MIDNIGHT + number * M5.ms
    return Candle(opened, first, max(first, last), min(first, last), last, volume, M5)


def opened_at(candles):
    return {candle.timeframe: (candle.timestamp - MIDNIGHT) // M5.ms for candle in candles}


@given(
    seen=st.sets(st.integers(-300, 300)),
    complete_from=st.integers(-300, 0),
    loaded=st.integers(0, 100),
    prices=st.lists(st.integers(1, 50).map(float), min_size=2, max_size=7),
)
def test_longer_bars_hold_all_their_parts_or_are_not_told(seen, complete_from, loaded, prices):
    numbers = sorted(number for number in seen if number >= complete_from) or [0]
    parts = [
        bar(number, prices[i % len(prices)], prices[(i + 1) % len(prices)], 0.1 * (i + 1))
        for i, number in enumerate(numbers)
    ]
    loaded = min(loaded, len(parts) - 1)
    rollup = Rollup(M5, parts[:loaded], MIDNIGHT + complete_from * M5.ms)
    for part in parts[loaded:-1]:
        rollup.close(part)
    newest = parts[-1]
    told = {candle.timeframe: candle for candle in rollup.open_candles(newest)}
    for timeframe in LONGER:
        opened = timeframe.floor(newest.timestamp)
        if opened < MIDNIGHT + complete_from * M5.ms:
            assert timeframe not in told
            continue
        held = [part for part in parts if part.timestamp >= opened]
        candle = told[timeframe]
        assert (candle.timestamp, candle.open, candle.close) == (opened, held[0].open, newest.close)
        assert candle.high == max(part.high for part in held)
        assert candle.low == min(part.low for part in held)
        assert candle.volume == pytest.approx(sum(part.volume for part in held))


@given(
    has_a_row=st.booleans(),
    steps=st.lists(
        st.tuples(st.sampled_from(["close", "show", "take back"]), st.integers(0, 20)), max_size=15
    ),
)
def test_whatever_was_shown_before_a_longer_bar_is_joined_from_what_closed(has_a_row, steps):
    """Closed bars come in any order, again as others, and are taken back."""
    rollup, closed = Rollup(M5, [], MIDNIGHT, has_a_row), {}
    for step, (what, number) in enumerate(steps):
        part = bar(number, 1.0 + step, 2.0 + step, 0.1 * (1 + step))
        if what == "close":
            closed[number] = part
            rollup.close(part)
        elif what == "take back":
            closed = {each: part for each, part in closed.items() if each < number}
            rollup.take_back(part.timestamp)
        else:
            told = {candle.timeframe: candle for candle in rollup.open_candles(part)}
            for timeframe in LONGER:
                first = (timeframe.floor(part.timestamp) - MIDNIGHT) // M5.ms
                parts = [closed[each] for each in range(first, number) if each in closed]
                is_whole = len(parts) == number - first or not has_a_row
                expected = join([*parts, part], timeframe) if is_whole else None
                assert told.get(timeframe) == expected


def test_the_open_bar_counts_as_it_stands_now():
    rollup = Rollup(M5, [bar(0, volume=2.0)], MIDNIGHT)
    rollup.open_candles(bar(1, volume=5.0))
    assert {candle.volume for candle in rollup.open_candles(bar(1, volume=7.0))} == {9.0}


def test_a_bar_that_began_before_all_is_known_is_not_told():
    rollup = Rollup(M5, [], MIDNIGHT + 5 * M5.ms)
    assert opened_at(rollup.open_candles(bar(5))) == {}
    assert opened_at(rollup.open_candles(bar(6))) == {M15: 6}
    assert opened_at(rollup.open_candles(bar(12))) == {M15: 12, H1: 12}


def test_at_midnight_all_begin_anew():
    rollup = Rollup(M5, [bar(-2), bar(-1)], MIDNIGHT - D1.ms)
    (volume,) = {candle.volume for candle in rollup.open_candles(bar(0, volume=3.0))}
    assert volume == 3.0
    rollup.close(bar(0, volume=3.0))
    told = rollup.open_candles(bar(1))
    assert set(opened_at(told).values()) == {0}
    assert {candle.volume for candle in told} == {4.0}
    rollup.close(bar(1))
    assert {candle.volume for candle in rollup.open_candles(bar(2))} == {5.0}


def test_nothing_is_told_of_the_timeframe_it_is_made_of_or_shorter_ones():
    rollup = Rollup(H1, [], MIDNIGHT)
    hour = Candle(MIDNIGHT, 1.0, 1.0, 1.0, 1.0, 1.0, H1)
    assert [candle.timeframe for candle in rollup.open_candles(hour)] == [D1, Timeframe.H4]


# -- Where each bar has a row


def minutes(volumes):
    times = (MIDNIGHT + number * Timeframe.M1.ms for number in range(len(volumes)))
    pairs = zip(times, volumes, strict=True)
    return [Candle(time, 10.0, 10.0, 10.0, 10.0, volume, Timeframe.M1) for time, volume in pairs]


@given(
    volumes=st.lists(st.decimals("0", "99999.99999999", places=8), min_size=15, max_size=15),
    order=st.permutations(range(15)),
)
def test_in_whatever_order_parts_come_the_last_one_closes_the_longer_bar(volumes, order):
    parts, rollup = minutes([float(each) for each in volumes]), Rollup(Timeframe.M1, [], 0, True)
    found, come = [], set()
    for number in order:
        told = rollup.close(parts[number])
        come.add(number)
        first = number // 5 * 5
        assert (M5 in [each.timeframe for each in told]) == come.issuperset(range(first, first + 5))
        found += told
    sums = {(each.timeframe, opened_at([each])[each.timeframe]): each.volume for each in found}
    assert sums == {
        (M15, 0): float(sum(volumes)),
        **{(M5, number): float(sum(volumes[5 * number :][:5])) for number in range(3)},
    }


def test_a_day_closes_with_its_last_minute_and_is_forgotten_with_the_next():
    rollup = Rollup(Timeframe.M1, minutes([1.0] * 1439), MIDNIGHT, True)
    *_, last, first = minutes([1.0] * 1441)
    assert [each.volume for each in rollup.close(last)] == [1440.0, 240.0, 60.0, 15.0, 5.0]
    assert rollup.close(first) == []
    assert rollup.close(last) == []


def test_what_was_taken_back_has_to_be_closed_anew():
    parts = minutes([1.0, 2.0, 3.0, 4.0, 5.0])
    rollup = Rollup(Timeframe.M1, parts[:4], MIDNIGHT, True)
    rollup.take_back(parts[2].timestamp + 5)
    assert rollup.close(parts[4]) == rollup.close(parts[2]) == []
    assert [each.volume for each in rollup.close(parts[3])] == [15.0]
