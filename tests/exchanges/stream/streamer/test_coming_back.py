"""Connections that end, and those that come after them."""

import socket
import time

from exchanges.venues.binance.stream import BinanceStream
from exchanges.venues.coinbase.stream import CoinbaseStream
from livermore.market.pair import pairs_of
from livermore.market.timeframe import MINUTE_MS
from tests.exchanges.stream.streamer.noted import (
    BTC,
    ETH,
    SOL,
    TickingServer,
    announced,
    eventually,
    go_live,
    later,
)


def test_after_a_cut_the_sink_learns_that_it_is_down_and_up_again(sandbox, stream):
    server = sandbox()
    streamer, notes = stream(BinanceStream, server.ws_url, [BTC])
    go_live(server, notes, [BTC])
    server.scenarios.add("drop")
    eventually(lambda: len(notes.news) == 3, later(server))
    pairs = set(pairs_of([BTC]))
    assert notes.news == [("+", pairs), ("-", pairs), ("+", pairs)]
    assert streamer.counters()["reconnects"] == 1
    assert streamer.counters()["connections"] == 1
    assert server.streams["binance"].open == 1


def test_one_connection_that_ends_does_not_concern_the_pairs_of_another(stream):
    with TickingServer() as server:
        streamer, notes = stream(BinanceStream, server.url, [BTC, ETH], topics_per_connection=7)
        eventually(lambda: announced(notes) == set(pairs_of([BTC, ETH])))
        before = len(notes.news)
        server.ready[0].close()
        eventually(lambda: len(notes.news) == before + 2)
        streamer.stop()
    (gone, lost), (back, found) = notes.news[before:]
    assert (gone, back) == ("-", "+")
    assert lost == found
    assert lost in (set(pairs_of([BTC])), set(pairs_of([ETH])))


def test_it_never_gives_up_while_it_is_refused(sandbox, stream):
    server = sandbox()
    refusal = server.scenarios.add("refuse", status=503)
    _, notes = stream(BinanceStream, server.ws_url, [BTC])
    eventually(lambda: server.streams["binance"].refused >= 4)
    assert notes.news == []
    server.scenarios.clear()
    assert refusal
    go_live(server, notes, [BTC])


def test_lost_frames_are_announced_so_that_they_are_healed(sandbox, stream):
    server = sandbox()
    streamer, notes = stream(CoinbaseStream, server.ws_url, [BTC])
    go_live(server, notes, [BTC])
    server.scenarios.add("loss", chance=1.0, times=1)
    pairs = set(pairs_of([BTC]))
    eventually(lambda: notes.news == [("+", pairs), ("+", pairs)], later(server))
    assert streamer.counters()["lost"] == 1
    assert server.streams["coinbase"].connects == 1


def test_an_announced_end_is_bridged(sandbox, stream):
    server = sandbox()
    _, notes = stream(BinanceStream, server.ws_url, [BTC])
    go_live(server, notes, [BTC])
    server.scenarios.add("early_cut", delay=5)
    eventually(lambda: len(notes.news) == 2, later(server))
    assert {sign for sign, _ in notes.news} == {"+"}
    eventually(lambda: server.streams["binance"].open == 1)
    assert server.streams["binance"].connects == 2


def test_renewing_a_connection_leaves_no_gap_between_frames(stream):
    with TickingServer() as server:
        streamer, notes = stream(BinanceStream, server.url, [BTC], longest_life_seconds=0.25)
        eventually(lambda: len(notes.news) >= 4)
        streamer.stop()
        assert server.most_open == 2
    seen = {row[0] for row in notes.closes(BTC)}
    assert {sign for sign, _ in notes.news} == {"+"}
    assert seen == set(range(min(seen), max(seen) + MINUTE_MS, MINUTE_MS))


def test_a_server_that_never_answers_does_not_hold_up_the_others(sandbox, stream):
    server = sandbox()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"ws://127.0.0.1:{mute.getsockname()[1]}"
        stuck, nothing = stream(BinanceStream, url, [BTC])
        _, notes = stream(BinanceStream, server.ws_url, [BTC])
        go_live(server, notes, [BTC])
        assert nothing.news == []
        started = time.monotonic()
        stuck.stop()
        assert time.monotonic() - started < 3


def test_it_ends_in_time_however_many_connections_are_being_made(stream):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"ws://127.0.0.1:{mute.getsockname()[1]}"
        streamer, _ = stream(BinanceStream, url, [BTC, ETH, SOL], topics_per_connection=4)
        eventually(lambda: all(lane._current for lane in streamer._lanes))
        assert len(streamer._lanes) == 5
        streamer.stop()
        assert not streamer._thread.is_alive()
