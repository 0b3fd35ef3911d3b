"""What an exchange refuses to stream, and how little else that concerns."""

import time
from dataclasses import replace

import pytest

from exchanges.sandbox.market.listings import TRADING
from exchanges.sandbox.symbols import DEFAULT, listings
from exchanges.stream import connection as connection_module
from exchanges.stream import refused_topics as given_up_module
from exchanges.stream import subscriptions as subscriptions_module
from exchanges.venues.binance.stream import BinanceStream
from exchanges.venues.coinbase.stream import CoinbaseStream
from livermore.market.pair import Pair, pairs_of
from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from tests.exchanges.stream.streamer.noted import announced, eventually, later

SYMBOLS = [one.symbol for one in DEFAULT if one.status == TRADING and not one.protocols]
FEW = ["BTC-USD", "ETH-USD", "SOL-USD"]
MANY_SECONDS = 60  # for dozens of messages, of which an exchange takes five a second
UNI = set(pairs_of(["UNI-USD"]))
ETH = set(pairs_of(["ETH-USD"]))
VENUES = pytest.mark.parametrize("venue", [BinanceStream, CoinbaseStream])
# Binance answers for what it leaves out as if it were there.
WAYS = pytest.mark.parametrize(
    ("venue", "way"),
    [
        (BinanceStream, "error"),
        (BinanceStream, "silent"),
        (CoinbaseStream, "error"),
        (CoinbaseStream, "silent"),
        (CoinbaseStream, "left_out"),
    ],
)


@pytest.fixture
def long_timeouts(sandbox, monkeypatch):
    """Start exchanges that take all our messages at once: what is refused needs many of them."""
    for venue in (BinanceStream, CoinbaseStream):
        monkeypatch.setattr(venue, "limits", replace(venue.limits, seconds_between_messages=0.0))
    monkeypatch.setattr(connection_module, "ACK_SECONDS", 1.0)
    monkeypatch.setattr(subscriptions_module, "LEAST_ACK_SECONDS", 0.2)

    def start(**settings):
        return sandbox(ws_messages_per_second=1000, coinbase_messages_per_second=1000, **settings)

    return start


def lines(caplog, event):
    return [line for line in caplog.messages if line.startswith(event)]


def counts_of(server, venue):
    return server.streams["binance" if venue is BinanceStream else "coinbase"]


@WAYS
def test_one_refused_name_takes_down_no_other(long_timeouts, stream, venue, way, caplog):
    server = long_timeouts()
    server.scenarios.add("refuse_subscription", way=way, symbol="UNI-USD")
    streamer, notes = stream(venue, server.ws_url, SYMBOLS, SYMBOLS)
    others = set(pairs_of(SYMBOLS)) - UNI
    eventually(
        lambda: announced(notes) == others and streamer.polled() == UNI, later(server), MANY_SECONDS
    )
    eventually(lambda: lines(caplog, "stream.given_up"))
    (line,) = lines(caplog, "stream.given_up")
    topics = sorted(venue("", {"UNI-USD": "UNIUSD"}).topics(["UNI-USD"]))
    names = [topic for topic in topics if topic != "!miniTicker@arr"]
    if venue is CoinbaseStream:
        names = [topic.replace("UNIUSD", "UNI-USD") for topic in names]
    assert f"symbol=UNI-USD topics={','.join(names)} reason=" in line
    assert {sign for sign, pairs in notes.news if pairs & UNI} == {"~"}
    assert streamer.counters()["polled"] == len(UNI)
    assert counts_of(server, venue).connects == 1


@WAYS
def test_one_refused_timeframe_is_polled_alone(long_timeouts, stream, venue, way):
    server = long_timeouts()
    server.scenarios.add("refuse_subscription", way=way, symbol="ETH-USD", timeframe="5m")
    streamer, notes = stream(venue, server.ws_url, FEW)
    longer = {Pair("ETH-USD", each) for each in LONGEST_FIRST if each is not Timeframe.M1}
    polled = {Pair("ETH-USD", Timeframe.M5)} if venue is BinanceStream else longer
    others = set(pairs_of(FEW)) - polled
    eventually(lambda: announced(notes) == others and streamer.polled() == polled, later(server))


@VENUES
def test_among_a_hundred_the_others_are_there_within_a_minute(sandbox, stream, venue):
    server = sandbox(listings=listings(104))
    names = [
        one.symbol
        for one in server.market.listings.values()
        if one.status == TRADING and one.kind == "spot" and not one.protocols
    ]
    refused_names = names[5::30]
    for symbol in refused_names:
        server.scenarios.add("refuse_subscription", symbol=symbol)
    started = time.monotonic()
    streamer, notes = stream(venue, server.ws_url, names, names)
    others = set(pairs_of(names)) - set(pairs_of(refused_names))
    while announced(notes) != others:
        assert time.monotonic() < started + 60
        later(server)()
        time.sleep(0.2)
    refused = set(pairs_of(refused_names))
    eventually(lambda: streamer.polled() == refused, later(server), MANY_SECONDS)
    counts = counts_of(server, venue)
    assert counts.most_messages_per_second <= 5
    assert (counts.connects, counts.closed) == (len(counts.attempts), {})


