"""Of which pairs an exchange's events tell something new: read by a group that Redis remembers.

What was read and not acknowledged is read again, by whichever process reads next.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from redis import Redis
from redis.exceptions import ResponseError

from exchanges.lock.control import entries_in
from livermore.market import keys
from livermore.market.candle import check_time
from livermore.market.pair import Pair
from livermore.market.timeframe import parse_timeframe

GROUP = "history"
READER = "history"  # one at a time, whose turn it is: it takes up what another left
EVENTS_PER_CALL = 1000
NOTHING = (0, 0)  # the id before the first


@dataclass(slots=True)
class News:
    """From which open time on each pair has news, in ms.

    `is_gap`: events may have gone by unread, so that any pair may have some.
    """

    since: dict[Pair, int] = field(default_factory=dict)
    is_gap: bool = False
    ids: list[bytes] = field(default_factory=list)

    def add(self, entry_id: bytes, fields: Mapping[bytes, bytes] | None) -> None:
        """Take an entry, without its fields where it was trimmed before it was acknowledged."""
        self.ids.append(entry_id)
        if fields is None:
            self.is_gap = True
            return
        try:
            event = orjson.loads(fields[b"event"])
            pair = Pair(event["symbol"], parse_timeframe(event["timeframe"]))
            time_ms = check_time(event["timestamp"])
        except (ValueError, TypeError, LookupError):  # who wrote that there says so in its log
            return
        self.since[pair] = min(time_ms, self.since.get(pair, time_ms))


class EventNews:
    """The events of one exchange, as the history's group of readers sees them."""

    def __init__(self, redis: Redis, exchange_id: int):
        self._redis = redis
        self._key = keys.events(exchange_id)
        self._last = NOTHING  # up to where somebody read, when we looked last

    def read(self) -> News:
        """Return what is new since all was acknowledged. Raises RedisError."""
        news = News()
        last = self._last_read()
        if last is None:
            self._redis.xgroup_create(self._key, GROUP, id="$", mkstream=True)
            news.is_gap = True
        else:
            news.is_gap = last < self._last or last < self._last_trimmed()
        for entry_id, fields in (*self._entries("0"), *self._entries(">")):
            news.add(entry_id, fields)
        self._last = self._last_read() or NOTHING
        return news

    def acknowledge(self, news: News) -> None:
        """Say that history has what it tells of. Raises RedisError."""
        for at in range(0, len(news.ids), EVENTS_PER_CALL):
            self._redis.xack(self._key, GROUP, *news.ids[at : at + EVENTS_PER_CALL])

    def _last_read(self) -> tuple[int, int] | None:
        """Return up to where somebody of the group has read, None where there is no group."""
        try:
            groups: Any = self._redis.xinfo_groups(self._key)
        except ResponseError as error:
            if "no such key" not in str(error):
                raise
            return None
        found = [each["last-delivered-id"] for each in groups if each["name"] == GROUP.encode()]
        return _order(found[0]) if found else None

    def _last_trimmed(self) -> tuple[int, int]:
        """Return an id up to which, at the most, events were trimmed."""
        stream: Any = self._redis.xinfo_stream(self._key)
        if not stream["first-entry"]:
            return _order(stream["last-generated-id"])
        milliseconds, number = _order(stream["first-entry"][0])
        return milliseconds, number - 1

    def _entries(self, after: str) -> Iterator[tuple[bytes, Mapping[bytes, bytes] | None]]:
        """Yield entries that were not acknowledged after an id; those that nobody read after >."""
        while True:
            found: Any = self._redis.xreadgroup(
                GROUP, READER, {self._key: after}, count=EVENTS_PER_CALL
            )
            entries: Sequence[Any] = entries_in(found)
            for entry_id, fields in entries:
                yield entry_id, fields or None
            if len(entries) < EVENTS_PER_CALL:
                return
            after = after if after == ">" else entries[-1][0]


def _order(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds), int(number or 0)
