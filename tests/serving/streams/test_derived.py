"""Bars of longer timeframes, made of those that a stream tells one by one."""

import random

import pytest

from livermore.market.derived import DERIVED, derive
from livermore.market.timeframe import Timeframe
from serving.streams.derived import LATE_MS, DerivedBars

THREE = DERIVED["3m"]
M1 = Timeframe.M1.ms
START = THREE.floor(1_795_046_400_000)


def part(number, close=10.5, columns=()):
    return [START + number * M1, 10.0, 11.0 + number, 9.0, close, 0.1, *columns]


def closes(bars):
    return [row[0] for row, is_closed in bars if is_closed]


def test_the_open_bar_grows_and_is_closed_once_with_its_last_part():
    bars = DerivedBars(THREE)
    assert bars.take(part(0, 10.1), False) == [([START, 10.0, 11.0, 9.0, 10.1, 0.1], False)]
    assert closes(bars.take(part(0), True)) == []
    ((row, is_closed),) = bars.take(part(1, 10.9), False)
    assert (row, is_closed) == ([START, 10.0, 12.0, 9.0, 10.9, 0.2], False)
    bars.take(part(1), True)
    bars.take(part(2), False)
    assert bars.take(part(2), True) == [([START, 10.0, 13.0, 9.0, 10.5, 0.3], True)]
    assert bars.take(part(2), True) == []
    assert bars.take(part(2), False) == []
    assert not bars.lacks(START + 3 * M1 + LATE_MS)


def test_columns_are_summed_where_all_parts_have_them():
    bars = DerivedBars(THREE)
    told = []
    for number in range(6):
        columns = (1.5, 2, 0.1, 0.7) if number != 4 else ()
        told += bars.take(part(number, columns=columns), True)
    first, second = (row for row, is_closed in told if is_closed)
    assert first[6:] == [4.5, 6, 0.3, 2.1]
    assert len(second) == 6


def test_who_begins_in_the_middle_is_told_nothing_before_the_cache_was_read():
    bars = DerivedBars(THREE)
    assert bars.take(part(1), False) == []
    assert bars.lacks(START + M1)
    assert bars.learn([part(0)], ((START - 90 * M1, START + M1),), START + M1) == []
    assert bars.take(part(1, 10.9), False) == [([START, 10.0, 12.0, 9.0, 10.9, 0.2], False)]


def test_a_bar_with_a_hole_is_not_closed_until_that_is_known():
    bars = DerivedBars(THREE)
    bars.take(part(0), True)
    assert bars.take(part(2), True) == []  # the second was lost
    rows, now_ms = [part(0), part(2)], START + 3 * M1
    holed = ((START, START + M1), (START + 2 * M1, now_ms))
    assert bars.lacks(now_ms)
    assert bars.learn(rows, holed, now_ms) == []
    assert bars.lacks(now_ms + LATE_MS)
    bars.take(part(3), False)
    assert bars.lacks(now_ms)
    rows.insert(1, part(1))
    assert closes(bars.learn(rows, ((START, now_ms),), now_ms)) == [START]
    assert not bars.lacks(now_ms)
    assert closes(bars.learn(rows, ((START, now_ms),), now_ms)) == []


def test_a_part_without_trades_is_known_by_the_cache_alone():
    bars = DerivedBars(THREE)
    bars.learn([], (), START)
    bars.take(part(0), True)
    now_ms = START + 3 * M1
    bars.take(part(1), True)
    assert not bars.lacks(now_ms)
    assert bars.lacks(now_ms + LATE_MS)  # nothing comes of the third
    told = bars.learn([part(0), part(1)], ((START, now_ms),), now_ms)
    assert told == [([START, 10.0, 12.0, 9.0, 10.5, 0.2], True)]


def test_a_bar_without_any_trade_is_none():
    bars = DerivedBars(THREE)
    assert bars.learn([], ((START, START + 3 * M1),), START + 1) == []
    assert not bars.lacks(START + 9 * M1)


def test_none_is_closed_after_a_later_one():
    bars = DerivedBars(THREE)
    bars.take(part(0), True)
    for number in (3, 4, 5):
        told = bars.take(part(number), True)
    assert closes(told) == [START + 3 * M1]
    rows = [part(number) for number in range(6)]
    assert bars.learn(rows, ((START, START + 6 * M1),), START + 6 * M1) == []


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_lost_and_read_when_what_is_closed_is_true_and_in_order(seed):
    luck = random.Random(seed)
    text = luck.choice(["3m", "12h"])
    longer, step = DERIVED[text], DERIVED[text].base.ms
    start = longer.floor(START)
    rows = [[start + at * step, 10, 12 + at, 9, 11, 0.25] for at in range(60)]
    is_quiet = [luck.random() < 0.1 for _ in rows]
    stored = [row for row, quiet in zip(rows, is_quiet, strict=True) if not quiet]
    bars, told, known_ms = DerivedBars(longer), [], start
    for row, quiet in zip(rows, is_quiet, strict=True):
        now_ms = row[0] + step
        if not quiet and luck.random() > 0.1:
            told += bars.take(row, False)
        if luck.random() > 0.2:
            known_ms = now_ms  # all before was healed
        if not quiet and luck.random() > 0.1:
            told += bars.take(row, True)
        if luck.random() > 0.3:
            seen = [each for each in stored if each[0] < known_ms]
            told += bars.learn(seen, ((start, known_ms),), now_ms)
    found = [row for row, is_closed in told if is_closed]
    times = [row[0] for row in found]
    assert times == sorted(set(times))
    truth, _ = derive(stored, ((start, start + 60 * step),), longer)
    assert all(row in truth for row in found)
    assert len(found) > 5
