"""Markets where nothing happens, and connections on which nothing comes: told apart."""

import threading
import time
from dataclasses import replace

import pytest

from exchanges.rest.base import ExchangeClock
from exchanges.stream import connection as connection_module
from exchanges.stream import lane as lane_module
from exchanges.stream.streamer import Streamer
from exchanges.venues.binance.stream import BinanceStream
from exchanges.venues.coinbase.stream import CoinbaseStream
from livermore.market.pair import pairs_of
from tests.exchanges.stream.streamer.noted import (
    NOW_MS,
    Notes,
    announced,
    eventually,
    go_live,
    later,
)

BTC, ETH, AERO = "BTC-USD", "ETH-USD", "AERO-USD"
VENUES = pytest.mark.parametrize("venue", [BinanceStream, CoinbaseStream])


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Let what is half a minute take half a second."""
    monkeypatch.setattr(connection_module, "SILENCE_SECONDS", 1.5)
    monkeypatch.setattr(connection_module, "PONG_SECONDS", 1.0)
    monkeypatch.setattr(connection_module, "ACK_SECONDS", 0.5)
    monkeypatch.setattr(connection_module, "QUIET_SECONDS", 0.3)
    monkeypatch.setattr(lane_module, "LEAST_SILENCE_SECONDS", 0.8)
    monkeypatch.setattr(lane_module, "SECONDS_BETWEEN_LISTENING", 0.02)


class Rest:
    """Says whether there were trades; `asked` is what it was asked."""

    def __init__(self, answer=False):
        self.answer, self.asked = answer, []
        self.clock = ExchangeClock(lambda: NOW_MS)

    def has_traded(self, symbols, since_ms):
        self.asked.append((list(symbols), since_ms))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def live(sandbox):
    """Start a streamer of an exchange that stands still, and of what REST says of it."""
    running = []

    def start(venue, symbols=(BTC, ETH), trades=None, **settings):
        server = sandbox(**{"ws_ping_seconds": 0.2, "ws_messages_per_second": 100} | settings)
        names = {name: name for name in (BTC, ETH, AERO)}
        native = {name: name.replace("-", "") for name in names}
        one = venue(server.ws_url, native if venue is BinanceStream else names)
        one.limits = replace(one.limits, seconds_between_connects=0.0)
        running.append(Streamer(one, Notes(), trades) if trades else Streamer(one, Notes()))
        running[-1].start(symbols)
        return server, running[-1], running[-1]._sink

    yield start
    for streamer in running:
        streamer.stop()


def counts_of(server, venue):
    return server.streams["binance" if venue is BinanceStream else "coinbase"]


def for_a_while(seconds, meanwhile=lambda: None):
    ends_at = time.monotonic() + seconds
    eventually(lambda: time.monotonic() > ends_at, meanwhile)


@pytest.mark.parametrize("pings", [0.2, 3600], ids=["pings come", "nothing comes at all"])
@VENUES
def test_a_market_without_a_trade_is_announced_and_keeps_its_connection(live, venue, pings):
    server, streamer, notes = live(venue, ws_ping_seconds=pings)
    eventually(lambda: announced(notes) == set(pairs_of([BTC, ETH])))
    for_a_while(4)
    assert [sign for sign, _ in notes.news] == ["+"]
    assert counts_of(server, venue).connects == 1
    assert streamer.counters()["connections"] == 1


def test_a_quiet_pair_without_tickers_keeps_its_connection(live):
    server, _, notes = live(BinanceStream, [AERO], Rest(False))
    for kind in ("no_tickers", "no_untraded_close"):
        server.scenarios.add(kind)
    go_live(server, notes, [AERO])
    for _ in range(5):  # frames for a moment, and then none for a while
        for_a_while(0.2, later(server, 20_000))
        for_a_while(1.2)
    assert counts_of(server, BinanceStream).connects == 1


@pytest.mark.parametrize("kind", ["silence", "pong_only"])
@VENUES
def test_where_data_used_to_come_silence_without_an_answer_ends_the_connection(live, venue, kind):
    server, _, notes = live(venue)
    go_live(server, notes, [BTC, ETH])
    for_a_while(1.0, later(server, 2000))
    server.scenarios.add(kind, sockets="old")
    eventually(lambda: counts_of(server, venue).connects == 2, later(server, 2000))
    eventually(lambda: announced(notes) == set(pairs_of([BTC, ETH])), later(server, 2000))


@VENUES
def test_who_answers_and_sends_nothing_is_left_if_rest_tells_of_trades(live, venue):
    rest = Rest(None)  # nobody knows yet: the exchange stands still while this test does
    server, _, notes = live(venue, trades=rest)
    go_live(server, notes, [BTC, ETH])
    for_a_while(1.0, later(server, 2000))
    server.scenarios.add("answers_only", sockets="old")
    received_ms = server.clock.now_ms()
    rest.asked.clear()
    rest.answer = True
    eventually(lambda: counts_of(server, venue).connects == 2, later(server, 2000))
    (symbols, since_ms), *_ = rest.asked
    assert set(symbols) == {BTC, ETH}
    assert received_ms - 600_000 < since_ms <= received_ms
    eventually(lambda: announced(notes) == set(pairs_of([BTC, ETH])), later(server, 2000))


@VENUES
def test_who_answers_and_sends_nothing_stays_if_nothing_traded(live, venue):
    rest = Rest(False)
    server, _, notes = live(venue, trades=rest)
    go_live(server, notes, [BTC, ETH])
    for_a_while(1.0, later(server, 2000))
    eventually(lambda: rest.asked)
    for_a_while(4)
    assert counts_of(server, venue).connects == 1
    assert 1 <= len(rest.asked) <= 3  # ever more rarely


@VENUES
@pytest.mark.parametrize("answer", [None, OSError("away")], ids=["no REST", "REST is away"])
def test_where_rest_says_nothing_what_used_to_come_decides_but_not_for_ever(live, venue, answer):
    trades = None if answer is None else Rest(answer)
    server, _, notes = live(venue, trades=trades)
    go_live(server, notes, [BTC, ETH])
    for_a_while(1.0, later(server, 2000))
    eventually(lambda: counts_of(server, venue).connects == 2)
    for_a_while(4)
    assert counts_of(server, venue).connects <= 4


def test_an_answer_of_rest_to_an_earlier_silence_decides_nothing(live):
    may_answer, rest = threading.Event(), Rest(True)
    answer = rest.has_traded

    def wait_and_answer(symbols, since_ms):
        found = answer(symbols, since_ms)
        may_answer.wait(10)
        rest.answer = False
        return found

    rest.has_traded = wait_and_answer
    server, _, notes = live(BinanceStream, trades=rest)
    go_live(server, notes, [BTC, ETH])
    for_a_while(1.0, later(server, 2000))
    eventually(lambda: rest.asked)
    seen = len(notes.candles)
    eventually(lambda: len(notes.candles) > seen + 50, later(server, 2000))
    may_answer.set()
    eventually(lambda: len(rest.asked) > 1)
    for_a_while(1.0)
    assert counts_of(server, BinanceStream).connects == 1


def test_a_deaf_connection_that_never_sent_anything_is_left_if_rest_tells_of_trades(live):
    server, _, notes = live(BinanceStream, trades=Rest(True), scenarios=({"kind": "answers_only"},))
    eventually(lambda: counts_of(server, BinanceStream).connects >= 2, later(server, 2000))
    server.scenarios.clear()
    go_live(server, notes, [BTC, ETH])


def test_what_the_exchange_does_not_list_is_subscribed_again(live):
    server, _, notes = live(BinanceStream, trades=Rest(False))
    left_out = server.scenarios.add("refuse_subscription", way="left_out", symbol=BTC, times=1)
    eventually(lambda: left_out.hits)
    server.scenarios.add("silent_symbol", symbol=ETH)
    for_a_while(0.5, later(server, 2000))
    eventually(lambda: notes.closes(BTC), later(server, 2000))
    assert counts_of(server, BinanceStream).connects == 1


def test_a_ticker_that_stopped_is_subscribed_again_and_then_done_without(live):
    server, _, notes = live(BinanceStream, ws_ping_seconds=3600)
    go_live(server, notes, [BTC, ETH])
    for_a_while(1.0, later(server, 2000))
    counts = counts_of(server, BinanceStream)
    messages = counts.messages
    server.scenarios.add("no_tickers")
    eventually(lambda: counts.messages == messages + 3, later(server, 2000))
    for_a_while(3, later(server, 2000))  # ever more rarely: it may be gone for ever
    assert counts.messages <= messages + 8
    assert counts.connects == 1
