"""One exchange's card as it changes: read again, compared, numbered, sent."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from redis import Redis
from redis.exceptions import RedisError

from exchanges.redis.unreadable import OnceAnHour
from exchanges.rest.pacing.usage import Usage
from livermore.market.pair import Pair
from warmup.network.page import cards
from warmup.network.page.cells import Grid
from warmup.network.page.exchange_view import ExchangeRow, ExchangeView, Schedule, read_exchange
from warmup.network.page.prices import Prices, price_changes, read_prices, seconds_between
from warmup.network.socket.throttle import RateLimit, Throttle

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_READS = 0.1
MESSAGES_PER_SECOND, SECONDS_BETWEEN_MESSAGES = 4, 0.3
SENT_PER_SECOND = 200  # to all sockets together: the more sockets, the fewer to each
GRID_KEPT_MS = 10_000

# Calls a blocking function in a thread. Sends a message, which has to have `kind` and `text`.
InThread = Callable[..., Awaitable[Any]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_news = OnceAnHour()


class CardFeed:
    """Keeps one card current, and sends what changed, at most four times in any second.

    `version` rises by one with each message, which names the version that it follows.
    """

    def __init__(
        self,
        redis: Redis,
        row: ExchangeRow,
        in_thread: InThread,
        send: Send,
        count_viewers: Callable[[], int] = lambda: 1,
    ):
        self.row = row
        self.version = 0
        self.agent_alive = False
        self.sent_at = 0.0
        self._redis = redis
        self._in_thread = in_thread
        self._send = send
        self._count_viewers = count_viewers
        self._view: ExchangeView | None = None
        self._schedule: Schedule | None = None
        self._schedule_changed = True
        self._usage: Usage | None = None
        self._grid: dict[str, Any] = cards.NO_GRID
        self._grid_reader = Grid(row.exchange.pk, row.exchange.depth_rows)
        self._grid_basis: object = None
        self._prices: Prices = {}
        self._prices_at = float("-inf")
        self._card: cards.Card = {}
        self._reading, self._reading_grid = asyncio.Lock(), asyncio.Lock()
        self._throttle = Throttle(SECONDS_BETWEEN_READS, self.refresh)
        self._rate_limit = RateLimit(MESSAGES_PER_SECOND)
        self._later: asyncio.TimerHandle | None = None

    @property
    def card(self) -> cards.Card:
        """Return the card as it was sent last."""
        return self._card | {"version": self.version}

    @property
    def grid(self) -> dict[str, Any]:
        """Return the letters of the pairs as they were read last."""
        return self._grid

    def newest(self, pair: Pair) -> int | None:
        """Return when the newest closed candle of a pair opened, as the grid knows it."""
        return self._grid_reader.newest(pair)

    def trigger(self, what: str = "") -> None:
        """Learn that something changed, and what.

        The stats of a warmup go on many times a second: they are read when they may be sent.
        """
        if what == "schedule":
            self._schedule_changed = True
        if what == "stats" and (wait_seconds := self._wait_seconds(urgent=False)):
            self._trigger_later(wait_seconds)
        else:
            self._throttle.trigger()

    def stop(self) -> None:
        self._throttle.stop()
        if self._later:
            self._later.cancel()

    def time_ms(self) -> int:
        """Return the exchange's time."""
        now_ms = _now_ms()
        return self._view.time_ms(now_ms) if self._view else now_ms

    async def poll(self) -> None:
        """Read the grid, if anything could have changed in it, and in any case the card again."""
        if self._view:
            try:
                await self._read_grid(self._view)
                await self._read_prices()
            except RedisError:
                pass  # the card will say so
            except Exception as error:
                self._note_fault(error)
        self._usage = None  # it is read anew with each poll, not with each change
        self.trigger()

    async def refresh(self) -> None:
        """Read the card; send what changed, or do so later where too much was sent lately."""
        async with self._reading:
            now_ms = _now_ms()
            card = await self._read(now_ms)
            if card == self._card:
                return
            if wait_seconds := self._wait_seconds(_is_urgent(card, self._card)):
                self._trigger_later(wait_seconds)
                return
            self._rate_limit.note(time.monotonic())
            await self._send_changes(card)

    async def _read(self, now_ms: int) -> cards.Card:
        try:
            await self._read_view(now_ms)
            return self._present(now_ms)
        except Exception as error:
            self._note_fault(error)
            return cards.faulty(self.row, now_ms) | {"prices": {}}

    def _note_fault(self, error: Exception) -> None:
        """Forget what was read, so that all of it is read again."""
        note_fault(self.row, error)
        self._view, self._schedule_changed = None, True
        self._grid, self._grid_basis = cards.NO_GRID, None

    def _wait_seconds(self, urgent: bool) -> float:
        interval_seconds = max(SECONDS_BETWEEN_MESSAGES, self._count_viewers() / SENT_PER_SECOND)
        return self._rate_limit.wait_seconds(time.monotonic(), interval_seconds, urgent)

    def _present(self, now_ms: int) -> cards.Card:
        if self._view is None and self._card:
            return cards.without_redis(self._card) | {"prices": {}}
        card = cards.present(self.row, self._view, self._grid, self.agent_alive, now_ms)
        return card | {"prices": self._prices}

    async def _send_changes(self, card: cards.Card) -> None:
        before, self._card = self._card, card
        changes = {name: value for name, value in card.items() if before.get(name) != value}
        self.version += 1
        self.sent_at = time.monotonic()
        await self._send(self._message(_with_cells(changes, before), self.version - 1))

    def _trigger_later(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._later:
            if now < self._later.when() <= now + seconds:
                return  # what is urgent comes sooner
            self._later.cancel()
        self._later = loop.call_later(seconds, self._throttle.trigger)

    async def _read_view(self, now_ms: int) -> None:
        schedule = None if self._schedule_changed else self._schedule
        self._schedule_changed = False
        try:
            arguments = (self._redis, self.row.exchange, now_ms, schedule, self._usage)
            self._view = await self._in_thread(read_exchange, *arguments)
            self._schedule, self._usage = self._view.schedule, self._view.usage
            if self._grid is cards.NO_GRID:
                await self._read_grid(self._view)
                await self._read_prices()
        except RedisError:
            self._view, self._schedule_changed = None, True

    def whole(self) -> dict[str, Any]:
        """Return the message with the whole card, to who doesn't know it."""
        return self._message(self._card, 0)

    async def confirm(self) -> None:
        """Tell which version is the newest: who missed one learns it by that.

        Not while another is under way, which this could overtake: later, then.
        """
        if self._reading.locked():
            return
        self.sent_at = time.monotonic()
        await self._send(self._message({}, self.version))

    def _message(self, changes: dict[str, Any], since: int) -> dict[str, Any]:
        number = self.row.exchange.pk
        message = {
            "type": "card",
            "exchangeId": number,
            "since": since,
            "version": self.version,
            "serverTime": _now_ms(),
            "changes": changes,
        }
        text = orjson.dumps(message).decode()
        about = {"exchange": number, "since": since, "version": self.version}
        return {"kind": "card", **about, "text": text}

    async def _read_grid(self, view: ExchangeView) -> None:
        symbols, idle = self.row.symbols, self.row.idle
        work, time_ms = view.work(), view.time_ms(_now_ms())
        basis = (symbols, idle, work, _activity(view), time_ms // GRID_KEPT_MS)
        async with self._reading_grid:
            if basis != self._grid_basis:
                arguments = (self._redis, symbols, time_ms, work, idle)
                self._grid = await self._in_thread(self._grid_reader.read, *arguments)
                self._grid_basis = basis

    async def _read_prices(self) -> None:
        """Read the prices where it is time to, or where other symbols are shown by now."""
        symbols, now = self.row.symbols, time.monotonic()
        if now - self._prices_at < seconds_between(len(symbols)) - 0.5:  # looks come every 2 s
            return
        self._prices_at = now
        arguments = (self._redis, self.row.exchange.pk, symbols)
        self._prices = await self._in_thread(read_prices, *arguments)


def note_fault(row: ExchangeRow, error: Exception) -> None:
    """Log why a card can't be shown, not each time that somebody looks."""
    if _news.is_news(row.exchange.name, repr(error)):
        logger.error("card.failed exchange=%s", row.exchange.name, exc_info=error)


def _is_urgent(card: cards.Card, before: cards.Card) -> bool:
    """Tell whether it is more than a number that went on: something begins, ends or goes wrong."""

    def essence(of: cards.Card) -> object:
        warmup = of.get("warmup") or {}
        return of.get("stateText"), of.get("lockHeld"), warmup.get("status"), warmup.get("alive")

    return essence(card) != essence(before)


def _activity(view: ExchangeView) -> object:
    """Return what is another wherever candles were written."""
    stats, details = view.stats or {}, view.status.details
    names = ("closes", "healed", "healing", "pendingCloses")
    heartbeat = view.status.heartbeat if view.status.phase != "streaming" else None
    return (stats.get("updatedAt"), heartbeat, *(details.get(name) for name in names))


def _with_cells(changes: dict[str, Any], before: cards.Card) -> dict[str, Any]:
    """Return the changes with single cells in place of a grid of the same symbols.

    Single prices too, in place of all.
    """
    if "prices" in changes and "prices" in before:
        single = {"priceChanges": price_changes(changes["prices"], before["prices"])}
        changes = {name: value for name, value in changes.items() if name != "prices"} | single
    grid, old = changes.get("grid"), before.get("grid")
    if not grid or not old or grid["symbols"] != old["symbols"]:
        return changes
    cells = [
        [at, column, letter]
        for at, (row, was) in enumerate(zip(grid["rows"], old["rows"], strict=True))
        if row != was
        for column, letter in enumerate(row)
        if letter != was[column]
    ]
    return {name: value for name, value in changes.items() if name != "grid"} | {"cells": cells}


def _now_ms() -> int:
    return int(time.time() * 1000)
