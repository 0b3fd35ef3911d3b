"""Bars of a bulk file beside those of REST: the same, another one, or nothing to compare."""

import pytest

from history import parquet
from history.archives.comparing import compare
from livermore.market.timeframe import Timeframe

H1 = Timeframe.H1
START_MS = 1_735_689_600_000


def row(number, *, volume=0.125, columns=True):
    six = [START_MS + number * H1.ms, 100.5, 102.25, 99.125, 101.0, volume]
    return [*six, 12.5, number, 0.5, 6.25] if columns else six


def rows(*numbers, **values):
    return [row(each, **values) for each in numbers]


def compared(*told, ours=tuple(range(10))):
    tables = [parquet.table_of(each) for each in told]
    return compare(parquet.table_of(rows(*ours)), tables, H1)


def test_bars_that_are_the_same_are_counted_at_both_ends():
    assert compared(rows(-2, -1, 0, 1), rows(8, 9, 10)) == (4, [])


def test_a_bar_that_both_ends_have_counts_once():
    assert compared(rows(0, 1, 2), rows(2, 3)) == (4, [])


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_bar_that_differs_is_told_with_both_rows(number):
    told = rows(-1, 0, 1, 2)
    told[number + 1] = row(number, volume=0.25)
    assert compared(told) == (3, [(row(number), told[number + 1])])


def test_columns_that_one_of_them_lacks_say_nothing():
    assert compared(rows(0, 1, columns=False)) == (2, [])
    assert compared([row(0), row(1, columns=False), row(2)]) == (3, [])
    other = row(1, columns=False, volume=3.0)
    assert compared([row(0), other]) == (2, [(row(1), other)])


def test_a_bar_that_only_one_of_them_has_is_not_compared():
    assert compared(rows(0, 1, 3, 4)) == (4, [])
    assert compared(rows(0, 1, 2, 3), ours=(0, 2, 3)) == (3, [])
    assert compared(rows(20, 21)) == (0, [])
    assert compared([], []) == (0, [])
