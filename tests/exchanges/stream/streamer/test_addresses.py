"""Topics at several addresses, and pings of the exchange's own kind, against a real server."""

import logging
from contextlib import ExitStack
from dataclasses import replace

import pytest

from exchanges.stream.streamer import Streamer
from livermore.market.pair import pairs_of
from tests.exchanges.stream.streamer.noted import BTC, ETH, Notes, announced, eventually
from tests.exchanges.venues import toy_server
from tests.exchanges.venues.toy.stream import ToyStream
from tests.exchanges.venues.toy_server import ToyServer
from tests.warmup.runners import MIDNIGHT_MS

NAMES = {BTC: "BTC_USD", ETH: "ETH_USD"}


@pytest.fixture(scope="module")
def server():
    with ToyServer(MIDNIGHT_MS, speed=60) as one:
        yield one


@pytest.fixture
def toys(server):
    """Stream symbols of the toy, within other limits than its own."""
    with ExitStack() as running:

        def start(symbols, names=NAMES, **limits):
            stream, notes = ToyStream(server.ws_url, names), Notes()
            stream.limits = replace(ToyStream.limits, **limits)
            streamer = Streamer(stream, notes)
            running.callback(streamer.stop)
            streamer.start(symbols)
            return streamer, notes

        yield start


def carried(streamer):
    """Return the path and the topics of each connection."""
    return sorted(
        (lane.address.rpartition("/")[2], sorted(lane.topics)) for lane in streamer._lanes
    )


def test_a_connection_carries_topics_of_one_address_alone(server, toys):
    streamer, notes = toys([BTC, ETH])
    eventually(lambda: announced(notes) == set(pairs_of([BTC, ETH])) and notes.tickers)
    assert carried(streamer) == [
        ("feed", ["BTC_USD", "ETH_USD"]),
        ("prices", ["BTC_USD/price", "ETH_USD/price"]),
    ]
    assert streamer.counters()["connections"] == 2
    streamer.remove([ETH])
    assert carried(streamer) == [("feed", ["BTC_USD"]), ("prices", ["BTC_USD/price"])]


def test_at_each_address_connections_hold_no_more_than_they_may(server, toys):
    streamer, notes = toys([BTC], topics_per_connection=1)
    streamer.add([ETH])
    assert carried(streamer) == [
        ("feed", ["BTC_USD"]),
        ("feed", ["ETH_USD"]),
        ("prices", ["BTC_USD/price"]),
        ("prices", ["ETH_USD/price"]),
    ]
    eventually(lambda: {each.symbol for each in notes.tickers} == {BTC, ETH})
    assert announced(notes) == set(pairs_of([BTC, ETH]))


def test_who_pings_as_the_exchange_wants_it_stays(server, toys, monkeypatch):
    monkeypatch.setattr(toy_server, "SECONDS_WITHOUT_PING", 0.5)
    before = server.pings.copy()
    streamer, notes = toys([BTC], ping_seconds=0.1)
    eventually(lambda: min((server.pings - before)[each] for each in ("/feed", "/prices")) > 10)
    assert streamer.counters()["reconnects"] == 0
    assert streamer.counters()["unknown"] == streamer.counters()["malformed"] == 0
    assert announced(notes) == set(pairs_of([BTC]))


def test_who_does_not_is_cut_and_the_log_says_at_which_address(server, toys, monkeypatch, caplog):
    monkeypatch.setattr(toy_server, "SECONDS_WITHOUT_PING", 0.3)
    streamer, _ = toys([BTC], ping_seconds=None)
    with caplog.at_level(logging.WARNING):
        eventually(lambda: streamer.counters()["reconnects"] > 1)
    urls = {text.partition("url=")[2].split()[0] for text in caplog.messages if "url=" in text}
    assert urls == {f"{server.ws_url}/feed", f"{server.ws_url}/prices"}


def test_what_is_refused_at_one_address_costs_nothing_at_the_other(server, toys):
    streamer, notes = toys([BTC, ETH], names=NAMES | {ETH: "ETH_OLD"})
    eventually(lambda: announced(notes) == set(pairs_of([BTC])) and notes.tickers)
    eventually(lambda: streamer.polled() == set(pairs_of([ETH])))
    assert streamer.counters()["connections"] == 2
