"""Topics of which nothing comes although the exchange took them."""

import time
from types import SimpleNamespace

import pytest

from exchanges.stream import streamer as streamer_module
from exchanges.stream.connection import Connection
from exchanges.stream.events import CandleUpdate, Concluded
from exchanges.stream.lane import Lane
from exchanges.venues.binance.stream import BinanceStream
from livermore.market.candle import Candle
from livermore.market.pair import pairs_of
from tests.exchanges.stream.streamer.noted import (
    BTC,
    ETH,
    M1,
    M5,
    Notes,
    eventually,
    go_live,
    later,
    open_time,
)


@pytest.fixture
def clock(monkeypatch):
    """Return a dial that puts the streamer's clock, and no other, ahead by so many seconds."""
    dial = SimpleNamespace(ahead=0.0)
    fake = SimpleNamespace(monotonic=lambda: time.monotonic() + dial.ahead)
    monkeypatch.setattr(streamer_module, "time", fake)
    return dial


def test_a_stream_that_fell_silent_is_subscribed_anew_and_no_other(sandbox, stream, clock):
    server = sandbox()
    server.scenarios.add("ack_without_data", timeframe="1m", times=1)
    _, notes = stream(BinanceStream, server.ws_url, [BTC])
    go_live(server, notes, [BTC])
    messages = server.streams["binance"].messages
    eventually(lambda: notes.closes(BTC, M5), later(server, 20_000))
    assert notes.closes(BTC) == []
    clock.ahead += 130
    eventually(lambda: notes.closes(BTC), later(server, 20_000))
    assert server.streams["binance"].messages == messages + 2
    assert server.streams["binance"].connects == 1


def test_a_quiet_pair_is_asked_for_twice_and_then_left(sandbox, stream, clock):
    server = sandbox(ws_messages_per_second=100)
    server.scenarios.add("silent_symbol", symbol=ETH)
    symbols, at_once = [BTC, ETH], {"seconds_between_messages": 0.0}
    _, notes = stream(BinanceStream, server.ws_url, symbols, **at_once)
    go_live(server, notes, symbols)
    messages, asked = server.streams["binance"].messages, []
    for _ in range(14):
        clock.ahead += 40  # after the fourth time the pair is not waited for any more
        seen = len(notes.candles), notes.ticks + 3
        eventually(
            lambda seen=seen: len(notes.candles) > seen[0] and notes.ticks > seen[1],
            later(server),
        )
        asked.append(server.streams["binance"].messages - messages)
    assert asked[1] == 0  # 80 s: at the third time it may be due, by what has passed meanwhile
    assert asked[-1] == 4  # two to unsubscribe, two to subscribe
    # What may have been missed while it was subscribed anew is looked for.
    assert notes.news == [("+", set(pairs_of(symbols)))] * 3


class ConcludingStream(BinanceStream):
    concludes_bars = True


def test_where_silence_proves_bars_it_is_asked_about_ever_again(sandbox, stream, clock):
    server = sandbox(ws_messages_per_second=100)
    server.scenarios.add("silent_symbol", symbol=ETH)
    at_once = {"seconds_between_messages": 0.0}
    natives = {"names": ()}
    streamer, notes = stream(ConcludingStream, server.ws_url, [], **natives, **at_once)
    streamer._stream.learn({BTC: "BTCUSD", ETH: "ETHUSD"})
    streamer.add([BTC, ETH])
    go_live(server, notes, [BTC, ETH])
    messages, asked = server.streams["binance"].messages, []
    for _ in range(14):
        clock.ahead += 40
        seen = len(notes.candles), notes.ticks + 3
        eventually(
            lambda seen=seen: len(notes.candles) > seen[0] and notes.ticks > seen[1],
            later(server),
        )
        asked.append(server.streams["binance"].messages - messages)
    assert asked[-1] == 6  # two minutes, four, eight: each time one to end and one to begin
    # What can't be read may have been of any: those that are silent are shown anew, once.
    [lane] = streamer._lanes
    lane._current.inbox.put([b"no frame", b"nor this"])
    eventually(lambda: server.streams["binance"].messages == messages + 8)
    for _ in range(2):
        clock.ahead += 1
        seen = notes.ticks + 3
        eventually(lambda seen=seen: notes.ticks > seen, later(server))
    assert server.streams["binance"].messages == messages + 8


def test_a_bar_that_is_only_concluded_is_told_and_is_no_sign_of_life():
    notes = Notes()
    lane = Lane(BinanceStream("ws://-", {}), "ws://-", notes, None, {}, None, None)
    connection = Connection(BinanceStream("ws://-", {}), [])
    bar = Candle(open_time(0), 1.0, 1.0, 1.0, 1.0, 0.0, M1)
    connection.session.parse = lambda frame: [Concluded(BTC, bar)]
    connection.inbox.put([b"{}"])
    lane._read(connection, 5.0)
    assert notes.candles == [CandleUpdate(BTC, bar, closed=True)]
    assert lane._received_at == {}
