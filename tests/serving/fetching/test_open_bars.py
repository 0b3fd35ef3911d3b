"""The open bar comes with the closed ones that are fetched: an exchange is asked once for both."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from exchanges.models import Symbol
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from livermore.market.derived import BY_TEXT, DERIVED
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.fetching.holes import Fetched, _open_bars
from serving.fetching.opened import OpenBar
from tests.serving.conftest import BTC, KLINES, ROW, FixedDirectory, get, opened
from tests.serving.serving import klines, served
from tests.warmup.runners import SYMBOLS, chosen, make_row, running
from warmup.cache.candles import CandleCache

H1 = Timeframe.H1
OPENED_MS = 1_795_046_400_000
PAIR = Pair("BTC-USD", H1)
UNMONITORED = FixedDirectory(
    replace(ROW, symbols=dict.fromkeys(ROW.symbols, replace(BTC, is_monitored=False)))
)


@pytest.fixture(scope="module")
def sandbox():
    """An exchange in the middle of an hour, in which each symbol was traded."""
    start_ms = H1.floor(int(time.time() * 1000)) + H1.ms // 2
    with SandboxServer(SandboxConfig(start_ms=start_ms, listings=chosen(SYMBOLS))) as started:
        yield started


def calls_of(sandbox, before):
    return len(sandbox.requests.candles) - before


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["binance_us", "coinbase"])
@pytest.mark.parametrize("is_monitored", [True, False])
def test_who_asks_for_a_cold_pair_costs_one_call(redis, sandbox, monkeypatch, name, is_monitored):
    for holds in ("OPEN_HOLDS_SECONDS", "LONG_OPEN_HOLDS_SECONDS"):
        monkeypatch.setattr(f"serving.fetching.opened.{holds}", 60.0)
    make_row(sandbox, name=name)
    Symbol.objects.update(is_monitored=is_monitored)
    before = len(sandbox.requests.candles)
    with served(redis) as url, ThreadPoolExecutor(6) as pool:
        asked = [each.replace("-", "") for each in SYMBOLS] * 4
        answers = list(pool.map(lambda each: klines(url, each, exchange=name, limit=50), asked))
    assert {each.status_code for each in answers} == {200}, answers[0].text
    assert calls_of(sandbox, before) == len(SYMBOLS)
    open_ms = H1.floor(sandbox.clock.now_ms())
    assert {each.json()[-1][0] for each in answers} == {open_ms}
    assert {len(each.json()) for each in answers} == {50}
    true = sandbox.market.candle("BTC-USD", H1, open_ms)
    last = answers[0].json()[-1]
    assert float(last[1]) == true[1]
    assert 0 < float(last[5]) < true[5]


@pytest.fixture
def later():
    """An exchange in which an hour has ended since the open bar of two hours has begun."""
    start_ms = DERIVED["2h"].floor(int(time.time() * 1000)) + H1.ms + H1.ms // 2
    with SandboxServer(SandboxConfig(start_ms=start_ms, listings=chosen(SYMBOLS))) as started:
        yield started


@pytest.mark.django_db(transaction=True)
def test_a_runner_that_fetches_sends_the_open_bar_along(redis, later):
    row = make_row(sandbox := later)
    streamed, *others = SYMBOLS
    Symbol.objects.exclude(symbol=streamed).update(is_monitored=False)
    with running(redis, row, [streamed]), served(redis) as url:
        for symbol, interval in zip(others, ("1h", "2h"), strict=True):
            before = len(sandbox.requests.candles)
            first, again = (klines(url, symbol.replace("-", ""), interval, limit=20) for _ in "12")
            assert (first.status_code, again.text) == (200, first.text), first.text
            assert [each.symbol for each in sandbox.requests.candles[before:]] == [symbol]
            assert first.json()[-1][0] == BY_TEXT[interval].floor(sandbox.clock.now_ms())


@pytest.fixture
def brought(redis, filled, monkeypatch):
    """Return a maker of fetches that bring an open bar; it returns what is asked for it apart."""
    CandleCache(redis, 4).cut_back(PAIR, filled.open_ms - H1.ms, int(time.time() * 1000))

    def bring(ago_seconds, open_ms=filled.open_ms, seconds=0.0, has_candle=True):
        def fetch(redis, exchange_id, holes):
            told_at = time.time() - ago_seconds
            time.sleep(seconds)
            whole = ((filled.open_ms - H1.ms, filled.open_ms),)
            CandleCache(redis, 4).write(*PAIR, [filled.candles[-1]], whole)
            bar = replace(filled.open_candle, timestamp=open_ms, close=102.25)
            return Fetched({}, {PAIR: OpenBar(open_ms, bar if has_candle else None, told_at)})

        apart = []
        newest = replace(filled.open_candle, close=102.75)
        monkeypatch.setattr("serving.fetching.fetches.fetch_holes", fetch)
        monkeypatch.setattr(
            "serving.fetching.opened.fetch_open", lambda *what: apart.append(what) or newest
        )
        return apart

    return bring


def closes(answers):
    return [float(content[-1][4]) for _, content in answers]


def test_what_it_brought_is_told_for_as_long_as_an_answer_of_its_own(ask, brought, monkeypatch):
    apart = brought(ago_seconds=4.5)
    assert closes(get(ask, KLINES, directory=UNMONITORED)) == [102.25]
    assert not apart


def test_what_it_brought_long_ago_is_not_told_as_of_now(ask, brought):
    apart = brought(ago_seconds=5.5)
    assert closes(get(ask, KLINES, directory=UNMONITORED)) == [102.75]
    assert len(apart) == 1


def test_who_waited_for_it_is_told_it_however_long_that_took(ask, brought, monkeypatch):
    monkeypatch.setattr("serving.fetching.opened.LONG_OPEN_HOLDS_SECONDS", 0.1)
    apart = brought(ago_seconds=0, seconds=0.3)
    assert closes(get(ask, KLINES, KLINES, directory=UNMONITORED)) == [102.25, 102.75]
    assert len(apart) == 1


def test_a_bar_that_has_ended_meanwhile_is_told_neither_as_open_nor_as_closed(
    ask, filled, brought, monkeypatch
):
    ended_ms = filled.open_ms - H1.ms
    brought(ago_seconds=0, open_ms=ended_ms)
    ((status, content),) = get(ask, f"{KLINES}&limit=2", directory=UNMONITORED)
    assert (status, opened(content)) == (200, [ended_ms, filled.open_ms])
    assert [float(row[4]) for row in content] == [filled.candles[-1].close, 102.75]


def test_an_exchange_that_has_no_open_candle_yet_is_not_asked_for_it_again(ask, filled, brought):
    apart = brought(ago_seconds=0, has_candle=False)
    found = get(ask, *[f"{KLINES}&limit=2"] * 2, directory=UNMONITORED)
    closed = [filled.open_ms - 2 * H1.ms, filled.open_ms - H1.ms]
    assert [opened(content) for _, content in found] == [closed] * 2
    assert not apart


def test_other_servers_are_told_what_it_brought(ask, redis, brought):
    apart = brought(ago_seconds=1)
    assert closes(get(ask, KLINES, directory=UNMONITORED)) == [102.25]
    assert closes(get(ask, KLINES, directory=UNMONITORED)) == [102.25]  # by another one
    assert not apart


@pytest.mark.parametrize(
    "told",
    [
        {"symbol": "BTC-USD", "timeframe": "1h", "from": 0, "row": [1, 2], "afterMs": 1},
        {"symbol": "BTC-USD", "timeframe": "7h", "from": 0, "row": None, "afterMs": 1},
        {"symbol": "BTC-USD", "timeframe": "1h", "from": "x", "row": None, "afterMs": 1},
        *({}, None, 5),
    ],
)
def test_a_report_in_another_form_tells_of_no_open_bar(told):
    assert list(_open_bars({"openBars": [told]}, 1000.0)) == []
    assert list(_open_bars({}, 1000.0)) == []


def test_when_a_bar_was_told_is_counted_from_when_nobody_had_been_asked():
    told = {"symbol": "BTC-USD", "timeframe": "1h", "from": OPENED_MS, "row": None, "afterMs": 250}
    assert dict(_open_bars({"openBars": [told]}, 1000.0)) == {
        PAIR: OpenBar(OPENED_MS, None, 1000.25)
    }
