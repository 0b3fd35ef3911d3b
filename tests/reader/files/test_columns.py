"""Candles by columns: what is made of them is what is made of the same rows."""

from dataclasses import replace

import pytest
from livermore_reader import frames
from livermore_reader.candles import SIX, TEN, Candles
from livermore_reader.columns import Columns, united
from livermore_reader.sources.files.joining import Joining
from livermore_reader.sources.files.months import HistoryFiles
from livermore_reader.sources.redis.pair import Pair

HOUR = 3_600_000
START = 1_700_000_000_000 // HOUR * HOUR


def row(at, more=True):
    known = [8.25, 3, 0.5, 4.125] if more else [None] * 4
    return [START + at * HOUR, 100.5, 102.25, 99.125, 101 + at / 8, 0.1, *known]


ROWS = [row(at, more=at % 3 > 0) for at in range(7)]
FULL = [row(at) for at in range(7)]


def candles(rows, open_row=None):
    now_ms = START + 8 * HOUR
    pair = ("sandbox", "BTC-USD", "1h")
    return Candles(*pair, rows, (), False, now_ms - HOUR, now_ms, "history", open_row)


def in_two(rows):
    """Return rows by columns that lie in two pieces, as those of two files do."""
    return united([Columns.of(rows[3:]), Columns.of(rows[:3])])


@pytest.mark.parametrize("columns", [SIX, TEN], ids=["six", "ten"])
@pytest.mark.parametrize("open_row", [None, row(7, more=False)], ids=["closed", "open"])
@pytest.mark.parametrize("rows", [ROWS, FULL], ids=["some", "all"])
def test_frames_are_the_same_as_those_of_rows(rows, open_row, columns):
    by_rows, by_columns = candles(rows, open_row), candles(in_two(rows), open_row)
    expected, found = (frames.pandas(each, columns) for each in (by_rows, by_columns))
    assert found.equals(expected)
    assert (found.attrs, found.index.name) == (expected.attrs, "timestamp")
    assert list(found.dtypes) == list(expected.dtypes)
    expected, found = (frames.polars(each, columns) for each in (by_rows, by_columns))
    assert found.equals(expected)
    assert found.schema == expected.schema
    expected, found = (frames.arrow(each, columns) for each in (by_rows, by_columns))
    assert found.equals(expected, check_metadata=True)
    assert [list(each) for each in frames.shown(by_columns)] == frames.shown(by_rows)


def test_panels_are_the_same_as_those_of_rows():
    other = replace(candles(FULL[2:]), symbol="ETH-USD")
    by_rows = [candles(ROWS), other]
    by_columns = [replace(each, rows=in_two(each.rows)) for each in by_rows]
    at = TEN.index("trades")
    assert frames.panel(by_columns, at, {}).equals(frames.panel(by_rows, at, {}))


def test_they_are_a_sequence_of_rows():
    found = in_two(ROWS)
    assert found == ROWS == list(found)
    assert (len(found), found[0], found[-1]) == (7, ROWS[0], ROWS[-1])
    assert [found[2:5], found[-2:], found[5:2], found[::2]] == [
        *(ROWS[2:5], ROWS[-2:], [], ROWS[::2])
    ]
    assert list(found[2:5].times) == [each[0] for each in ROWS[2:5]]
    assert {type(each) for each in found[1]} == {int, float}
    assert ROWS[3] in found
    with pytest.raises(IndexError):
        found[7]


def test_parts_that_lie_in_each_other_are_put_in_order():
    outer, inner = [*FULL[:2], *FULL[5:]], FULL[2:5]
    assert united([Columns.of(outer), Columns.of(inner)]) == FULL
    assert united([Columns.of([])]) == ()


def test_of_what_is_no_candle_nothing_is_known(tmp_path):
    kept = Pair([row(0), [*row(1)[:4], None, *row(1)[5:]]], ((START, START + 2 * HOUR),))
    joining = Joining(HistoryFiles(tmp_path), ("sandbox", "BTC-USD"), "1h", kept)
    found = joining.oldest("1h", START, START + 2 * HOUR, None)
    assert (found.rows, found.known) == ((), ())
