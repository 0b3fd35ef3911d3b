"""What a file says of itself: who has no manifest knows from it what is complete."""

import json
from pathlib import Path

import pyarrow.parquet
import pytest

from exchanges.errors import Temporary
from exchanges.models import Exchange
from history import parquet
from history.decoded import Decoded, size_of
from history.models import HistoryFile, PairHistory
from history.months import Month
from history.places.folder import Folder
from history.store.store import HistoryStore
from livermore.market.candle import Candle
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe

pytestmark = pytest.mark.django_db(transaction=True)

H1 = Timeframe.H1
PAIR = Pair("BTC-USD", H1)
JULY, AUGUST = Month(2026, 7), Month(2026, 8)


@pytest.fixture
def store(folder, db):
    row = Exchange.objects.get(name="sandbox")
    return HistoryStore(folder, row, Decoded(10_000_000))


def candles(first_ms, count):
    return [
        Candle(first_ms + at * H1.ms, 100.5, 102.25, 99.125, 101 + at / 1000, 0.125, H1)
        for at in range(count)
    ]


def path_of(folder, month):
    return f"{folder}/exchange=sandbox/symbol=BTC-USD/timeframe=1h/{month}.parquet"


def said(folder, month):
    metadata = pyarrow.parquet.read_schema(path_of(folder, month)).metadata
    return json.loads(metadata[parquet.METADATA])


def test_a_file_says_of_which_pair_it_is_and_what_it_is_all_of(store, folder):
    start = JULY.start_ms
    store.write(PAIR, candles(start, 3), ((start, start + 3 * H1.ms),))
    pair = {"exchange": "sandbox", "symbol": "BTC-USD", "timeframe": "1h"}
    known = [[start, start + 3 * H1.ms]]
    assert said(folder, JULY) == {"pair": pair, "coverage": known}
    later = start + 10 * H1.ms
    store.write(PAIR, candles(later, 2), ((later, later + 2 * H1.ms),))
    assert said(folder, JULY)["coverage"] == [*known, [later, later + 2 * H1.ms]]


def test_the_first_file_says_what_was_before_it_and_others_what_is_in_their_month(store, folder):
    start, next_month = JULY.start_ms, AUGUST.start_ms
    store.write(PAIR, candles(start, 5), ((start, next_month + H1.ms),))
    before = start - 400 * 24 * H1.ms
    store.write(PAIR, [], ((before, start),))  # proven empty, when the file was there
    store.write(PAIR, candles(start + 5 * H1.ms, 1), ((start + 5 * H1.ms, next_month),))
    assert said(folder, JULY)["coverage"] == [[before, next_month]]
    assert said(folder, AUGUST)["coverage"] == [[next_month, next_month + H1.ms]]
    assert HistoryFile.objects.count() == 2  # none of the months before the first candle


def encoded(store, month, count, *, known=(), is_first=True):
    """Return a month of so many candles as bulk files bring it."""
    covered = ((month.start_ms, month.start_ms + count * H1.ms),)
    table = parquet.table_of([each.row() for each in candles(month.start_ms, count)])
    return store.encode(PAIR, month, table, covered, known, is_first=is_first)


def test_months_that_were_encoded_before_are_written_as_they_are(store, folder):
    months = [encoded(store, JULY, 3), encoded(store, AUGUST, 2, is_first=False)]
    store.add(PAIR, months)
    for each in months:
        assert Path(path_of(folder, each.month)).read_bytes() == each.content
    assert store.coverage(PAIR) == months[0].covered + months[1].covered
    assert [file.rows for file in HistoryFile.objects.order_by("month")] == [3, 2]


def test_a_month_that_says_too_little_of_what_lies_before_it_is_encoded_again(store, folder):
    start = JULY.start_ms
    before = start - 400 * 24 * H1.ms
    store.write(PAIR, [], ((before, start),))
    store.add(PAIR, [encoded(store, JULY, 3, is_first=False)])
    assert said(folder, JULY)["coverage"] == [[before, start + 3 * H1.ms]]
    assert len(store.read(PAIR, start, JULY.next.start_ms).rows) == 3


def test_a_month_of_which_there_is_a_file_keeps_what_else_lies_there(store, folder):
    later = JULY.start_ms + 3 * H1.ms
    store.write(PAIR, candles(later, 2), ((later, later + 2 * H1.ms),))
    store.add(PAIR, [encoded(store, JULY, 3)])
    found = store.read(PAIR, JULY.start_ms, JULY.next.start_ms)
    assert found.rows == [each.row() for each in [*candles(JULY.start_ms, 3), *candles(later, 2)]]
    assert said(folder, JULY)["coverage"] == [list(each) for each in found.covered]
    written = HistoryFile.objects.get().changed_at
    store.add(PAIR, [encoded(store, JULY, 3)])  # nothing new
    assert HistoryFile.objects.get().changed_at == written


def test_what_was_read_is_read_again_where_it_has_changed(store, folder):
    start = JULY.start_ms
    store.write(PAIR, candles(start, 3), ((start, start + 3 * H1.ms),))
    assert len(store.read(PAIR, start, JULY.next.start_ms).rows) == 3
    store.write(PAIR, candles(start, 5), ((start, start + 5 * H1.ms),))
    found = store.read(PAIR, start + H1.ms, JULY.next.start_ms)
    assert found.rows == [each.row() for each in candles(start, 5)[1:]]
    assert found.covered == ((start + H1.ms, start + 5 * H1.ms),)


