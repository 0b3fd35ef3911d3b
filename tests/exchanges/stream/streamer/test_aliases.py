"""Two names of one market."""

from collections import Counter
from dataclasses import replace

import pytest

from exchanges.stream.streamer import Streamer
from exchanges.venues.coinbase.stream import CoinbaseStream
from livermore.market.pair import pairs_of
from tests.exchanges.stream.streamer.noted import (
    BTC,
    ETH,
    M1,
    Notes,
    announced,
    eventually,
    go_live,
    later,
    truth,
)

USDC, ALIASES = "BTC-USDC", {"BTC-USDC": "BTC-USD"}


@pytest.fixture
def two_names(sandbox):
    """Start streamers of a Coinbase whose BTC-USDC shows BTC-USD's market."""
    running = []

    def start(symbols, aliases=ALIASES, **limits):
        server = sandbox(speed=0)
        venue = CoinbaseStream(server.ws_url, {name: name for name in (BTC, ETH, USDC)}, aliases)
        venue.limits = replace(venue.limits, seconds_between_connects=0.0, **limits)
        running.append(Streamer(venue, Notes()))
        running[-1].start(symbols)
        return server, running[-1], venue

    yield start
    for streamer in running:
        streamer.stop()


@pytest.mark.parametrize("symbols", [[BTC, USDC], [USDC, BTC], [USDC], [BTC]], ids=",".join)
def test_one_feed_is_told_under_each_of_its_names_that_is_wanted(two_names, symbols):
    server, streamer, _ = two_names(symbols)
    notes = streamer._sink
    go_live(server, notes, symbols)
    eventually(lambda: len(notes.closes(symbols[-1])) >= 3, later(server, 5000))
    eventually(lambda: notes.tickers, later(server, 5000))
    told = {name: list(notes.closes(name)) for name in (BTC, USDC)}
    for name in symbols:
        first_ms, last_ms = told[name][0][0], told[name][-1][0]
        assert told[name] == truth(server, name, M1, first_ms, last_ms)
    assert {update.symbol for update in notes.candles} == set(symbols)
    assert {ticker.symbol for ticker in notes.tickers} == set(symbols)
    assert server.streams["coinbase"].subscriptions == Counter(
        [
            "heartbeats",
            *(f"{each}:BTC-USD" for each in ("candles", "market_trades", "ticker_batch")),
        ]
    )


@pytest.mark.parametrize(("gone", "stays"), [(BTC, USDC), (USDC, BTC)])
def test_one_name_comes_and_goes_without_touching_the_other(two_names, gone, stays):
    server, streamer, _ = two_names([BTC, USDC])
    notes, counts = streamer._sink, server.streams["coinbase"]
    go_live(server, notes, [BTC, USDC])
    messages = counts.messages
    streamer.remove([gone])
    go_live(server, notes, [stays])
    seen = len(notes.candles)
    eventually(lambda: len(notes.candles) >= seen + 10, later(server, 5000))
    assert {update.symbol for update in notes.candles[seen:]} == {stays}
    streamer.add([gone])
    go_live(server, notes, [BTC, USDC])
    assert notes.news[1:] == [("-", set(pairs_of([gone]))), ("+", set(pairs_of([gone])))]
    assert (counts.messages, counts.connects) == (messages, 1)
    streamer.remove([BTC, USDC])
    eventually(lambda: set(counts.subscriptions) == {"heartbeats"})


@pytest.mark.parametrize("symbols", [[BTC, USDC], [USDC], [ETH, USDC]], ids=",".join)
@pytest.mark.parametrize("topics_per_connection", [300, 3])
def test_an_alias_that_is_learned_later_is_streamed_from_then_on(
    two_names, symbols, topics_per_connection
):
    limits = {"topics_per_connection": topics_per_connection}
    server, streamer, venue = two_names(symbols, aliases={}, **limits)
    notes, usdc = streamer._sink, set(pairs_of([USDC]))
    eventually(lambda: streamer.polled() == usdc, later(server))
    venue.learn({name: name for name in (BTC, ETH, USDC)}, ALIASES)
    streamer.retry_given_up()
    go_live(server, notes, symbols)
    assert streamer.polled() == set()
    seen = len(notes.closes(USDC))
    eventually(lambda: len(notes.closes(USDC)) >= seen + 2, later(server, 5000))
    assert announced(notes) >= usdc


def test_a_symbol_that_nobody_lists_is_not_streamed_and_spoils_nothing(two_names):
    server, streamer, _ = two_names([BTC])
    with pytest.raises(KeyError):
        streamer.add(["NOPE-USD"])
    streamer.add([ETH])
    go_live(server, streamer._sink, [BTC, ETH])
