"""OKX's two addresses over real sockets: pings, what is refused, upgrades, silence."""

import time
from contextlib import ExitStack
from dataclasses import replace

import pytest

from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from exchanges.stream import connection as connection_module
from exchanges.stream.streamer import Streamer
from exchanges.transport import backoff
from exchanges.venues.okx.stream import OkxStream
from livermore.market.pair import pairs_of
from livermore.market.timeframe import Timeframe
from tests.exchanges.stream.streamer.noted import M1, Notes, announced, eventually, later, truth
from tests.exchanges.venues.conftest import NOW_MS

SPOT, PERP, GONE = "BTC-USDT", "BTC-USDT-PERP", "NOPE-USDT"
NAMES = {SPOT: SPOT, PERP: "BTC-USDT-SWAP", GONE: GONE}


@pytest.fixture(autouse=True)
def prompt(monkeypatch):
    monkeypatch.setattr(connection_module, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(backoff, "FIRST_RECONNECT_SECONDS", 0.05)


@pytest.fixture
def live():
    """Start a streamer of a sandbox whose time stands still."""
    with ExitStack() as running:

        def live(symbols, limits=None, **settings):
            usual = {"start_ms": NOW_MS, "speed": 0, "okx_connects_per_second": 10**3}
            server = running.enter_context(SandboxServer(SandboxConfig(**usual | settings)))
            stream = OkxStream(f"{server.ws_url}/ws/v5", NAMES)
            quick = {"seconds_between_connects": 0.0, "seconds_between_messages": 0.02}
            stream.limits = replace(stream.limits, **quick | (limits or {}))
            notes = Notes()
            streamer = Streamer(stream, notes)
            running.callback(streamer.stop)
            streamer.start(symbols)
            return server, streamer, notes

        yield live


def for_a_while(seconds):
    ends_at = time.monotonic() + seconds
    eventually(lambda: time.monotonic() > ends_at)


def test_a_market_that_is_silent_keeps_its_connections_by_pings(live):
    server, streamer, notes = live([SPOT], {"ping_seconds": 0.2}, okx_idle_seconds=0.7)
    eventually(lambda: announced(notes) == set(pairs_of([SPOT])))
    for_a_while(2.0)
    assert (server.streams["okx"].connects, server.streams["okx"].open) == (2, 2)
    assert not server.streams["okx"].closed
    assert streamer.counters()["unknown"] == 0


def test_without_pings_they_would_be_cut_and_are_there_again(live):
    server, _, notes = live([SPOT], {"ping_seconds": None}, okx_idle_seconds=0.7)
    eventually(lambda: server.streams["okx"].closed[4004] >= 2)
    eventually(lambda: server.streams["okx"].connects >= 4)
    eventually(lambda: announced(notes) == set(pairs_of([SPOT])))


def test_both_kinds_are_streamed_as_the_exchange_has_them(live):
    server, _, notes = live([SPOT, PERP])
    eventually(lambda: announced(notes) == set(pairs_of([SPOT, PERP])), later(server))
    eventually(
        lambda: min(len(notes.closes(SPOT)), len(notes.closes(PERP))) >= 3, later(server, 5000)
    )
    for symbol in (SPOT, PERP):
        closes = list(notes.closes(symbol))
        assert closes == truth(server, symbol, M1, closes[0][0], closes[-1][0])
    assert {ticker.symbol for ticker in notes.tickers} == {SPOT, PERP}
    assert max(notes.times) <= server.clock.now_ms()


def test_a_symbol_that_is_gone_costs_nobody_else_anything(live):
    server, streamer, notes = live([SPOT, PERP, GONE])
    good, bad = set(pairs_of([SPOT, PERP])), set(pairs_of([GONE]))
    eventually(lambda: good <= announced(notes) and streamer.polled() == bad, later(server))
    assert set(server.streams["okx"].subscriptions) == {
        f"{channel}:{NAMES[symbol]}"
        for symbol in (SPOT, PERP)
        for channel in ("tickers", "candle1m", "candle5m", "candle15m", "candle1H", "candle4H",
                        "candle1Dutc")
    }  # fmt: skip
    assert server.streams["okx"].messages < 40  # of 480 an hour, on two connections


def test_a_notice_moves_both_over_before_they_are_closed(live):
    server, streamer, notes = live([SPOT])
    eventually(lambda: announced(notes) == set(pairs_of([SPOT])), later(server))
    server.scenarios.add("early_cut", protocol="okx", delay=3.0)
    eventually(lambda: server.streams["okx"].connects == 4, later(server, 500))
    eventually(lambda: server.streams["okx"].open == 2, later(server, 500))
    assert streamer.counters()["reconnects"] == 0
    assert [sign for sign, _ in notes.news if sign == "-"] == []


def test_who_asked_too_often_in_an_hour_goes_on_with_another_connection(live):
    server, streamer, notes = live([SPOT], okx_requests_per_hour=1)
    eventually(lambda: announced(notes) == set(pairs_of([SPOT])), later(server))
    streamer.add([PERP])
    eventually(lambda: announced(notes) == set(pairs_of([SPOT, PERP])), later(server))
    assert server.streams["okx"].connects == 4
    assert streamer.polled() == set()


def test_days_are_streamed_as_those_of_utc(live):
    midnight_ms = Timeframe.D1.ceil(NOW_MS)
    server, _, notes = live([PERP], start_ms=midnight_ms - 20_000)
    eventually(lambda: notes.closes(PERP, Timeframe.D1), later(server))
    ((opened, *_),) = notes.closes(PERP, Timeframe.D1)
    assert opened == midnight_ms - Timeframe.D1.ms
