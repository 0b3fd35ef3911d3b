"""What comes through a streamer, against the sandbox's sockets and against scripted ones."""

import threading

import pytest

from exchanges.stream import lane as lane_module
from exchanges.stream import streamer as streamer_module
from exchanges.stream.connection import Connection
from exchanges.stream.lane import Lane
from exchanges.stream.streamer import StreamEnded
from exchanges.venues.binance.stream import BinanceStream
from exchanges.venues.coinbase.stream import CoinbaseStream
from livermore.market.timeframe import Timeframe
from tests.exchanges.stream.streamer.noted import (
    BTC,
    ETH,
    M1,
    SOL,
    WAIT_SECONDS,
    Notes,
    TickingServer,
    eventually,
    go_live,
    kline,
    later,
    open_time,
    truth,
)


@pytest.mark.parametrize("venue", [BinanceStream, CoinbaseStream])
def test_closed_minutes_are_those_that_the_exchange_has(sandbox, stream, venue):
    server = sandbox()
    _, notes = stream(venue, server.ws_url, [BTC, ETH])
    go_live(server, notes, [BTC, ETH])
    eventually(
        lambda: min(len(notes.closes(BTC)), len(notes.closes(ETH))) >= 3, later(server, 5000)
    )
    for symbol in (BTC, ETH):
        closes = list(notes.closes(symbol))
        assert closes == truth(server, symbol, M1, closes[0][0], closes[-1][0])


def test_binance_tells_all_timeframes_tickers_and_the_time(sandbox, stream):
    server = sandbox(start_ms=1_790_035_200_000 - 20_000)  # before midnight UTC: all six close
    streamer, notes = stream(BinanceStream, server.ws_url, [BTC])
    go_live(server, notes, [BTC])
    eventually(lambda: all(notes.closes(BTC, timeframe) for timeframe in Timeframe), later(server))
    assert {ticker.symbol for ticker in notes.tickers} == {BTC, ETH, SOL}
    eventually(lambda: notes.times[-1] == server.clock.now_ms(), server.send_due)
    assert streamer.counters()["frames"] >= len(notes.candles)


def test_what_came_before_the_end_is_handed_over(stream, monkeypatch):
    with TickingServer(every=None) as server:
        streamer, notes = stream(BinanceStream, server.url, [BTC])
        eventually(lambda: notes.news, server.send_all)
        monkeypatch.setattr(streamer_module, "PUMP_SECONDS", WAIT_SECONDS)
        ticks = notes.ticks
        eventually(lambda: notes.ticks > ticks)  # now the pump rests
        first = server.number
        for _ in range(20):
            server.send_all()
        assert server.ready[0].ping().wait(WAIT_SECONDS)  # so it has read what came before
        streamer.stop()
    assert [row[0] for row in notes.closes(BTC)][-20:] == [open_time(first + n) for n in range(20)]


def test_what_came_after_the_last_look_is_told_though_the_connection_has_ended_by_then(
    stream, monkeypatch
):
    with TickingServer(every=None) as server:
        _, notes = stream(BinanceStream, server.url, [BTC])
        eventually(lambda: notes.news, server.send_all)
        read, gone = Connection.read, []

        def read_and_go(connection, **options):
            events = read(connection, **options)
            if connection.opened and not gone:
                gone.append(server.number)
                server.send_all()
                for client in list(server.ready):
                    client.close()
                connection.ended.wait(WAIT_SECONDS)
            return events

        monkeypatch.setattr(Connection, "read", read_and_go)
        eventually(lambda: gone)
        eventually(lambda: open_time(gone[0]) in [row[0] for row in notes.closes(BTC)])


