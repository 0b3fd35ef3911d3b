"""Bars of longer timeframes are made anew only where something has changed."""

from random import Random

import pytest

from livermore.market.coverage import union
from livermore.market.derived import DERIVED, derive
from livermore.market.timeframe import Timeframe
from serving.memory import views
from serving.memory.stored import StoredRows
from serving.memory.views import view
from serving.memory.windows import Window

M1 = Timeframe.M1
BEGIN = 1_795_046_400_000
THREE = DERIVED["3m"]


def row(at, price=1.5):
    return [BEGIN + at * M1.ms, price, price + 0.5, price - 0.5, price, 0.25 * at]


def window(minutes, known, price=1.5):
    """Return a window of the bars of some minutes; `known` are stretches of minutes."""
    rows = StoredRows.of([row(at, price) for at in minutes])
    coverage = union((BEGIN + start * M1.ms, BEGIN + end * M1.ms) for start, end in known)
    return Window(rows.times(), rows, coverage)


def made(found):
    return [list(each) for each in found.rows], found.coverage, list(found.times)


@pytest.mark.parametrize("seed", range(40))
def test_what_is_made_of_a_change_is_what_is_made_of_all(seed):
    chance = Random(seed)
    minutes = sorted(chance.sample(range(60), 45))
    before = window(minutes, [(0, chance.choice([20, 61])), (chance.choice([25, 40]), 61)])
    view(before, THREE)
    later = [*minutes[chance.choice([0, 0, 1, 7]) :], *sorted(chance.sample(range(60, 70), 3))]
    price = chance.choice([1.5, 1.5, 1.5, 2.5])  # one that was told anew makes all of it anew
    known = [(chance.choice([0, 0, 3]), chance.choice([20, 61])), (30, 70)]
    after = window(later, known, price)
    after.take_over(before)
    assert made(view(after, THREE)) == made(view(window(later, known, price), THREE))


def test_with_each_close_the_last_bars_alone_are_made(monkeypatch):
    counts = []

    def counted(rows, coverage, timeframe):
        counts.append(len(rows))
        return derive(rows, coverage, timeframe)

    monkeypatch.setattr(views, "derive", counted)
    before = window(range(900), [(0, 900)])
    view(before, THREE)
    for closed in range(900, 906):
        after = window(range(closed - 899, closed + 1), [(0, closed + 1)])
        after.take_over(before)
        view(after, THREE)
        before = after
    assert counts[0] == 900
    assert max(counts[1:]) <= 5
