"""Signals as they change: read while somebody has the page open, and sent to all who have."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from redis import Redis
from redis.exceptions import RedisError

from warmup.network.page.prices import seconds_between
from warmup.network.signals.reader import Changes, Price, SignalReader, Signals, read_prices
from warmup.network.socket.card_feed import CardFeed, InThread, Send

logger = logging.getLogger(__name__)

CONFIRM_SECONDS = 10.0
MOST_A_POLL = 4  # exchanges, and so messages: a page of more is told of them in turn
POLL_EARLY_SECONDS = 0.5  # polls come every two seconds, not to the millisecond
ABOUT = ("name", "displayName", "state", "stateText")


class SignalFeed:
    """One exchange's signals; `version` rises by one with each message that tells something.

    Without Redis `away` is told: what was told before is not current then.
    """

    def __init__(self, redis: Redis, card: CardFeed, in_thread: InThread, send: Send):
        self.card = card
        self._redis = redis
        self._in_thread = in_thread
        self._send = send
        self._reader = SignalReader(card.row.exchange.pk)
        self._signals = Signals()
        self._prices: Mapping[str, Price] = {}
        self._prices_at = float("-inf")
        self._about: dict[str, Any] = {}
        self._version = 0
        self._sent_at = 0.0
        self._reading = asyncio.Lock()

    async def poll(self) -> None:
        """Read; send what is new, or that nothing is where nothing was sent for ten seconds."""
        async with self._reading:
            changes = await self._changes()
            now = time.monotonic()
            if changes:
                self._version += 1
                self._sent_at = now
                await self._send(self._message(changes, self._version - 1))
            elif now - self._sent_at > CONFIRM_SECONDS:
                self._sent_at = now
                await self._send(self._message({}, self._version))

    def whole(self) -> dict[str, Any]:
        """Return the message with all there is."""
        return self._message(self._about | self._signals.as_json(), 0)

    async def _changes(self) -> Changes:
        before, away = self._signals, False
        try:
            self._signals = await self._read()
        except RedisError as error:
            logger.debug("signals.not_read error=%s", error)
            away = True
        card = self.card.card
        told, self._about = self._about, {name: card.get(name, "") for name in ABOUT}
        self._about["away"] = away
        changed = {name: text for name, text in self._about.items() if told.get(name) != text}
        return changed | (self._signals.since(before) if self._version else self._signals.as_json())

    async def _read(self) -> Signals:
        card, symbols, now = self.card, self.card.row.symbols, time.monotonic()
        asked = (symbols, card.grid, card.newest, card.time_ms())
        cells = await self._in_thread(self._reader.read, self._redis, *asked)
        if now - self._prices_at >= seconds_between(len(symbols)) - POLL_EARLY_SECONDS:
            self._prices_at = now
            number = card.row.exchange.pk
            self._prices = await self._in_thread(read_prices, self._redis, number, symbols)
        return Signals(symbols, cells, self._prices)

    def _message(self, changes: Changes, since: int) -> dict[str, Any]:
        number = self.card.row.exchange.pk
        message = {
            "type": "signals",
            "exchangeId": number,
            "since": since,
            "version": self._version,
            "serverTime": int(time.time() * 1000),
            "changes": changes,
        }
        about = {"exchange": number, "since": since, "version": self._version}
        return {"kind": "signals", **about, "text": orjson.dumps(message).decode()}


class OpenSignals:
    """The signals of all exchanges, while somebody of this process has the page open."""

    def __init__(self, make: Callable[[CardFeed], SignalFeed], cards: Mapping[int, CardFeed]):
        """`cards` are those of the active exchanges, as they are at any time."""
        self._viewers = 0
        self._make = make
        self._cards = cards
        self._feeds: dict[int, SignalFeed] = {}  # who was read longest ago comes first

    async def open(self) -> None:
        """Learn that somebody has opened the page; call `close` once for each call."""
        self._viewers += 1
        if self._viewers == 1:
            await self.poll()

    def close(self) -> None:
        """Learn that somebody has closed it."""
        self._viewers -= 1
        if not self._viewers:
            self._feeds.clear()

    def whole(self) -> list[dict[str, Any]]:
        """Return the messages with all there is, one of each exchange."""
        return [feed.whole() for feed in self._feeds.values()]

    async def poll(self) -> None:
        """Read them again where somebody looks: those that are new, and a few of the others."""
        if not self._viewers:
            return
        for number in self._feeds.keys() - self._cards.keys():
            del self._feeds[number]
        due = list(self._feeds)[:MOST_A_POLL]
        for number, card in self._cards.items():
            if number not in self._feeds or self._feeds[number].card is not card:
                self._feeds[number] = self._make(card)
                due.append(number)
        feeds = {number: self._feeds.pop(number) for number in dict.fromkeys(due)}
        self._feeds |= feeds
        await asyncio.gather(*(feed.poll() for feed in feeds.values()))
