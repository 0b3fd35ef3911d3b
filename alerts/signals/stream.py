"""Closes as the events of an exchange tell them, from where somebody stopped reading."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from redis import Redis

from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.pair import Pair
from livermore.market.timeframe import parse_timeframe
from warmup.cache.indicator_window import ROW

logger = logging.getLogger(__name__)

EVENTS_A_LOOK = 10_000  # those behind are read at the next one
NOTHING = "0-0"  # the id before the first

Event = tuple[Pair, Mapping[str, Any]]


@dataclass(slots=True)
class News:
    """What was read: closes in order, and the id behind which to read on.

    `is_gap`: some may have gone by unread, as they were trimmed, or Redis lost them.
    """

    last_id: str
    is_gap: bool = False
    events: list[Event] = field(default_factory=list)


def newest_id(redis: Redis, exchange_id: int) -> str:
    """Return the id of the newest event. Raises RedisError."""
    found: Any = redis.xrevrange(keys.events(exchange_id), count=1)
    return found[0][0].decode() if found else NOTHING


def read(redis: Redis, exchange_id: int, after_id: str) -> News:
    """Return the closes behind an id, in one round trip. Raises RedisError."""
    key = keys.events(exchange_id)
    pipe = redis.pipeline(transaction=False)
    pipe.xrevrange(key, count=1)
    pipe.xrange(key, count=1)
    pipe.xrange(key, min=f"({after_id}", count=EVENTS_A_LOOK)
    newest, oldest, entries = pipe.execute()
    last = _order(newest[0][0]) if newest else _order(NOTHING)
    if last < _order(after_id):  # it is another stream than the one that was read
        return _news(redis.xrange(key, count=EVENTS_A_LOOK), NOTHING, is_gap=True)
    is_gap = bool(entries) and _order(after_id) < _order(oldest[0][0])
    return _news(entries, after_id, is_gap)


def _news(entries: Any, after_id: str, is_gap: bool) -> News:
    news = News(entries[-1][0].decode() if entries else after_id, is_gap)
    for entry_id, fields in entries:
        if event := _event(entry_id, fields):
            news.events.append(event)
    return news


def _event(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Event | None:
    try:
        event = orjson.loads(fields[b"event"])
        pair = Pair(event["symbol"], parse_timeframe(event["timeframe"]))
        Candle.of_values([event[name] for name in ROW], pair.timeframe)
    except (ValueError, TypeError, LookupError) as error:
        logger.debug("alerts.unreadable entry=%s error=%s", entry_id.decode(), error)
        return None
    return pair, event


def _order(entry_id: bytes | str) -> tuple[int, int]:
    text = entry_id.decode() if isinstance(entry_id, bytes) else entry_id
    milliseconds, _, number = text.partition("-")
    return int(milliseconds), int(number or 0)
