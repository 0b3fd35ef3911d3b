"""Candles that are older than Redis has: by serve and from the files themselves, the same."""

import json
from dataclasses import replace
from pathlib import Path

import livermore_reader
import pyarrow.parquet
import pytest
from livermore_reader import BadRequest, Incomplete, frames
from livermore_reader.candles import SIX, TEN
from livermore_reader.sources.files.months import HistoryFiles

from exchanges.redis.directory import publish_exchanges
from history.places.folder import Folder
from history.reading import FIRST_TRADE_MS
from livermore.market.pair import Pair
from serving.candles.history import History
from tests.conftest import SERVER
from tests.history.past import BTC, H1, KEPT, Past
from tests.history.test_files import path_of
from tests.reader.test_both_ways import Both
from tests.serving.conftest import fail, say_streamed
from tests.serving.serving import served

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = H1.ms


@pytest.fixture
def past(redis, tmp_path, settings, monkeypatch):
    settings.HISTORY = str(tmp_path)
    monkeypatch.setattr("serving.fetching.fetches.fetch_holes", fail)
    monkeypatch.setattr("serving.fetching.opened.fetch_open", lambda *which: None)
    found = Past(Folder(tmp_path), redis)
    say_streamed(redis, found.row.pk)
    publish_exchanges(redis)
    return found


@pytest.fixture(params=[1000, 70], ids=["", "in pages"])
def both(request, redis, past, tmp_path, monkeypatch):
    monkeypatch.setattr("livermore_reader.sources.http.pages.MOST_ROWS", request.param)
    with (
        served(redis, history=History()) as url,
        livermore_reader.connect(SERVER.url, history=tmp_path) as by_redis,
        livermore_reader.connect(url) as by_http,
    ):
        yield Both(by_redis, by_http)


QUESTIONS = [
    {"count": 2000}, {"count": 101}, {"count": 300, "live": True}, {"start": 0, "count": 1500},
    {"start": 0, "end": 50}, {"start": 10}, {"start": 2890, "end": 2960}, {"end": 500, "count": 40},
    {"start": 2800, "live": True}, {"start": 3.5, "end": 20.5, "count": 5}, {"count": 100},
]  # fmt: skip