def test_rows_with_columns_and_without_become_a_table():
    rows = [[1, 4.0, 5.0, 3.0, 4.5, 7.0, 8.0, 9, 1.0, 2.0], [2, 4.0, 5.0, 3.0, 4.5, 7.0]]
    for some in (rows, rows[:1], rows[1:], []):
        table = parquet.table_of(some)
        assert table.schema == parquet.schema()
        assert parquet.rows_of(table) == some
        assert parquet.load(parquet.dump(table)).equals(table)


def test_tables_that_were_read_take_no_more_room_than_they_may():
    tables = [parquet.table_of([each.row() for each in candles(JULY.start_ms, 10)])] * 3
    decoded = Decoded(2 * size_of(tables[0]))
    for at, table in enumerate(tables):
        decoded.put(str(at), "digest", table)
        decoded.get("0", ["digest"])
    kept = [str(at) for at in range(3) if decoded.get(str(at), ["digest"]) is not None]
    assert kept == ["0", "2"]
    assert decoded.bytes == 2 * size_of(tables[0])
    assert decoded.get("0", ["another"]) is None


def test_a_file_that_the_manifest_has_lost_is_taken_up_before_more_is_written(store, folder):
    start = JULY.start_ms
    store.write(PAIR, candles(start, 10), ((start, start + 10 * H1.ms),))
    PairHistory.objects.all().delete()  # as where another database is put back
    later = start + 20 * H1.ms
    store.write(PAIR, candles(later, 1), ((later, later + H1.ms),))
    found = store.read(PAIR, start, JULY.next.start_ms)
    assert found.rows == [each.row() for each in [*candles(start, 10), *candles(later, 1)]]
    assert found.covered == ((start, start + 10 * H1.ms), (later, later + H1.ms))


@pytest.mark.parametrize("of_another", [False, True])
def test_a_file_that_nobody_knows_and_that_is_not_its_own_is_set_aside(store, folder, of_another):
    start = JULY.start_ms
    path = Path(path_of(folder, JULY))
    if of_another:
        store.write(Pair("ETH-USD", H1), candles(start, 2), ((start, start + 2 * H1.ms),))
        content = Path(str(path).replace("BTC-USD", "ETH-USD")).read_bytes()
    else:
        content = b"no Parquet file"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    store.write(PAIR, candles(start, 1), ((start, start + H1.ms),))
    found = store.read(PAIR, start, JULY.next.start_ms)
    assert found == ([candles(start, 1)[0].row()], ((start, start + H1.ms),))
    aside = path_of(folder, JULY).replace(str(folder), f"{folder}/damaged")
    assert Path(aside).read_bytes() == content


def test_what_was_set_aside_before_stays_where_it_is(store, folder):
    start, path = JULY.start_ms, Path(path_of(folder, JULY))
    for number in range(3):
        store.write(PAIR, candles(start, 2), ((start, start + 2 * H1.ms),))
        path.write_bytes(b"damage %d" % number)
        store.write(PAIR, candles(start, 1), ((start, start + H1.ms),))
    aside = sorted(path.name for path in Path(f"{folder}/damaged").rglob("*.parquet*"))
    assert aside == ["2026-07.parquet", "2026-07.parquet.2", "2026-07.parquet.3"]
    kept = {path.read_bytes() for path in Path(f"{folder}/damaged").rglob("*.parquet*")}
    assert kept == {b"damage 0", b"damage 1", b"damage 2"}


MONTHS = [Month(2026, number) for number in range(1, 10)]


def a_bar_a_month():
    """Return a candle at the beginning of each month, and from when to when they go."""
    found = [each for month in MONTHS for each in candles(month.start_ms, 1)]
    return found, ((MONTHS[0].start_ms, MONTHS[-1].next.start_ms),)


def test_what_was_written_before_a_month_that_failed_counts(store, folder, monkeypatch):
    found, covered = a_bar_a_month()
    write, written = Folder.write, []

    def fail_at_the_eighth(self, path, content):
        if len(written) == 7:
            raise Temporary("the disk is full")
        written.append(path)
        write(self, path, content)

    monkeypatch.setattr(Folder, "write", fail_at_the_eighth)
    with pytest.raises(Temporary, match="the disk is full"):
        store.write(PAIR, found, covered)
    known = ((MONTHS[0].start_ms, MONTHS[7].start_ms),)
    assert (store.coverage(PAIR), store.read(PAIR, *covered[0]).covered) == (known, known)
    monkeypatch.setattr(Folder, "write", write)
    store.write(PAIR, found, covered)
    assert store.read(PAIR, *covered[0]) == ([each.row() for each in found], covered)


def test_one_month_of_several_that_another_has_written_is_told(store, folder, monkeypatch):
    found, covered = a_bar_a_month()
    write, late = Folder.write, MONTHS[2]

    def be_overtaken(self, path, content):
        write(self, path, content)
        if str(late) in path:
            HistoryFile.objects.filter(month=str(late)).update(digest="f" * 64, next_digest="")

    monkeypatch.setattr(Folder, "write", be_overtaken)
    with pytest.raises(Temporary, match=f"another process has written .*{late}"):
        store.write(PAIR, found, covered)
    assert store.coverage(PAIR) == (
        (MONTHS[0].start_ms, late.start_ms),
        (late.next.start_ms, MONTHS[6].start_ms),
    )
