"""Rows in memory: as Redis has them, and as a protocol writes them."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livermore.market.timeframe import Timeframe
from serving.binance.klines import body, row, row_of, rows_of
from serving.memory.rendered import Rendered
from serving.memory.stored import StoredRows
from serving.memory.windows import Window

M1 = Timeframe.M1
ROWS = [[1_795_046_400_000 + at * M1.ms, 1.5, 2.0, 1.0, 1.25, at / 4] for at in range(9)]


def test_rows_are_those_that_were_stored():
    rows = StoredRows([orjson.dumps(each) for each in ROWS])
    assert list(rows) == ROWS
    assert [rows[0], rows[-1], rows[2:5], rows[7:99]] == [ROWS[0], ROWS[-1], ROWS[2:5], ROWS[7:]]
    assert [rows[5:5], rows[::-2]] == [[], ROWS[::-2]]
    assert rows.times().tolist() == [each[0] for each in ROWS]
    assert [orjson.loads(each) for each in rows.texts(3, 6)] == ROWS[3:6]
    with pytest.raises(IndexError):
        rows[9]


def test_there_may_be_no_rows():
    rows = StoredRows([])
    assert [len(rows), list(rows), rows.times().tolist(), rows.json(0, 0)] == [0, [], [], b""]


@pytest.mark.parametrize("odd", [b'["x",1]', b"x", b"[1.5e3,2]"])
def test_what_is_no_row_is_noticed_where_it_is_read(odd):
    rows = StoredRows([orjson.dumps(ROWS[0]), odd])
    try:
        times = rows.times()
    except (ValueError, TypeError):
        return
    assert len(times) == 2


def test_what_is_behind_rows_that_were_looked_at_is_looked_at_alone():
    stored = [
        orjson.dumps([*row, *([9.5, 3, 1e-7, 2.5e16] if at % 2 else ())])
        for at, row in enumerate(ROWS)
    ]
    assert StoredRows([]).are_usual(StoredRows(stored))
    for before in (stored, stored[:5], stored[2:7], []):
        looked_at = StoredRows(before)
        assert StoredRows(stored).are_usual(looked_at)
        assert StoredRows(stored[1:]).are_usual(looked_at)
        for odd in (b'[1795046400000,"x",1.0,1.0,1.0,1.0]', b"", b"x", stored[4] + b"x"):
            assert not StoredRows([odd]).are_usual(looked_at)
            for at in (0, 4, 5, 9):
                assert not StoredRows([*stored[:at], odd, *stored[at:]]).are_usual(looked_at)


@pytest.mark.parametrize(
    ("text", "is_usual"),
    [
        (b"[1,1.5,2.0,1.0,1.25,0.5]", True),
        (b"[1,0.5,2.0,1.0,1.25,10.5,20.5,3,0.5,1.5]", True),
        (b"[1,1,2,0,1e-05,-0.5]", True),
        (b"[1,00.5,2.0,1.0,1.25,0.5]", False),
        (b"[1,1.5,2.0,1.0,1.25,0.5,20.5]", False),
        (b"[1,1.5,2.0,1.0,1.25,0.5,20.5,3.0,0.5,1.5]", False),
        (b"[1,1.5,2.0,1.0,1.25,.5]", False),
        (b"[1,1.5,2.0,1.0,1.25,0.5],", False),
    ],
)
def test_a_usual_row_is_one_of_six_or_ten_numbers(text, is_usual):
    usual = orjson.dumps(ROWS[0])
    for members in ([text], [usual, text], [text, usual], [usual, text, usual]):
        assert StoredRows(members).are_usual() is is_usual


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=5), st.integers(0, 9))
def test_rows_that_were_written_are_the_same_in_whatever_order_they_are_asked_for(asked, gone):
    rows = [f"row{at}".encode() for at in range(9)]
    known = Rendered.of(4, [])
    for start, end in asked:
        first, last = min(start, end), max(start, end)
        known = known.covering(first, last, lambda a, b: rows[a:b])
        assert bytes(known.between(first, last)) == b",".join(rows[first:last])
    left = known.behind(gone) or Rendered.of(0, [])
    whole = left.covering(0, 9 - gone, lambda a, b: rows[gone:][a:b])
    assert bytes(whole.between(0, 9 - gone)) == b",".join(rows[gone:])


def window(rows):
    stored = StoredRows.of(rows)
    return Window(stored.times(), stored, ())


def test_a_row_that_was_written_is_not_written_again_when_the_next_one_closes(monkeypatch):
    before = window(ROWS[:6])
    whole = body(before, 0, 6, None, M1)
    after = window(ROWS[2:8])
    after.take_over(before)
    written = []
    monkeypatch.setattr(
        "serving.binance.klines.rows_of",
        lambda rows, first, last, _: (
            written.extend(rows[first:last]) or rows_of(rows, first, last, M1)
        ),
    )
    expected = b"[%b]" % b",".join(row(each, M1) for each in ROWS[2:8])
    assert body(after, 0, 6, None, M1) == expected
    assert written == ROWS[6:8]
    assert orjson.loads(whole)[2:] == orjson.loads(expected)[:4]


def test_nothing_is_taken_over_where_a_row_is_another_one_now():
    before = window(ROWS[:6])
    body(before, 0, 6, None, M1)
    amended = [*ROWS[2:4], [*ROWS[4][:5], 7.0], *ROWS[5:8]]
    for rows in (amended, ROWS[3:4], ROWS[7:9], []):
        after = window(rows)
        after.take_over(before)
        assert body(after, 0, len(rows), None, M1) == b"[%b]" % b",".join(
            row(each, M1) for each in rows
        )


NUMBERS = st.floats(0, 1e17) | st.floats(0, 1) | st.integers(0, 10**9).map(lambda each: each / 1e4)
FOUR = st.tuples(NUMBERS, st.integers(0, 2**60), NUMBERS, NUMBERS)


@given(st.tuples(*[NUMBERS] * 5), FOUR | st.just(()))
def test_a_row_is_written_of_its_text_as_of_its_numbers(numbers, columns):
    values = [1_795_046_400_000, *numbers, *columns]
    assert row_of(orjson.dumps(values), M1) == row(values, M1)


@given(st.lists(st.tuples(*[NUMBERS] * 5), max_size=4), FOUR | st.just(()), st.integers(0, 3))
def test_rows_are_written_together_as_one_by_one(rows, columns, first):
    values = [[1_795_046_400_000, *each, *columns] for each in rows]
    stored = StoredRows.of(values)
    found = rows_of(stored, min(first, len(rows)), len(rows), M1)
    assert found == [row(each, M1) for each in values[first:]]


@pytest.mark.parametrize(
    "text",
    [
        b"[1795046400000,1,2.5,0.5,1.25,7]",
        b"[1795046400000,1.5,2.5,0.5,1.25,4.1e-7]",
        b'[1795046400000,1.5,2.5,0.5,1.25,7.5,null,"x",0,-1]',
        b"[1795046400000,1.5,2.5,0.5,1.25,7.5,20.5,3.5,0.5,1.5]",
        b"[1795046400000,1.123456789012,2.5,0.5,1.25,0.0,20.5,3,0.5,1.5]",
        b"[1795046400000,1.5,2.5,0.5,1.25,7.5,20.5]",
    ],
)
def test_odd_rows_are_written_of_their_numbers(text):
    assert row_of(text, M1) == row(orjson.loads(text), M1)