@pytest.mark.parametrize("timeframe", ["1h", "6h"])
def test_older_ranges_are_told_alike(past, both, timeframe):
    parts = {"1h": 1, "6h": 6}[timeframe]
    whole_ms = -(-past.first_ms // (24 * HOUR)) * 24 * HOUR  # a day begins there
    sources = set()
    for question in QUESTIONS:
        how = question | {
            name: whole_ms + int(question[name] * HOUR)
            for name in ("start", "end")
            if name in question
        }
        if "count" in how:
            how["count"] = max(1, how["count"] // parts)
        if timeframe == "1h" or "live" not in how:
            found = both.read("sandbox", BTC, timeframe, **how)
            assert found["complete"], question
            sources.add(found["source"])
    assert {"history", "cache+history"} <= sources


def test_more_than_both_hold_is_an_error(past, both):
    before = past.first_ms - 5 * HOUR
    for lm in both.readers:
        with pytest.raises(Incomplete) as error:
            lm.read("sandbox", BTC, "1h", start=before, strict=True)
        assert error.value.missing[0][0] == before


def test_the_first_file_says_that_nothing_was_before_it(past, both):
    past.store.write(Pair(BTC, H1), [], ((FIRST_TRADE_MS, past.first_ms),))
    found = both.read("sandbox", BTC, "1h", start=1_000_000_000_000, count=3)
    assert [row[0] for row in found["rows"]] == [past.first_ms + at * HOUR for at in range(3)]


@pytest.fixture
def by_files(past, tmp_path, monkeypatch):
    monkeypatch.setenv("LIVERMORE_HISTORY", str(tmp_path))
    with livermore_reader.connect(SERVER.url) as reader:
        yield reader


def test_nothing_is_missing_of_days_on_which_there_was_nothing_to_trade(past, by_files):
    past.store.write(Pair(BTC, H1), [], ((FIRST_TRADE_MS, past.first_ms),))
    end = past.open_ms - 100 * HOUR
    for count in (8000, 20_000):  # since 2005, and since before this century
        found = by_files.read("sandbox", BTC, "1d", count, end=end, strict=True)
        assert (found.source, 110 < len(found.rows) < 130) == ("history", True)


def test_a_file_that_was_written_anew_is_read_anew(past, by_files):
    start = past.first_ms
    assert by_files.read("sandbox", BTC, "1h", 1, start=start).rows[0][1] == 100.5
    changed = [type(past.candles[0])(start, 100.0, 101.0, 99.0, 100.0, 1.0, H1)]
    past.store.write(Pair(BTC, H1), changed, ((start, start + HOUR),))
    assert by_files.read("sandbox", BTC, "1h", 1, start=start).rows[0][1] == 100.0


def test_a_frame_of_files_is_that_of_its_rows(past, by_files):
    what = ("sandbox", BTC, "1h", 2950)
    found = by_files.read(*what, live=True)
    for columns, names in ((None, SIX), ("all", TEN)):
        frame = by_files.candles(*what, live=True, strict=True, columns=columns)
        assert frame.equals(frames.pandas(replace(found, rows=list(found.rows)), names))
        assert frame.attrs["livermore"]["source"] == "cache+history"
    assert [list(each) for each in found.rows] == [
        [*each, *[None] * 4] for each in past.rows(KEPT - 2950)
    ]


def test_longer_bars_of_files_are_those_of_their_rows(past, by_files):
    what = ("sandbox", BTC, "6h", 400)
    found = by_files.read(*what, live=True)
    frame = by_files.candles(*what, live=True, strict=True)
    assert frame.equals(frames.pandas(replace(found, rows=list(found.rows)), SIX))


def test_of_a_file_no_more_columns_are_read_than_are_looked_at(past, by_files):
    by_files.candles("sandbox", BTC, "1h", 2000)
    with_six = {*by_files.source._candles._history._contents}
    by_files.candles("sandbox", BTC, "1h", 2000, columns="all")
    with_ten = {*by_files.source._candles._history._contents} - with_six
    assert {width for _, width in with_six} == {len(SIX)}
    assert {width for _, width in with_ten} == {len(TEN)}


@pytest.mark.parametrize("damage", ["cut", "changed", "of another pair", "silent"])
def test_a_file_that_is_not_what_was_written_is_not_believed(past, by_files, tmp_path, damage):
    second = sorted(Path(path_of(tmp_path, "")).parent.glob("*.parquet"))[1]
    content = second.read_bytes()
    if damage == "cut":
        second.write_bytes(content[:-30])
    elif damage == "changed":
        second.write_bytes(content[:300] + bytes([content[300] ^ 255]) + content[301:])
    else:
        table = pyarrow.parquet.read_table(second)
        said = json.loads(table.schema.metadata[b"livermore"])
        said["pair"]["symbol"] = "ETH-USD"
        # Nothing is said of themselves by files that were written before they said it.
        metadata = {b"livermore": json.dumps(said)} if damage == "of another pair" else {}
        pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), second)
    with pytest.raises(Incomplete, match=r"the files in .* lack those from"):
        by_files.read("sandbox", BTC, "1h", start=past.first_ms)


def test_a_folder_that_is_not_there_is_told_where_it_was_asked_for(tmp_path, monkeypatch):
    with pytest.raises(BadRequest, match=r"history: there is no folder .*/hist0ry"):
        livermore_reader.connect(SERVER.url, history=tmp_path / "hist0ry")
    monkeypatch.setenv("LIVERMORE_HISTORY", str(tmp_path / "hist0ry"))  # it may come later
    livermore_reader.connect(SERVER.url).close()


def test_a_home_is_found_as_the_service_does(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "history").mkdir()
    livermore_reader.connect(SERVER.url, history="~/history").close()
    assert str(HistoryFiles("~/history")) == str(tmp_path / "history")


def test_serve_reads_its_own_history():
    with pytest.raises(BadRequest, match="serve"):
        livermore_reader.connect("http://127.0.0.1:1", history="var/history")
    with pytest.raises(BadRequest, match="folder"):
        livermore_reader.connect(SERVER.url, history="https://bucket/history")
