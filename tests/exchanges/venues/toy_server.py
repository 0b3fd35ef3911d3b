"""The exchange that speaks the toy's protocol: a real server, whose time goes fast."""

import asyncio
import threading
import time
from collections import Counter
from functools import lru_cache
from itertools import product

from aiohttp import WSMsgType, web

from livermore.market.timeframe import MINUTE_MS, Timeframe
from tests.exchanges.venues.toy.stream import PRICE
from tests.exchanges.venues.toy.symbols import SWAP

SECONDS_BETWEEN_FRAMES = 0.02
SECONDS_WITHOUT_PING = 5  # then a connection is cut
MARKETS = {  # whether they are open; two of them have one name
    "BTC-USD": True,
    "ETH-USD": True,
    "DOGE-USD": False,
    "BTC-USDT": True,
    "BTC-USDT-PERP": True,
    "kPEPE-USDT-PERP": True,
}
VALUES = {"BTC-USDT-PERP": "3000.5", "kPEPE-USDT-PERP": "2000.5"}  # traded in a day


class ToyClock:
    """A time that begins at `start_ms` and goes `speed` times as fast as ours."""

    def __init__(self, start_ms, speed):
        self._start_ms, self._speed, self._began = start_ms, speed, time.monotonic()

    def now_ms(self):
        return self._start_ms + int(1000 * self._speed * (time.monotonic() - self._began))


class ToyMarket:
    """What every candle truly is: each minute follows from its number, longer bars from minutes."""

    def closed_candles(self, symbol, timeframe, start_ms, end_ms, *, traded_only=False):
        """Return the candles that open in `[start_ms, end_ms)`, as rows."""
        first = timeframe.ceil(start_ms)
        return [bar(symbol, timeframe, each) for each in range(first, end_ms, timeframe.ms)]


def minute(symbol, open_ms):
    """Return open, high, low and close in cents, and the volume in hundredths."""
    number = open_ms // MINUTE_MS + 7 * len(symbol) + ord(symbol[0])
    opened, close = (10_000 + each * 7919 % 3000 for each in (number, number + 1))
    return (
        opened,
        max(opened, close) + number % 17,
        min(opened, close) - number % 13,
        close,
        1 + number % 501,
    )


@lru_cache(maxsize=10_000)
def bar(symbol, timeframe, open_ms, until_ms=None):
    """Return a bar as a row, as it stands at `until_ms`, None for when it is over."""
    until_ms = until_ms or open_ms + timeframe.ms
    opens, highs, lows, closes, volumes = zip(
        *(minute(symbol, each) for each in range(open_ms, until_ms, MINUTE_MS)), strict=True
    )
    cents = (opens[0], max(highs), min(lows), closes[-1], sum(volumes))
    return (open_ms, *(each / 100 for each in cents))


def native(symbol):
    return "_".join(symbol.split("-")[:2])


def is_swap(symbol):
    return symbol.endswith("-PERP")


def market(symbol):
    """Return how the market of a symbol is asked for."""
    return SWAP + native(symbol) if is_swap(symbol) else native(symbol)


SYMBOLS = {market(symbol): symbol for symbol in MARKETS}
TOPICS = {"/feed": SYMBOLS.keys(), "/prices": {market + PRICE for market in SYMBOLS}}


def text(row):
    return " ".join(map(repr, row))


