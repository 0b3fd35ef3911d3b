"""Many connections as one stream, against the sandbox's sockets and against scripted ones."""

import json
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest
import websockets.sync.server
from websockets.exceptions import ConnectionClosed

from exchanges.sandbox.binance.settings import BinanceSettings
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from exchanges.stream import connection as connection_module
from exchanges.stream import lane as lane_module
from exchanges.stream import streamer as streamer_module
from exchanges.stream.connection import Connection
from exchanges.stream.lane import Lane
from exchanges.stream.streamer import StreamEnded, Streamer
from exchanges.transport import backoff
from exchanges.venues.binance.stream import BinanceStream
from exchanges.venues.coinbase.stream import CoinbaseStream
from livermore.market.pair import pairs_of
from livermore.market.timeframe import MINUTE_MS, Timeframe

NOW_MS = 1_790_000_123_456  # 2026-09-21 14:15:23.456 UTC, in the middle of a minute
M1, M5 = Timeframe.M1, Timeframe.M5
BTC, ETH, SOL = "BTC-USD", "ETH-USD", "SOL-USD"
WAIT_SECONDS = 15


class Notes:
    """A sink that writes down what it is told."""

    def __init__(self):
        self.candles, self.trades, self.tickers, self.times = [], [], [], []
        self.news = []  # ("+", "-" or "~", pairs) as they are streamed, not any more, or polled
        self.ticks = self.told = 0
        self.told_early = 0  # candles that were told between two rounds

    def candle(self, update):
        self.candles.append(update)

    def trade(self, trade):
        self.trades.append(trade)

    def ticker(self, ticker):
        self.tickers.append(ticker)

    def traded(self, event):
        pass

    def quiet(self, event):
        pass

    def clock(self, time_ms):
        self.times.append(time_ms)

    def received_until(self, time_ms):
        pass

    def connected(self, pairs):
        self.news.append(("+", set(pairs)))

    def disconnected(self, pairs):
        if pairs:
            self.news.append(("-", set(pairs)))

    def polled(self, pairs):
        self.news.append(("~", set(pairs)))

    def closed(self):
        self.told_early += len(self.candles) - self.told
        self.told = len(self.candles)

    def tick(self):
        self.told = len(self.candles)
        self.ticks += 1

    def closes(self, symbol, timeframe=M1):
        """Return the closed bars of a pair as rows, in the order they were told."""
        return [
            tuple(each.candle.values())
            for each in self.candles
            if each.closed and (each.symbol, each.candle.timeframe) == (symbol, timeframe)
        ]


def eventually(condition, meanwhile=lambda: None, seconds=WAIT_SECONDS):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never happened"
        meanwhile()
        time.sleep(0.005)
    return found


@pytest.fixture(autouse=True)
def prompt(monkeypatch):
    """Let everything that is a matter of timeouts alone happen at once."""
    monkeypatch.setattr(connection_module, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(streamer_module, "PUMP_SECONDS", 0.005)
    monkeypatch.setattr(backoff, "FIRST_RECONNECT_SECONDS", 0.05)


@pytest.fixture
def sandbox():
    """Start exchanges whose time stands still unless it is moved."""
    with ExitStack() as running:

        def start(**settings):
            settings = {"start_ms": NOW_MS, "speed": 0} | settings
            return running.enter_context(SandboxServer(SandboxConfig(**settings)))

        yield start


@pytest.fixture
def stream():
    """Start streamers, and stop them after the test."""
    running = []

    def start(venue, url, symbols, names=(BTC, ETH, SOL), sink=None, **limits):
        native = {name: name.replace("-", "") for name in names}
        venue_stream = venue(url, native if venue is BinanceStream else dict.fromkeys(names))
        if venue is CoinbaseStream:
            venue_stream = venue(url, {name: name for name in names})
        quick = {"seconds_between_connects": 0.0} | limits
        venue_stream.limits = replace(venue.limits, **quick)
        notes = sink or Notes()
        streamer = Streamer(venue_stream, notes)
        running.append(streamer)
        streamer.start(symbols)
        return streamer, notes

    yield start
    for streamer in running:
        streamer.stop()


def later(server, milliseconds=1000):
    """Return a function that lets the exchange's time go on."""

    def go_on():
        server.clock.advance(milliseconds)
        server.send_due()

    return go_on


def announced(notes):
    """Return the pairs that the sink believes to be streamed."""
    streamed = set()
    for sign, pairs in list(notes.news):
        streamed = streamed | pairs if sign == "+" else streamed - pairs
    return streamed


def go_live(server, notes, symbols):
    pairs = set(pairs_of(symbols))
    eventually(lambda: announced(notes) == pairs, later(server))


def truth(server, symbol, timeframe, first_ms, last_ms, **options):
    return [
        tuple(row)
        for row in server.market.closed_candles(
            symbol, timeframe, first_ms, last_ms + timeframe.ms, **options
        )
    ]


class TickingServer:
    """A server that closes a bar of BTC-USD on every connection, time and again."""

    def __init__(self, every=0.004):
        self.number = self.most_open = 0
        self._every = every
        self.ready = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def serve(self, client):
        with suppress(ConnectionClosed):
            for message in client:
                self._stopping.wait(0.05)  # it takes its time, and meanwhile bars close
                client.send(json.dumps({"result": None, "id": json.loads(message)["id"]}))
                if client not in self.ready:
                    self.ready.append(client)
                    self.most_open = max(self.most_open, len(self.ready))
        self.ready.remove(client)

    def __enter__(self):
        options = {"ping_interval": None, "close_timeout": 0.2}
        self._server = websockets.sync.server.serve(self.serve, "127.0.0.1", 0, **options)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        if self._every:
            self._thread.start()
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}"
        return self

    def __exit__(self, *error):
        self._stopping.set()
        if self._every:
            self._thread.join()
        self._server.shutdown()

    def _run(self):
        while not self._stopping.wait(self._every):
            self.send_all()

    def send_all(self, closed=True):
        frame = kline(self.number, closed)
        self.number += 1
        for client in list(self.ready):
            with suppress(ConnectionClosed):
                client.send(frame)


