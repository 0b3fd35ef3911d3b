"""What changes in Redis, read once however many clients listen, and handed to the hub.

Closes come from the events stream, which loses none; open candles and tickers from pub/sub, which
may lose one, as the next one says all of it again.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from livermore.market import keys
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.hub import Topic
from warmup.network.socket.subscriber import Subscriber

logger = logging.getLogger(__name__)

BLOCK_MS = 2000
EVENTS_AT_ONCE = 1000
SECONDS_BETWEEN_TRIES = 0.5
SECONDS_TO_BEGIN = 2.0
SECONDS_TO_WAIT_FOR_A_CLOSE = 5.0  # a quiet bar has none

KLINE = "kline"
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

    def __init__(self, url: str, deliver: Deliver):
        self._url = url
        self._deliver = deliver
        self._subscriber = Subscriber(url, self._received, lambda again: None)
        self._wanted: dict[str, set[Topic]] = {}  # by channel
        self._order = Order()
        self._readers: dict[int, asyncio.Task[None]] = {}  # of closes, by exchange
        self._reads: dict[int, asyncio.Event] = {}  # set once such a one knows where it begins
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        self._spawn(self._subscriber.run())

    async def close(self) -> None:
        tasks = [*self._tasks, *self._readers.values()]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def want(self, topic: Topic) -> None:
        """Read for a topic; no close that is told after this returns is missed."""
        channel = _channel(topic)
        topics = self._wanted.setdefault(channel, set())
        is_new, number = not topics, topic.exchange_id
        topics.add(topic)
        if is_new:
            await self._subscriber.add(channel)
        if topic.kind != KLINE:
            return
        if number not in self._readers:
            self._reads[number] = asyncio.Event()
            self._readers[number] = asyncio.create_task(self._read_closes(number))
        with suppress(TimeoutError):  # Redis is away: it begins when that is back
            await asyncio.wait_for(self._reads[number].wait(), SECONDS_TO_BEGIN)

    def unwant(self, topic: Topic) -> None:
        """Undo `want`."""
        channel = _channel(topic)
        self._wanted[channel].discard(topic)
        if not self._wanted[channel]:
            del self._wanted[channel]
            self._spawn(self._subscriber.remove(channel))
        if topic.kind == KLINE:
            self._order.forget(_pair(topic))

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _received(self, channel: str, data: bytes) -> None:
        topics = self._wanted.get(channel)
        message = _parsed(data) if topics else None
        if not topics or message is None:
            return
        for topic in topics:
            if topic.kind != KLINE:
                self._deliver([(topic, message)])
            elif not message.get("closed"):
                now = asyncio.get_running_loop().time()
                self._deliver(self._order.open(_pair(topic), (topic, message), now))

    async def _read_closes(self, exchange_id: int) -> None:
        """Hand on every close of an exchange, from now on, whatever happens to Redis meanwhile."""
        key, last_id = keys.events(exchange_id), b"$"
        failing = False
        while True:
            client = Redis.from_url(self._url, socket_timeout=BLOCK_MS / 1000 + 5)
            try:
                async with client:
                    if last_id == b"$":
                        newest = await client.xrevrange(key, count=1)
                        last_id = newest[0][0] if newest else b"0-0"
                        self._reads[exchange_id].set()
                    while True:
                        last_id = await self._read_some(client, key, last_id, exchange_id)
                        failing = False
            except (RedisError, OSError) as error:
                if not failing:
                    logger.warning("feed.not_read exchange=%d error=%s", exchange_id, error)
                failing = True
            await asyncio.sleep(SECONDS_BETWEEN_TRIES)

    async def _read_some(self, client: Redis, key: str, after: bytes, exchange_id: int) -> bytes:
        found = await client.xread({key: after}, count=EVENTS_AT_ONCE, block=BLOCK_MS)
        batches = found.values() if isinstance(found, dict) else [[each[1] for each in found or ()]]
        entries = [entry for batch in batches for part in batch for entry in part]
        told: list[Told] = []
        for _, fields in entries:
            message = _parsed(fields.get(b"event", b""))
            topic = message and _topic(exchange_id, message)
            if topic and _channel(topic) in self._wanted:
                told += self._order.close(_pair(topic), (topic, message))
        if told:
            self._deliver(told)
        return entries[-1][0] if entries else after


def _channel(topic: Topic) -> str:
    if topic.kind == KLINE:
        return keys.candle_channel(topic.exchange_id, topic.symbol, topic.timeframe)
    return keys.ticker_channel(topic.exchange_id, topic.symbol)


def _pair(topic: Topic) -> Pair:
    return Pair(topic.symbol, Timeframe(topic.timeframe))


def _topic(exchange_id: int, message: dict[str, Any]) -> Topic | None:
    try:
        return Topic(exchange_id, KLINE, message["symbol"], message["timeframe"])
    except KeyError:
        return None


def _parsed(text: bytes) -> dict[str, Any] | None:
    """Return the object that a message holds, None where it is none of ours."""
    try:
        found = orjson.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
