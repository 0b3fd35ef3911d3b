"""What changes in Redis, read once however many clients listen, and handed to the hub.

Closes come from the events stream, which loses none; open candles and tickers from pub/sub, which
may lose one, as the next one says all of it again.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
from redis import Redis
from redis.exceptions import RedisError

from exchanges.lock.control import read_entries
from exchanges.redis.client import own_client
from exchanges.redis.unreadable import warn_once
from livermore.market import keys
from livermore.market.candle import is_time
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.streams.hub import Topic
from warmup.network.socket.subscriber import Subscriber

logger = logging.getLogger(__name__)

BLOCK_MS, SOCKET_SECONDS = 2000, 7.0
EVENTS_AT_ONCE = 1000
SECONDS_BETWEEN_TRIES = 0.5
SECONDS_TO_BEGIN = 2.0
SECONDS_TO_WAIT_FOR_A_CLOSE = 5.0  # a quiet bar has none
TIMEFRAMES = [str(each) for each in Timeframe]

KLINE = "kline"
NUMBERS = ("open", "high", "low", "close", "volume")
Entry = tuple[bytes, dict[bytes, bytes]]  # id and fields
Received = Callable[[list[Entry]], None]
Told = tuple[Topic, dict[str, Any]]
Deliver = Callable[[list[Told]], None]


class Order:
    """Lets what is told of one pair through in order: each close once, no bar before the last."""

    def __init__(self) -> None:
        self._closed_ms: dict[Pair, int] = {}  # the end of the last bar whose close was told
        self._begun_ms: dict[Pair, int] = {}  # the first open bar, until there was a close
        self._held: dict[Pair, tuple[float, Told]] = {}  # open candles before their time, newest

    def forget(self, pair: Pair) -> None:
        self._closed_ms.pop(pair, None)
        self._begun_ms.pop(pair, None)
        self._held.pop(pair, None)

    def close(self, pair: Pair, told: Told) -> list[Told]:
        """Return what may be told now that a bar has closed."""
        opened = told[1]["timestamp"]
        if opened < self._closed_ms.get(pair, 0):
            return []  # told before, or healed late: their protocol has no word for that
        self._closed_ms[pair] = opened + pair.timeframe.ms
        held = self._held.get(pair)
        if held and held[1][1]["timestamp"] <= self._closed_ms[pair]:
            del self._held[pair]
            return [told, *self.open(pair, held[1], held[0])]
        return [told]

    def open(self, pair: Pair, told: Told, now: float) -> list[Told]:
        """Return an open candle if it may be told: its bar's turn has come."""
        opened = told[1]["timestamp"]
        expected = self._closed_ms.get(pair) or self._begun_ms.setdefault(pair, opened)
        if opened == expected:
            return [told]
        if opened < expected:
            return []  # on its way when its bar closed
        since, held = self._held.get(pair, (now, told))
        if held[1]["timestamp"] <= opened:
            self._held[pair] = since, told
        return [told] if now - since > SECONDS_TO_WAIT_FOR_A_CLOSE else []


class Feed:
    """Reads for the topics that somebody wants. Used in the event loop's thread alone."""

    def __init__(self, redis: Redis, url: str, deliver: Deliver):
        """`url` is that of the same Redis, for what subscribes in the event loop."""
        self._redis = redis
        self._deliver = deliver
        self._subscriber = Subscriber(url, self._received, lambda again: None)
        self._wanted: dict[str, set[Topic]] = {}  # by channel
        self._order = Order()
        self._closes: dict[int, Closes] = {}  # by exchange
        self._receivers: dict[int, list[Received]] = {}  # of all its closes
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        self._spawn(self._subscriber.run())

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
        """Read for a topic; no close that is told after this returns is missed."""
        channel = _channel(topic)
        self._wanted.setdefault(channel, set()).add(topic)
        if topic.kind == KLINE:  # first: who is told a bar is told its close too
            await self._reading(topic.exchange_id)
        await self._subscriber.add(channel)

    def unwant(self, topic: Topic) -> None:
        """Undo `want`."""
        channel = _channel(topic)
        self._wanted[channel].discard(topic)
        if not self._wanted[channel]:
            del self._wanted[channel]
            self._spawn(self._unsubscribe(channel))
        if topic.kind == KLINE:
            self._order.forget(_pair(topic))

    async def _unsubscribe(self, channel: str) -> None:
        if channel not in self._wanted:  # somebody may want it again by now
            await self._subscriber.remove(channel)

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _received(self, channel: str, data: bytes) -> None:
        topics = self._wanted.get(channel)
        message = parsed(data) if topics else None
        if not topics or message is None:
            return
        for topic in topics:
            if topic.kind != KLINE:
                self._deliver([(topic, message)])
            elif is_candle(message) and not message.get("closed"):
                now = asyncio.get_running_loop().time()
                self._deliver(self._order.open(_pair(topic), (topic, message), now))

    @asynccontextmanager
    async def listening(self, exchange_id: int, received: Received) -> AsyncIterator[None]:
        """Call `received` for all entries of an exchange's events from now on."""
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
            if message and topic and topic in self._wanted.get(_channel(topic), ()):
                if message.get("late"):
                    continue  # later ones were told before it: REST has it
                if is_candle(message):
                    told += self._order.close(_pair(topic), (topic, message))
                else:
                    warn_once(logger, keys.events(exchange_id), "a close that is none")
        if told:
            self._deliver(told)