def open_time(number):
    return M1.floor(NOW_MS) + number * MINUTE_MS


def kline(number, closed=True):
    opened = open_time(number)
    prices = dict.fromkeys("ohlcv", "1")
    bar = {"t": opened, "i": "1m", **prices, "x": closed}
    data = {"e": "kline", "E": opened + MINUTE_MS, "s": "BTCUSD", "k": bar}
    return json.dumps({"stream": "btcusd@kline_1m", "data": data}, separators=(",", ":"))


# -- What comes through


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
    lane = Lane(BinanceStream("ws://127.0.0.1:1", {BTC: "BTCUSD"}), notes, None, {}, None, None)
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


# -- What is asked of the thread that calls the sink


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


# -- Sharing out


def test_topics_are_shared_out_at_the_limit_and_none_is_doubled(sandbox, stream):
    server, symbols = sandbox(), [BTC, ETH, SOL]
    streamer, notes = stream(BinanceStream, server.ws_url, symbols[:2], topics_per_connection=8)
    go_live(server, notes, symbols[:2])
    streamer.add(symbols)
    go_live(server, notes, symbols)
    counts = server.streams["binance"]
    assert (counts.open, counts.most_streams) == (3, 8)
    assert counts.subscriptions == Counter(
        ["!miniTicker@arr"]
        + [f"{name}usd@kline_{each}" for name in ("btc", "eth", "sol") for each in Timeframe]
    )
    assert counts.most_messages_per_second <= 5
    assert streamer.counters()["connections"] == 3


def test_connections_are_opened_one_after_the_other(sandbox, stream):
    server, symbols = sandbox(), [BTC, ETH, SOL]
    limits = {"topics_per_connection": 5, "seconds_between_connects": 0.2, "connects_at_once": 1}
    _, notes = stream(BinanceStream, server.ws_url, symbols, **limits)
    go_live(server, notes, symbols)
    attempts = list(server.streams["binance"].attempts)
    assert len(attempts) == 4
    assert all(second - first > 0.18 for first, second in pairwise(attempts))


def test_the_first_few_connections_are_opened_at_once(sandbox, stream):
    server, symbols = sandbox(), [BTC, ETH, SOL]
    limits = {"topics_per_connection": 5, "seconds_between_connects": 1.0, "connects_at_once": 3}
    _, notes = stream(BinanceStream, server.ws_url, symbols, **limits)
    go_live(server, notes, symbols)
    attempts = list(server.streams["binance"].attempts)
    assert len(attempts) == 4
    assert attempts[-1] - attempts[0] > 0.98
    assert attempts[-1] - attempts[-2] > 0.5, "the others did not wait"


def test_a_thousand_symbols_are_asked_for_with_two_seconds_of_pauses():
    names = {f"S{number:04d}-USD": f"S{number:04d}USD" for number in range(1005)}
    streamer, limits = Streamer(BinanceStream("ws://-", names), Notes()), BinanceStream.limits
    streamer.add(names)
    pauses, sandbox = [], BinanceSettings()
    for number, lane in enumerate(streamer._lanes):
        assert streamer._may_connect(), f"{number} were opened at once"
        messages = BinanceStream("ws://-", names).session().subscribe(lane.topics)
        pauses.append((len(messages) - 1) * limits.seconds_between_messages)
        assert len(lane.topics) <= sandbox.ws_streams
        assert max(len(message.encode()) for message in messages) < sandbox.ws_message_bytes
    assert sum(len(lane.topics) for lane in streamer._lanes) == 1 + 6 * 1005
    assert max(pauses) <= 2  # and a second for the exchange
    # One message a second is left for a pong, and a third of the connections for others.
    assert 1 / limits.seconds_between_messages <= sandbox.ws_messages_per_second - 1
    in_5_minutes = limits.connects_at_once + 300 / limits.seconds_between_connects
    assert in_5_minutes < 0.75 * sandbox.ws_connects_per_5_minutes


def test_symbols_come_and_go_without_touching_the_others(sandbox, stream):
    server = sandbox()
    streamer, notes = stream(BinanceStream, server.ws_url, [BTC, ETH])
    go_live(server, notes, [BTC, ETH])
    counts = server.streams["binance"]
    messages, news = counts.messages, len(notes.news)
    streamer.add([SOL, BTC])
    go_live(server, notes, [BTC, ETH, SOL])
    streamer.remove([ETH])
    go_live(server, notes, [BTC, SOL])
    assert notes.news[news:] == [("+", set(pairs_of([SOL]))), ("-", set(pairs_of([ETH])))]
    eventually(lambda: counts.messages == messages + 2)  # one to subscribe, one to unsubscribe
    assert counts.connects == 1
    assert {name[:3] for name in counts.subscriptions} == {"!mi", "btc", "sol"}
    streamer.add([ETH])
    go_live(server, notes, [BTC, ETH, SOL])


def test_a_removed_symbol_makes_room_for_another(sandbox, stream):
    server = sandbox()
    streamer, notes = stream(BinanceStream, server.ws_url, [BTC], topics_per_connection=7)
    go_live(server, notes, [BTC])
    streamer.remove([BTC])
    streamer.add([SOL])
    go_live(server, notes, [SOL])
    assert server.streams["binance"].connects == 1


# -- Two names of one market

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


# -- Coming back


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


# -- Silence


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
