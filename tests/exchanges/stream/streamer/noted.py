"""A sink that writes down what a streamer tells, and servers whose frames it tells."""

import json
import threading
import time
from contextlib import suppress

import websockets.sync.server
from websockets.exceptions import ConnectionClosed

from exchanges.stream.events import CandleUpdate
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

    def concluded(self, event):
        self.candles.append(CandleUpdate(event.symbol, event.candle, closed=True))

    def revised(self, event):
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