class Closes:
    """Reads every close of an exchange from when it is made on, in a thread, whatever happens.

    `deliver` is called in the event loop.
    """

    def __init__(
        self,
        redis: Redis,
        exchange_id: int,
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[int, list[Entry]], None],
    ):
        self._redis = redis
        self._exchange_id = exchange_id
        self._key = keys.events(exchange_id)
        self._loop = loop
        self._deliver = deliver
        self._last_id: bytes | None = None
        self._ending = threading.Event()
        self._begun = asyncio.Event()
        name = f"closes-{exchange_id}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def begun(self) -> None:
        """Wait until it knows where it begins; not for long, as Redis may be away."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._begun.wait(), SECONDS_TO_BEGIN)

    def close(self) -> None:
        """Let the thread end, when Redis has answered."""
        self._ending.set()

    def _run(self) -> None:
        failing = False
        while not self._ending.is_set():
            try:
                with own_client(self._redis, SOCKET_SECONDS) as redis:
                    self._begin(redis)
                    while not self._ending.is_set():
                        self._read(redis)
                        failing = False
            except (RedisError, OSError) as error:
                if not failing:
                    logger.warning("closes.not_read exchange=%d error=%s", self._exchange_id, error)
                failing = True
                self._ending.wait(SECONDS_BETWEEN_TRIES)
            except RuntimeError:  # the loop has ended
                return

    def _begin(self, redis: Redis) -> None:
        if self._last_id is None:
            newest: Any = redis.xrevrange(self._key, count=1)
            self._last_id = newest[0][0] if newest else b"0-0"
        self._loop.call_soon_threadsafe(self._begun.set)

    def _read(self, redis: Redis) -> None:
        assert self._last_id is not None
        entries = read_entries(redis, self._key, self._last_id, BLOCK_MS, EVENTS_AT_ONCE)
        if not entries:
            return
        self._last_id = entries[-1][0]
        self._loop.call_soon_threadsafe(self._deliver, self._exchange_id, entries)


def _channel(topic: Topic) -> str:
    if topic.kind == KLINE:
        return keys.candle_channel(topic.exchange_id, topic.symbol, topic.timeframe)
    return keys.ticker_channel(topic.exchange_id, topic.symbol)


def _pair(topic: Topic) -> Pair:
    return Pair(topic.symbol, Timeframe(topic.timeframe))


def _topic(exchange_id: int, message: dict[str, Any]) -> Topic | None:
    symbol, timeframe = message.get("symbol"), message.get("timeframe")
    if isinstance(symbol, str) and timeframe in TIMEFRAMES:
        return Topic(exchange_id, KLINE, symbol, str(timeframe))
    return None


def is_candle(message: Mapping[str, Any]) -> bool:
    """Tell whether a message holds all numbers of a candle."""
    return is_time(message.get("timestamp")) and all(
        isinstance(message.get(name), int | float) for name in NUMBERS
    )


def parsed(text: bytes) -> dict[str, Any] | None:
    """Return the object that a message holds, None where it is none of ours."""
    try:
        found = orjson.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
