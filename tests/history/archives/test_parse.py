"""What of a CSV is a candle, and what it proves."""

import pytest

from exchanges.errors import BadPayload
from exchanges.venues.binance.archive import ARCHIVE
from history import parquet
from history.archives import parse as parsing
from history.archives.parse import covered, parse
from livermore.market.timeframe import Timeframe

START_MS = 1_735_689_600_000  # 2025-01-01, from when on times are in microseconds
HOUR_MS = Timeframe.H1.ms
END_MS = START_MS + 24 * HOUR_MS
ROW = "{time},4.15,4.16,4.14,4.155,539.23,{close},2240.398609,13,401.82,1669.981213,0"


def line(number=0, *, units=1000, off=0, **values):
    time = (START_MS + number * HOUR_MS + off) * units
    text = ROW.format(time=time, close=time + HOUR_MS * units - 1)
    fields = text.split(",")
    for name, value in values.items():
        fields[ARCHIVE.columns.index(name)] = str(value)
    return ",".join(fields)


def read(*lines, timeframe=Timeframe.H1):
    content = "\n".join([*lines, ""]).encode()
    return parse(content, ARCHIVE.columns, timeframe, START_MS, END_MS)


def numbers(rows):
    return [(row[0] - START_MS) // HOUR_MS for row in parquet.rows_of(rows.table)]


@pytest.mark.parametrize("units", [1, 1000])
@pytest.mark.parametrize("header", [(), (",".join(ARCHIVE.columns),)])
def test_rows_in_either_unit_are_candles_with_a_header_or_without(units, header):
    rows = read(*header, line(0, units=units), line(1, units=units))
    assert rows.refused == 0
    assert parquet.rows_of(rows.table)[0] == [
        *(START_MS, 4.15, 4.16, 4.14, 4.155, 539.23, 2240.398609, 13, 401.82, 1669.981213)
    ]
    assert covered(rows.table, Timeframe.H1) == ((START_MS, START_MS + 2 * HOUR_MS),)


def test_a_file_with_nothing_wrong_is_looked_at_whole(monkeypatch):
    monkeypatch.setattr(parsing, "_in_ms", None)  # what looks at each row
    for units in (1, 1000):
        rows = read(*(line(number, units=units) for number in range(24)))
        assert (rows.refused, numbers(rows)) == (0, list(range(24)))


def test_what_is_read_whole_is_what_is_read_by_its_rows(monkeypatch):
    lines = [line(number, volume=number / 8, trades=number) for number in range(24)]
    whole = read(*lines)
    monkeypatch.setattr(parsing, "_whole", lambda *_: None)
    assert read(*lines).table.equals(whole.table)


BAD = {
    "off the grid": line(1, off=7000),
    "off by a microsecond": line(1, timestamp=(START_MS + HOUR_MS) * 1000 + 1),
    "in seconds": line(1, timestamp=(START_MS + HOUR_MS) // 1000),
    "another timeframe's": line(1, close_time=(START_MS + 5 * HOUR_MS) * 1000 - 1),
    "of another month": line(24),
    "before its month": line(-1),
    "low above high": line(1, low=4.2),
    "open outside": line(1, open=4.2),
    "close outside": line(1, close=4.1),
    "no price": line(1, low=0),
    "no number": line(1, close="nan"),
    "endless": line(1, high="inf"),
    "negative volume": line(1, volume=-1),
    "endless volume": line(1, volume="inf"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_row_that_is_no_candle_costs_its_own_bar(name):
    rows = read(line(0), BAD[name], line(2))
    assert (rows.refused, numbers(rows)) == (1, [0, 2])
    assert covered(rows.table, Timeframe.H1) == (
        (START_MS, START_MS + HOUR_MS),
        (START_MS + 2 * HOUR_MS, START_MS + 3 * HOUR_MS),
    )


def test_of_rows_that_tell_the_same_bar_none_is_taken():
    rows = read(line(0), line(1), line(1, volume=2), line(2))
    assert (rows.refused, numbers(rows)) == (2, [0, 2])


def test_rows_may_stand_in_any_order():
    rows = read(line(2), line(0), line(1))
    assert (rows.refused, numbers(rows)) == (0, [0, 1, 2])


@pytest.mark.parametrize(
    ("name", "value"),
    [("quote_volume", "nan"), ("trades", -1), ("trades", 2**60), ("taker_base", "inf")],
)
def test_columns_that_make_no_sense_are_not_known(name, value):
    rows = read(line(0, **{name: value}))
    assert [len(row) for row in parquet.rows_of(rows.table)] == [6]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<Error><Code>NoSuchKey</Code></Error>",
        b"\x00\xff" * 1000,
        line(0).replace("4.15", "n/a").encode(),
        line(0).replace("4.15", "").encode(),
        line(0).rpartition(",")[0].encode(),
        f"{line(0)},1".encode(),
        line(0, trades="1.5").encode(),
        line(0, timestamp="1e15").encode(),
        f'"{line(0)}"'.encode(),
    ],
)
def test_what_is_no_csv_of_such_columns_is_refused_whole(content):
    with pytest.raises(BadPayload, match="no CSV of 12 columns"):
        parse(content, ARCHIVE.columns, Timeframe.H1, START_MS, END_MS)


def test_a_file_without_a_usable_row_covers_nothing():
    rows = read(line(24))
    assert (rows.refused, covered(rows.table, Timeframe.H1)) == (1, ())
