"""What changes in Redis, read once however many clients listen, and handed to the hub.

Closes come from the events stream, which loses none; open candles and tickers from pub/sub, which
may lose one, as the next one says all of it again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
from redis import Redis

from exchanges.redis.unreadable import warn_once
from livermore.market import keys
from livermore.market.candle import is_time
from livermore.market.derived import BY_TEXT, Derived
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.memory.windows import Window
from serving.streams.closes import Closes, Entry
from serving.streams.derived import DerivedStream
from serving.streams.hub import Topic
from serving.streams.order import Order, Told
from warmup.network.socket.subscriber import Subscriber

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 0.25
SECONDS_BETWEEN_ALL = 1.0  # of a stream of all tickers
TIMEFRAMES = [str(each) for each in Timeframe]

KLINE = "kline"
ALL = "all"  # where a message holds those of all symbols
NUMBERS = ("open", "high", "low", "close", "volume")
Received = Callable[[list[Entry]], None]
Deliver = Callable[[list[Told]], None]


class Feed:
    """Reads for the topics that somebody wants. Used in the event loop's thread alone."""

    def __init__(
        self,
        redis: Redis,
        url: str,
        deliver: Deliver,
        window: Callable[[int, Pair], Awaitable[Window]],
        now_ms: Callable[[int], int],
        symbols: Callable[[int], Iterable[str]],
    ):
        """`url` is that of the same Redis, for what subscribes in the event loop.

        `window` reads what the cache has of an exchange's pair, or raises Unavailable; `now_ms`
        tells the time at an exchange, and `symbols` which are kept live there.
        """
        self._redis = redis
        self._deliver = deliver
        self._window, self._now_ms, self._symbols = window, now_ms, symbols
        self._subscriber = Subscriber(url, self._received, lambda again: None)
        self._wanted: dict[str, set[Topic]] = {}  # by channel
        self._order = Order()
        self._derived: dict[Topic, DerivedStream] = {}
        # Of topics of all symbols, what changed of each since it was told.
        self._changed: dict[Topic, dict[str, dict[str, Any]]] = {}
        self._closes: dict[int, Closes] = {}  # by exchange
        self._receivers: dict[int, list[Received]] = {}  # of all its closes
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        self._spawn(self._subscriber.run())
        self._spawn(self._look())
        self._spawn(self._tell_all())

    async def close(self) -> None:
        for reader in self._closes.values():
            reader.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def want(self, topic: Topic) -> None:
        """Read for a topic; no close that is told after this returns is missed.

        Raises Unavailable where nobody can tell what is missed, as Redis is away.
        """
        channels = [_channel(topic)]
        if not topic.symbol:
            self._changed.setdefault(topic, {})
            symbols = self._symbols(topic.exchange_id)
            channels = [_channel(topic._replace(symbol=each)) for each in symbols]
        for channel in channels:
            self._wanted.setdefault(channel, set()).add(topic)
        if topic.kind == KLINE:  # first: who is told a bar is told its close too
            self._derive(topic)
            await self._reading(topic.exchange_id)
        await self._subscriber.add(*channels)

    def unwant(self, topic: Topic) -> None:
        """Undo `want`."""
        channels = [_channel(topic)]
        if not topic.symbol:
            del self._changed[topic]
            channels = [each for each, topics in self._wanted.items() if topic in topics]
        self._derived.pop(topic, None)
        if topic.kind == KLINE:
            self._order.forget(topic)
        for channel in channels:
            self._wanted[channel].discard(topic)
            if not self._wanted[channel]:
                del self._wanted[channel]
                if topic.kind == KLINE:
                    self._order.forget(_base(topic))
        self._spawn(self._unsubscribe(channels))

    async def _unsubscribe(self, channels: Iterable[str]) -> None:
        # Somebody may want some of them again by now.
        if unwanted := [each for each in channels if each not in self._wanted]:
            await self._subscriber.remove(*unwanted)

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- Timeframes that are made of shorter ones

    def _derive(self, topic: Topic) -> None:
        """Make the bars of a topic whose timeframe is not kept."""
        timeframe = BY_TEXT[topic.timeframe]
        if topic in self._derived or not isinstance(timeframe, Derived):
            return
        number, pair = topic.exchange_id, Pair(topic.symbol, timeframe.base)
        self._derived[topic] = DerivedStream(
            topic,
            timeframe,
            lambda: self._window(number, pair),
            lambda: self._now_ms(number),
            lambda told: self._hand_on(self._in_order(told)) if topic in self._derived else None,
        )

    async def _look(self) -> None:
        """Look into the cache, again and again, for what streams that are made of others lack."""
        while True:
            for stream in list(self._derived.values()):
                if stream.is_due():
                    self._spawn(stream.look())
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

    async def _tell_all(self) -> None:
        """Tell of all symbols together what changed of them, as long as somebody wants that."""
        while True:
            await asyncio.sleep(SECONDS_BETWEEN_ALL)
            for topic, changed in list(self._changed.items()):
                if changed:
                    self._changed[topic] = {}
                    self._hand_on([(topic, {ALL: list(changed.values())})])
                if topic in self._changed:
                    await self.want(topic)  # more may be monitored by now

    # -- What comes

    def _received(self, channel: str, data: bytes) -> None:
        topics = self._wanted.get(channel)
        message = parsed(data) if topics else None
        if not topics or message is None:
            return
        one = next(iter(topics))
        if one.kind != KLINE:
            self._hand_on((topic, message) for topic in topics if topic.symbol)
            for topic in topics:
                if not topic.symbol:
                    self._changed[topic][str(message.get("symbol"))] = message
        elif is_candle(message) and not message.get("closed"):
            self._hand_on(self._with_derived(self._in_order([(_base(one), message)])))

    @asynccontextmanager
    async def listening(self, exchange_id: int, received: Received) -> AsyncIterator[None]:
        """Call `received` for all entries of an exchange's events from now on; with none where
        some before the next ones may be missing.

        Raises Unavailable where nobody can tell from when on that is.
        """
        receivers = self._receivers.setdefault(exchange_id, [])
        receivers.append(received)
        try:
            await self._reading(exchange_id)
            yield
        finally:
            receivers.remove(received)

    async def _reading(self, exchange_id: int) -> None:
        if exchange_id not in self._closes:
            loop = asyncio.get_running_loop()
            self._closes[exchange_id] = Closes(self._redis, exchange_id, loop, self._closed)
        await self._closes[exchange_id].begun()

    def _closed(self, exchange_id: int, entries: list[Entry]) -> None:
        """Hand on closes, in the order in which they were told."""
        for received in self._receivers.get(exchange_id, ()):
            received(entries)
        told: list[Told] = []
        for _, fields in entries:
            message = parsed(fields.get(b"event", b""))
            topic = message and _topic(exchange_id, message)
            if message and topic and _channel(topic) in self._wanted:
                if message.get("late"):
                    continue  # later ones were told before it: REST has it
                if is_candle(message):
                    told += self._with_derived(self._in_order([(topic, message)]))
                else:
                    warn_once(logger, keys.events(exchange_id), "a close that is none")
        self._hand_on(told)

    def _in_order(self, told: Iterable[Told]) -> list[Told]:
        """Return what may be told now of these, and of what waited for them."""
        found: list[Told] = []
        for each in told:
            if each[1].get("closed"):
                found += self._order.close(each)
            else:
                found += self._order.open(each, asyncio.get_running_loop().time())
        return found

    def _with_derived(self, told: Iterable[Told]) -> list[Told]:
        """Return what is wanted of these bars, and of those that they are parts of."""
        found: list[Told] = []
        for topic, message in told:
            for wanted in self._wanted.get(_channel(topic), ()):
                if stream := self._derived.get(wanted):
                    found += self._in_order(stream.take(message))
                elif wanted == topic:
                    found.append((topic, message))
        return found

    def _hand_on(self, told: Iterable[Told]) -> None:
        if batch := list(told):
            self._deliver(batch)


def _channel(topic: Topic) -> str:
    if topic.kind == KLINE:
        return keys.candle_channel(topic.exchange_id, topic.symbol, _base(topic).timeframe)
    return keys.ticker_channel(topic.exchange_id, topic.symbol)


def _base(topic: Topic) -> Topic:
    """Return the topic of the bars that are kept of which those of this one are made."""
    timeframe = BY_TEXT[topic.timeframe]
    return (
        topic._replace(timeframe=str(timeframe.base)) if isinstance(timeframe, Derived) else topic
    )


def _topic(exchange_id: int, message: dict[str, Any]) -> Topic | None:
    symbol, timeframe = message.get("symbol"), message.get("timeframe")
    if isinstance(symbol, str) and timeframe in TIMEFRAMES:
        return Topic(exchange_id, KLINE, symbol, str(timeframe))
    return None


def is_candle(message: Mapping[str, Any]) -> bool:
    """Tell whether a message holds all numbers of a candle."""
    return is_time(message.get("timestamp")) and all(
        type(message.get(name)) in (int, float) for name in NUMBERS
    )


def parsed(text: bytes) -> dict[str, Any] | None:
    """Return the object that a message holds, None where it is none of ours."""
    try:
        found = orjson.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