class ToyServer:
    """Serves REST and the stream on one port of this machine, in a thread of its own."""

    def __init__(self, start_ms, speed=1):
        self.clock, self.market = ToyClock(start_ms, speed), ToyMarket()
        self.pings: Counter[str] = Counter()  # by the path of the connection
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self._runner = self._wait(self._start())
        host, port = self._runner.addresses[0]
        self.url, self.ws_url = f"http://{host}:{port}", f"ws://{host}:{port}"
        return self

    def __exit__(self, *exception):
        self._wait(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _wait(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _start(self):
        app = web.Application()
        for path, handler in (
            ("/now", self._now),
            ("/markets", self._markets),
            ("/bars", self._bars),
            ("/feed", self._feed),
            ("/prices", self._feed),
        ):
            app.router.add_get(path, handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    async def _now(self, request):
        return web.json_response({"ms": self.clock.now_ms()})

    async def _markets(self, request):
        markets = [
            {
                "name": native(symbol),
                "swap": is_swap(symbol),
                "open": is_open,
                "value": VALUES.get(symbol, "1000.5"),
            }
            for symbol, is_open in MARKETS.items()
        ]
        return web.json_response({"markets": markets})

    async def _bars(self, request):
        symbol = SYMBOLS.get(request.query["market"])
        if symbol is None:
            return web.json_response({"wrong": "market"}, status=400)
        length_ms = 1000 * int(request.query["size"])
        timeframe = next(each for each in Timeframe if each.ms == length_ms)
        closed_ms = timeframe.floor(self.clock.now_ms())
        until_ms = min(int(request.query["to"]) + 1, closed_ms)
        rows = self.market.closed_candles(symbol, timeframe, int(request.query["from"]), until_ms)
        return web.json_response({"bars": [*map(text, rows)]})

    async def _feed(self, request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        wanted = set()
        sending = asyncio.ensure_future(self._send(socket, wanted))
        pinged_at = time.monotonic()
        try:
            while True:
                left = pinged_at + SECONDS_WITHOUT_PING - time.monotonic()
                message = await asyncio.wait_for(socket.receive(), left)
                if message.type is not WSMsgType.TEXT:
                    return socket
                if message.data == "ping":
                    pinged_at = time.monotonic()
                    self.pings[request.path] += 1
                await socket.send_str(self._reply(message.data, wanted, TOPICS[request.path]))
        except TimeoutError:
            await socket.close()
            return socket
        finally:
            sending.cancel()

    def _reply(self, message, wanted, topics):
        verb, *markets = message.split()
        if verb == "ping":
            return "pong"
        if unknown := [each for each in markets if each not in topics]:
            return f"no {unknown[0]} here"
        if verb == "more":
            wanted.update(markets)
        elif verb == "less":
            wanted.difference_update(markets)
        return " ".join(["all", *sorted(wanted)])

    async def _send(self, socket, wanted):
        """Send prices; of markets the newest bars at first, and what each minute adds to them."""
        told_ms: dict[str, int] = {}
        while True:
            await asyncio.sleep(SECONDS_BETWEEN_FRAMES)
            now_ms = self.clock.now_ms()
            for market in sorted(wanted):
                if market.endswith(PRICE):
                    await socket.send_str(price(market.removesuffix(PRICE), now_ms))
                    continue
                told = told_ms.get(market, ended(now_ms) - MINUTE_MS)
                told_ms[market] = ended(now_ms)
                minutes = range(told + MINUTE_MS, ended(now_ms) + 1, MINUTE_MS)
                for until_ms, timeframe in product(minutes, Timeframe):
                    await socket.send_str(bar_frame(market, timeframe, until_ms, now_ms))


def ended(now_ms):
    """Return when the last minute that is over ended."""
    return now_ms - now_ms % MINUTE_MS


def bar_frame(market, timeframe, until_ms, now_ms):
    open_ms = timeframe.floor(until_ms - 1)
    state = "done" if open_ms + timeframe.ms == until_ms else "open"
    row = text(bar(SYMBOLS[market], timeframe, open_ms, until_ms))
    return f"bar {market} {now_ms} {timeframe.ms // 1000} {row} {state}"


def price(market, now_ms):
    until_ms = ended(now_ms)
    day = bar(SYMBOLS[market], Timeframe.D1, until_ms - Timeframe.D1.ms, until_ms)
    _, opened, high, low, close, volume = day
    return f"price {market} {now_ms} {text((close, opened, high, low, volume))}"
