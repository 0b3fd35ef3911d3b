"""A browser's side of the Network page's socket, against the real channel layer and Redis."""

import asyncio
import functools
import time
from contextlib import asynccontextmanager
from unittest import mock

import orjson
from asgiref.sync import async_to_sync
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import Client

from livermore.market import keys

ORIGIN = b"http://localhost"
SECONDS = 10


def in_a_loop(test):
    """Let an async test run: what it asks of the database happens here, in the transaction."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        # Channels closes connections in which a transaction is open, as its own test tools know.
        with mock.patch("channels.db.close_old_connections", lambda: None):
            return async_to_sync(test)(*args, **kwargs)

    return run


def subscribers(redis):
    """Return how many web processes receive what changes."""
    return dict(redis.pubsub_numsub(name := keys.exchange_changed(0)))[name.encode()]


def kind(name):
    """Return whether a message is of that kind, as `Browser.until` asks it."""
    return lambda message: message["type"] == name


def state_is(state):
    """Return whether a card is in a state, as `Browser.until_card` asks it."""
    return lambda card: card.get("state") == state


async def open_pair(browser, exchange, symbol="BTC-USD", timeframe="1m"):
    """Open a pair; return all that is told of it first."""
    await browser.say(type="open-pair", exchangeId=exchange.pk, symbol=symbol, timeframe=timeframe)
    return await browser.until(kind("pair"))


def log_in(user):
    """Return a session's key."""
    client = Client()
    client.force_login(user)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


class Browser:
    """One page's socket, that keeps what it is told, as the page's script does."""

    def __init__(
        self, application, session=None, origin=ORIGIN, path="/ws/network/",
        host=b"localhost", also=(),
    ):  # fmt: skip
        headers = [(b"host", host), *also]
        if origin is not None:
            headers.append((b"origin", origin))
        if session:
            headers.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={session}".encode()))
        self._socket = WebsocketCommunicator(application, path, headers)
        self.count = 0
        self.messages = []
        self.cards = {}
        self.answers = True
        self.gaps = 0

    async def connect(self):
        """Return whether it was let in, and the close code where not."""
        return await self._socket.connect(timeout=SECONDS)

    async def next(self):
        """Return the next message, applied to the cards, a close as type `closed`."""
        event = await self._socket.receive_output(timeout=SECONDS)
        if event["type"] == "websocket.close":
            return {"type": "closed", "code": event.get("code", 1000)}
        message = orjson.loads(event["text"])
        self.count += 1
        self.messages.append(message)
        if not self._apply(message):
            self.gaps += 1
            await self.say(type="refresh")
        if self.answers:
            await self.say(type="seen", count=self.count)
        return message

    async def until(self, condition):
        """Return the first message for which `condition(message)` is true."""
        deadline = time.monotonic() + SECONDS
        while not condition(message := await self.next()):
            assert time.monotonic() < deadline, f"waited in vain, last: {message}"
        return message

    async def until_card(self, exchange, condition):
        """Wait until the card of an exchange is so."""
        if not condition(self.cards.get(exchange.pk, {})):
            await self.until(lambda _: condition(self.cards.get(exchange.pk, {})))
        return self.cards[exchange.pk]

    async def until_closed(self):
        """Return the close code."""
        return (await self.until(lambda message: message["type"] == "closed"))["code"]

    async def say(self, **message):
        await self._socket.send_json_to(message)

    async def say_text(self, text):
        await self._socket.send_to(text_data=text)

    async def say_bytes(self, data):
        await self._socket.send_to(bytes_data=data)

    def cancel(self):
        """Let the server tear it down, as when it ends, without a word of goodbye."""
        self._socket.future.cancel()

    async def is_quiet(self, seconds=0.1):
        return await self._socket.receive_nothing(timeout=seconds)

    async def leave(self):
        await self._socket.disconnect(timeout=SECONDS)

    def _apply(self, message):
        """Return whether it follows on what is known."""
        if message["type"] == "snapshot":
            self.cards = {card["exchangeId"]: dict(card) for card in message.get("cards", ())}
        elif message["type"] == "gone":
            self.cards.pop(message["exchangeId"], None)
        elif message["type"] == "card":
            card = self.cards.setdefault(message["exchangeId"], {"version": 0})
            if message["since"] not in (0, card["version"]):
                return False
            changes = dict(message["changes"])
            for row, column, letter in changes.pop("cells", ()):
                text = card["grid"]["rows"][row]
                card["grid"]["rows"][row] = text[:column] + letter + text[column + 1 :]
            card |= changes | {"version": message["version"]}
        return True


@asynccontextmanager
async def browsing(application, session, *, may_miss=False, **options):
    """Open a page's socket, with its first snapshot taken.

    No change may be missed, unless the test takes away what messages are under way in.
    """
    browser = Browser(application, session, **options)
    connected, code = await browser.connect()
    assert connected, code
    assert (await browser.next())["type"] == "snapshot"
    try:
        yield browser
        assert may_miss or not browser.gaps
    finally:
        await browser.leave()


async def wait_until(condition, seconds=SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)