def test_a_frame_that_closes_a_bar_is_read_at_once_and_no_other(stream, monkeypatch):
    with TickingServer(every=None) as server:
        _, notes = stream(BinanceStream, server.url, [BTC])
        eventually(lambda: notes.news, server.send_all)
        monkeypatch.setattr(streamer_module, "PUMP_SECONDS", 2 * WAIT_SECONDS)
        ticks = notes.ticks
        eventually(lambda: notes.ticks > ticks)  # now the pump rests
        before, early = len(notes.candles), notes.told_early
        server.send_all(closed=False)
        server.send_all()
        eventually(lambda: notes.told_early > early)
        assert {each.closed for each in notes.candles[before:]} == {True}
        assert notes.ticks == ticks + 1


def test_closes_go_between_the_open_candles_of_a_round(monkeypatch):
    monkeypatch.setattr(lane_module, "FRAMES_TOGETHER", 2)
    seen, notes = [], Notes()
    lane = Lane(BinanceStream("ws://-", {}), "ws://-", notes, None, {}, None, None)
    connection = Connection(BinanceStream("ws://127.0.0.1:1", {BTC: "BTCUSD"}), [])
    connection.inbox.put(kline(number, closed=False).encode() for number in range(5))
    lane._current = connection
    lane._read_all(connection, 0.0, lambda: seen.append(len(notes.candles)))
    assert (seen, len(notes.candles)) == ([0, 2, 4], 5)


def test_a_flood_of_closes_keeps_no_round_from_coming(stream, monkeypatch):
    monkeypatch.setattr(streamer_module, "PUMP_SECONDS", 0.02)
    with TickingServer(every=0.0005) as server:
        _, notes = stream(BinanceStream, server.url, [BTC])
        eventually(lambda: notes.told_early > 20)
        ticks = notes.ticks
        eventually(lambda: notes.ticks > ticks + 3)


def test_of_an_open_bar_only_the_newest_of_several_rounds_is_read(stream):
    with TickingServer(every=None) as server:
        _, notes = stream(BinanceStream, server.url, [BTC])
        eventually(lambda: notes.news, server.send_all)
        (client,) = server.ready

        def show():
            client.send(kline(server.number, closed=False))
            assert client.ping().wait(WAIT_SECONDS)  # so it has come

        seen, before = len(notes.candles), notes.ticks
        eventually(lambda: notes.ticks > before + 100, show)
        rounds = notes.ticks - before
        assert 0 < len(notes.candles) - seen <= rounds / streamer_module.ROUNDS + 2


def test_a_sink_that_fails_ends_it_all_and_leaves_the_error(sandbox, stream):
    class Full(Notes):
        def candle(self, update):
            raise OSError("no space left on device")

    server = sandbox()
    streamer, _ = stream(BinanceStream, server.ws_url, [BTC], sink=Full())
    eventually(lambda: isinstance(streamer.error, OSError), later(server))
    eventually(lambda: server.streams["binance"].open == 0)


def test_what_is_asked_is_done_between_two_rounds_and_not_once_it_has_ended(sandbox, stream):
    streamer, _ = stream(BinanceStream, sandbox().ws_url, [BTC])
    name = streamer.between_rounds(lambda: threading.current_thread().name)
    assert name.result(WAIT_SECONDS) == "streamer"
    streamer.stop()
    with pytest.raises(StreamEnded):
        streamer.between_rounds(lambda: "too late").result(WAIT_SECONDS)


def test_what_waits_when_the_stream_ends_is_not_done_and_what_was_cancelled_is_left(
    sandbox, stream
):
    standing, going_on, done = threading.Event(), threading.Event(), []

    class Failing(Notes):
        def tick(self):
            standing.set()
            going_on.wait(WAIT_SECONDS)
            raise OSError("no space left on device")

    streamer, _ = stream(BinanceStream, sandbox().ws_url, [BTC], sink=Failing())
    assert standing.wait(WAIT_SECONDS)
    waiting, cancelled = (streamer.between_rounds(lambda: done.append(1)) for _ in range(2))
    assert cancelled.cancel()
    going_on.set()
    assert isinstance(waiting.exception(WAIT_SECONDS), StreamEnded)
    assert isinstance(streamer.error, OSError)
    assert done == []
