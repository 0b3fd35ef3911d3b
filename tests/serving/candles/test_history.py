"""Ranges that are older than Redis has: answered from history, by every protocol."""

import io
import logging
import sys
import threading

import pyarrow
import pytest
import requests

from exchanges.errors import Unreachable
from history.places.folder import Folder
from history.reading import FIRST_TRADE_MS
from livermore.market.pair import Pair
from serving.candles.history import History
from tests.history.past import BTC, CACHED, H1, KEPT, Past
from tests.serving.conftest import fail, say_streamed
from tests.serving.serving import klines, served

pytestmark = pytest.mark.django_db(transaction=True)

SOURCE = "X-Livermore-Source"


def away(*which):
    raise Unreachable("nobody is asked here")


@pytest.fixture
def past(redis, tmp_path, settings, monkeypatch):
    """Return a past that nobody fetches anything for."""
    settings.HISTORY = str(tmp_path)
    monkeypatch.setattr("serving.fetching.fetches.fetch_holes", fail)
    monkeypatch.setattr("serving.fetching.opened.fetch_open", lambda *which: None)
    monkeypatch.setattr("serving.fetching.stretches.fetch_once", away)
    found = Past(Folder(tmp_path), redis)
    found.row.rest_url = "http://127.0.0.1:9"  # nobody listens there
    found.row.save()
    say_streamed(redis, found.row.pk)
    return found


@pytest.fixture
def url(redis, past):
    with served(redis, history=History()) as url:
        yield url


def opened(rows):
    return [int(row[0]) for row in rows]


def times(past, first, last):
    return [past.first_ms + at * H1.ms for at in range(first, last)]


def test_binances_klines_are_answered_from_history(past, url):
    found = klines(url, startTime=past.first_ms, limit=1000)
    assert opened(found.json()) == times(past, 0, 1000)
    assert found.json()[7][4] == "101.00070000"
    said = found.headers
    assert (said[SOURCE], said["Cache-Status"]) == ("history", "livermore; hit")
    assert said["X-Livermore-Complete"] == "1"
    assert int(said["X-Livermore-Newest-Close"]) == past.open_ms
    assert 0 <= int(said["Age"]) < 3600


def test_both_are_joined_up_to_the_open_candle(past, url):
    found = klines(url, limit=1000)
    assert opened(found.json()) == [*times(past, KEPT - 999, KEPT), past.open_ms]
    assert found.headers[SOURCE] == "cache+history"
    assert klines(url, limit=CACHED).headers[SOURCE] != "cache+history"
    end_ms = past.first_ms + 500 * H1.ms
    assert opened(klines(url, endTime=end_ms, limit=10).json()) == times(past, 491, 501)


def test_longer_bars_are_made_of_history(past, url):
    found = klines(url, interval="6h", limit=100)
    assert len(found.json()) == 100
    assert found.headers[SOURCE] == "cache+history"
    days = klines(url, interval="1d", endTime=past.open_ms - 400 * H1.ms, limit=20)
    assert (len(days.json()), days.headers[SOURCE]) == (20, "history")


def test_our_own_interface_tells_the_same_as_json_and_as_arrow(past, url):
    start, end = past.first_ms, past.first_ms + 700 * H1.ms
    asked = {"exchange": "sandbox", "symbol": BTC, "timeframe": "1h", "start": start, "end": end}
    told = requests.get(f"{url}/v1/candles", params=asked | {"limit": 1000}, timeout=30).json()
    assert opened(told["candles"]) == times(past, 0, 700)
    assert (told["complete"], told["source"]) == (True, "history")
    accept = {"Accept": "application/vnd.apache.arrow.stream"}
    found = requests.get(f"{url}/v1/candles", params=asked, headers=accept, timeout=30)
    table = pyarrow.ipc.open_stream(io.BytesIO(found.content)).read_all()
    assert table.column("close").to_pylist() == [row[4] for row in past.rows(0, len(table))]


def test_what_neither_has_is_told_by_who_takes_a_part(past, url):
    asked = {"exchange": "sandbox", "symbol": BTC, "timeframe": "1h", "limit": 100}
    asked |= {"start": past.first_ms - 10 * H1.ms, "end": past.first_ms + 20 * H1.ms}
    assert requests.get(f"{url}/v1/candles", params=asked, timeout=30).status_code == 503
    told = requests.get(f"{url}/v1/candles", params=asked | {"partial": 1}, timeout=30).json()
    assert told["missing"] == [[past.first_ms - 10 * H1.ms, past.first_ms]]
    assert (opened(told["candles"]), told["source"]) == (times(past, 0, 20), "history")


def test_the_oldest_there_ever_were_are_known_where_nothing_is_proven_to_be_before(past, url):
    past.store.write(Pair(BTC, H1), [], ((FIRST_TRADE_MS, past.first_ms),))
    found = klines(url, startTime=0, limit=5)
    assert (opened(found.json()), found.headers[SOURCE]) == (times(past, 0, 5), "history")


def test_coinbases_candles_are_answered_from_history(past, redis):
    past.row.venue = "coinbase"
    past.row.save()
    start = past.first_ms // 1000
    with served(redis, history=History()) as url:
        path = f"{url}/sandbox/api/v3/brokerage/market/products/{BTC}/candles"
        asked = {"start": start, "end": start + 99 * 3600, "granularity": "ONE_HOUR"}
        found = requests.get(path, params=asked, timeout=30)
    starts = [1000 * int(each["start"]) for each in reversed(found.json()["candles"])]
    assert (starts, found.headers[SOURCE]) == (times(past, 0, 100), "history")


def test_who_hangs_is_not_waited_for(past, redis, monkeypatch, caplog):
    monkeypatch.setattr("serving.candles.history.LONGEST_READ_SECONDS", 0.2)
    ending = threading.Event()
    monkeypatch.setattr("history.places.folder.Folder.read", lambda *which: ending.wait(20))
    with served(redis, history=History()) as url, caplog.at_level(logging.WARNING):
        assert klines(url, startTime=past.first_ms, limit=5).status_code != 200
        ending.set()
    assert "takes longer than" in caplog.text


def test_without_pyarrow_it_is_served_as_before_and_said_once(past, redis, monkeypatch, caplog):
    from history import parquet

    parquet.library.cache_clear()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    try:
        with served(redis, history=History()) as url, caplog.at_level(logging.WARNING):
            for _ in range(2):
                assert klines(url, startTime=past.first_ms, limit=5).status_code != 200
            assert klines(url, limit=5).status_code == 200
    finally:
        parquet.library.cache_clear()
    said = [each for each in caplog.messages if each.startswith("serving.no_history")]
    assert len(said) == 1
    assert "pip install -r requirements-history.txt" in said[0]
