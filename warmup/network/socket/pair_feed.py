"""The pairs that browsers have open, as they change: at most one message a second for each."""

import hashlib
import logging
from collections.abc import Callable
from typing import Any

import orjson
from redis import Redis
from redis.exceptions import RedisError

from livermore.market import keys
from warmup.network.page.pair_view import BARS_AT_FIRST, PairView, read_pair
from warmup.network.socket.card_feed import InThread, Send
from warmup.network.socket.subscriber import Subscriber
from warmup.network.socket.throttle import Throttle

logger = logging.getLogger(__name__)

SECONDS_BETWEEN = 1.0

OpenPair = tuple[int, str, str]  # exchange id, symbol, timeframe


class PairFeed:
    """One pair that somebody looks at: read when Redis tells of a change, and every two seconds."""

    def __init__(
        self,
        redis: Redis,
        pair: OpenPair,
        time_ms: Callable[[], int],
        in_thread: InThread,
        send: Send,
        is_idle: Callable[[], bool] = lambda: False,
    ):
        """`time_ms` tells the exchange's time, `is_idle` whether the symbol does not trade."""
        self.viewers = 0
        self._redis = redis
        self._pair = pair
        self._time_ms = time_ms
        self._is_idle = is_idle
        self._in_thread = in_thread
        self._send = send
        self._view: PairView | None = None
        self._is_owed = False
        self._throttle = Throttle(SECONDS_BETWEEN, self._refresh)

    @property
    def channels(self) -> tuple[str, str]:
        """Return where changes of the pair are published."""
        return keys.candle_channel(*self._pair), keys.indicator_channel(*self._pair)

    def trigger(self) -> None:
        """Learn that something may have changed."""
        self._throttle.trigger()

    def stop(self) -> None:
        self._throttle.stop()

    async def all(self) -> dict[str, Any]:
        """Return the message with the newest candles, for who just opened it. Raises RedisError."""
        if self._view is None:
            try:
                self._view = await self._read()
            except RedisError:
                self._is_owed = True
                raise
        return self._message(self._view.newest(BARS_AT_FIRST).since(None))

    async def _refresh(self) -> None:
        if self._view is None and not self._is_owed:
            return  # whoever opened it is about to get all of it
        try:
            view = await self._read()
        except RedisError as error:
            logger.debug("pair_feed.not_read error=%s", error)
            return
        before, self._view = self._view, view
        message = view.since(before)
        if before is None or _differs(before, view, message):
            await self._send(self._message(message))

    async def _read(self) -> PairView:
        now = (self._time_ms(), self._is_idle())
        return await self._in_thread(read_pair, self._redis, *self._pair, *now)

    def _message(self, message: dict[str, Any]) -> dict[str, Any]:
        return {"kind": "pair", "pair": list(self._pair), "text": orjson.dumps(message).decode()}


class OpenPairs:
    """All pairs that somebody of this process has open."""

    def __init__(self, subscriber: Subscriber, make: Callable[[OpenPair], PairFeed]):
        self._subscriber = subscriber
        self._make = make
        self._feeds: dict[OpenPair, PairFeed] = {}
        self._by_channel: dict[str, PairFeed] = {}

    async def open(self, pair: OpenPair) -> PairFeed:
        """Return the feed of a pair; call `close` once for each call."""
        if pair not in self._feeds:
            feed = self._feeds[pair] = self._make(pair)
            self._by_channel |= dict.fromkeys(feed.channels, feed)
            await self._subscriber.add(*feed.channels)
        self._feeds[pair].viewers += 1
        return self._feeds[pair]

    async def close(self, pair: OpenPair) -> None:
        """Learn that somebody has closed it."""
        feed = self._feeds[pair]
        feed.viewers -= 1
        if not feed.viewers:
            del self._feeds[pair]
            feed.stop()
            for channel in feed.channels:
                del self._by_channel[channel]
            await self._subscriber.remove(*feed.channels)

    def received(self, channel: str) -> None:
        """Learn that something was published on a channel."""
        if feed := self._by_channel.get(channel):
            feed.trigger()

    def poll(self) -> None:
        """Read all of them again."""
        for feed in self._feeds.values():
            feed.trigger()

    def stop(self) -> None:
        for feed in self._feeds.values():
            feed.stop()


def name_of(pair: OpenPair) -> str:
    """Return a name that a group may have, other than the pair's, whatever its script."""
    return hashlib.sha256(repr(pair).encode()).hexdigest()[:24]


def _differs(before: PairView, view: PairView, message: dict[str, Any]) -> bool:
    return bool(message["candles"] or message["macdv"]) or any(
        getattr(before, name) != getattr(view, name) for name in ("live", "missing", "indicator")
    )