@VENUES
def test_all_connections_of_an_address_share_its_messages(sandbox, stream, venue):
    server = sandbox()
    server.scenarios.add("refuse_subscription", symbol="UNI-USD")
    _, notes = stream(venue, server.ws_url, SYMBOLS, SYMBOLS, topics_per_connection=10)
    message_times, most = counts_of(server, venue).message_times, 0

    def go_on():
        nonlocal most
        later(server)()
        most = max(most, len(message_times))

    eventually(lambda: announced(notes) == set(pairs_of(SYMBOLS)) - UNI, go_on, MANY_SECONDS)
    assert counts_of(server, venue).connects > 3
    assert most <= 8  # Binance's are counted by connection


@WAYS
def test_after_a_cut_a_product_that_was_delisted_takes_down_no_other(
    long_timeouts, stream, venue, way
):
    server = long_timeouts()
    streamer, notes = stream(venue, server.ws_url, FEW)
    eventually(lambda: announced(notes) == set(pairs_of(FEW)), later(server))
    server.scenarios.add("refuse_subscription", way=way, symbol="ETH-USD")
    server.scenarios.add("drop")
    eventually(lambda: streamer.polled() == ETH, later(server))
    eventually(lambda: announced(notes) == set(pairs_of(FEW)) - ETH, later(server))


@VENUES
def test_over_a_cut_what_is_refused_stays_polled_and_is_named_once(
    long_timeouts, stream, venue, caplog
):
    server = long_timeouts()
    server.scenarios.add("refuse_subscription", symbol="ETH-USD")
    streamer, notes = stream(venue, server.ws_url, FEW)
    eventually(lambda: streamer.polled() == ETH and len(announced(notes)) == 12, later(server))
    eventually(lambda: lines(caplog, "stream.given_up"))
    before = len(notes.news)
    server.scenarios.add("drop")
    others = set(pairs_of(FEW)) - ETH
    eventually(lambda: notes.news[before:] == [("-", others), ("+", others)], later(server))
    assert streamer.polled() == ETH
    assert len(lines(caplog, "stream.given_up")) == 1


@VENUES
@pytest.mark.parametrize("asked_to", [True, False], ids=["when asked to", "by itself"])
def test_what_was_given_up_is_tried_again(long_timeouts, stream, venue, asked_to, monkeypatch):
    if not asked_to:
        monkeypatch.setattr(given_up_module, "FIRST_RETRY_SECONDS", 0.3)
    server = long_timeouts()
    server.scenarios.add("refuse_subscription", symbol="ETH-USD")
    streamer, notes = stream(venue, server.ws_url, FEW)
    eventually(lambda: streamer.polled() == ETH, later(server))
    server.scenarios.clear()
    if asked_to:
        streamer.retry_given_up()
    eventually(lambda: announced(notes) == set(pairs_of(FEW)), later(server))
    assert streamer.polled() == set()
    assert counts_of(server, venue).connects == 1


@VENUES
def test_where_all_is_refused_the_connection_stays(long_timeouts, stream, venue):
    server = long_timeouts()
    for symbol in FEW:
        server.scenarios.add("refuse_subscription", symbol=symbol)
    streamer, notes = stream(venue, server.ws_url, FEW)
    eventually(lambda: streamer.polled() == set(pairs_of(FEW)), later(server))
    server.scenarios.clear()
    streamer.retry_given_up()
    eventually(lambda: announced(notes) == set(pairs_of(FEW)), later(server))
    assert counts_of(server, venue).connects == 1


@VENUES
def test_what_is_refused_can_be_removed_and_added_again(long_timeouts, stream, venue):
    server = long_timeouts()
    server.scenarios.add("refuse_subscription", symbol="ETH-USD")
    streamer, notes = stream(venue, server.ws_url, FEW)
    eventually(lambda: streamer.polled() == ETH, later(server))
    streamer.remove(["ETH-USD"])
    eventually(lambda: ("-", ETH) in notes.news, later(server))
    assert streamer.polled() == set()
    server.scenarios.clear()
    streamer.add(["ETH-USD"])
    eventually(lambda: announced(notes) == set(pairs_of(FEW)), later(server))


@VENUES
def test_a_refused_newcomer_leaves_the_others_as_they_are(long_timeouts, stream, venue):
    server = long_timeouts()
    streamer, notes = stream(venue, server.ws_url, FEW, SYMBOLS)
    eventually(lambda: announced(notes) == set(pairs_of(FEW)), later(server))
    server.scenarios.add("refuse_subscription", symbol="UNI-USD")
    before = len(notes.news)
    streamer.add(["UNI-USD", "ADA-USD"])
    ada = set(pairs_of(["ADA-USD"]))
    eventually(lambda: streamer.polled() == UNI and announced(notes) > ada, later(server))
    assert [pairs for sign, pairs in notes.news[before:] if sign == "-"] == []
    assert set().union(*(pairs for _, pairs in notes.news[before:])) == UNI | ada
