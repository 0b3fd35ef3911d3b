"""Compares Redis with what was written to it, and writes again what it lost."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from redis import Redis

from exchanges.lock.fencing import refusals, stamp
from exchanges.redis.scripts import load_script
from livermore.market import keys
from livermore.market.coverage import Coverage, subtract, union
from livermore.market.pair import Pair
from warmup.cache.candles import CANDLES_KEPT, CandleCache
from warmup.cache.encoding import PAIR_CONSTANTS
from warmup.cache.told import Told
from warmup.live.redis_loss.written_lately import WrittenClose, WrittenLately, order_of
from warmup.live.writing.flush import EVENTS_KEPT, Flusher

logger = logging.getLogger(__name__)

WRITTEN_AT_ONCE = 500

WRITE_AGAIN = load_script("warmup/live/redis_loss/lua/write_again.lua", PAIR_CONSTANTS)


class Loss(NamedTuple):
    """What Redis had lost: rows and events that are there again, and by pair what is not.

    `gaps` were told, and can't be told again from memory.
    """

    rows: int
    events: int
    gaps: Mapping[Pair, Coverage]


class Comparison:
    """Holds Redis against what a runner wrote to it lately, and writes again what is missing."""

    def __init__(
        self,
        redis: Redis,
        exchange_id: int,
        epoch: int | None,
        written: WrittenLately,
        flusher: Flusher,
    ):
        """`flusher` knows what the event of a close says."""
        self._redis = redis
        self._exchange_id = exchange_id
        self._stamp = stamp(epoch)
        self._cache = CandleCache(redis, exchange_id, epoch)
        self._written = written
        self._flusher = flusher

    def under(self, epoch: int) -> None:
        """Write under this epoch from now on."""
        self._stamp = stamp(epoch)

    def write_again(self, server: str) -> Loss:
        """Write again what Redis lost, in the order in which it was told; return what it was.

        Whatever of it is there already stays, so that it may be begun anew after an error. `server`
        is kept as the one that has it now. Raises Fenced and RedisError.
        """
        written = self._written
        newest = self.newest_id()
        pairs = list(written.until)
        told = self._cache.told(pairs)
        coverages = dict(zip(pairs, self._cache.coverages(pairs), strict=True))
        lost = [each for each in written.closes if order_of(each.event_id) > order_of(newest)]
        lost.sort(key=lambda each: order_of(each.event_id))
        rows = [
            each
            for each in written.closes
            if each.has_rows
            and each.close.covered[1] > written.earliest(each.pair)
            and subtract((each.close.covered,), coverages.get(each.pair, ()))
        ]
        marks, gaps = self._marks(told)
        events = 0
        for some_rows, some_lost, some_marks in _parts(rows, lost, marks):
            events += self._send(some_rows, some_lost, some_marks, server)
        if rows or lost or gaps:
            logger.warning(
                "redis_loss.written_again exchange=%d rows=%d events=%d pairs=%d gaps=%d",
                *(self._exchange_id, len(rows), events, len(marks), len(gaps)),
            )
        return Loss(len(rows), events, gaps)

    def newest_id(self) -> str:
        """Return the id of the newest event, "" where there is none."""
        found: Any = self._redis.xrevrange(keys.events(self._exchange_id), count=1)
        return found[0][0].decode() if found else ""

    def _marks(self, told: Mapping[Pair, Told]) -> tuple[list[tuple[Pair, bytes]], dict]:
        """Return up to when pairs were told where Redis says less, and of that what is no event."""
        marks, gaps = [], {}
        for pair, until_ms in self._written.until.items():
            mark, skipped = told.get(pair), self._written.skipped.get(pair, ())
            if mark and mark.until_ms > until_ms:
                continue  # somebody else told it since
            whole_from_ms = self._written.whole_from[pair]
            if mark and mark.until_ms < whole_from_ms:
                gaps[pair] = ((mark.until_ms, whole_from_ms),)
                skipped = union([*skipped, *gaps[pair]])
            if mark != Told(until_ms, skipped):
                marks.append((pair, orjson.dumps([until_ms, [list(each) for each in skipped]])))
        return marks, gaps

    def _send(
        self,
        rows: Sequence[WrittenClose],
        lost: Sequence[WrittenClose],
        marks: Sequence[tuple[Pair, bytes]],
        server: str,
    ) -> int:
        number = self._exchange_id
        names = [keys.epoch(number), keys.events(number), keys.told(number), keys.server(number)]
        values: list[Any] = [self._stamp, CANDLES_KEPT, EVENTS_KEPT, server]
        values += (len(rows), len(lost), len(marks))
        for each in rows:
            names += (keys.candles(number, *each.pair), keys.coverage(number, *each.pair))
            candle = each.close.candle
            values += each.close.covered
            values += (candle.timestamp, orjson.dumps(candle.row())) if candle else ("", "")
        for each in lost:
            values += (each.event_id, self._flusher.message_of(each.pair, each.close))
        for pair, text in marks:
            values += (keys.pair_field(*pair), text)
        names.append(keys.lock(number))
        with refusals():
            return WRITE_AGAIN(self._redis, names, values)


def _parts(*lists: Sequence[Any]) -> Iterator[tuple[Sequence[Any], ...]]:
    """Yield a part of the first list at a time, then of the next ones; at least one of nothing."""
    none: list[Sequence[Any]] = [()] * len(lists)
    if not any(lists):
        yield tuple(none)
    for at, each in enumerate(lists):
        for part in _cut(each):
            yield (*none[:at], part, *none[at + 1 :])


def _cut(items: Iterable[Any]) -> Iterator[Sequence[Any]]:
    items = list(items)
    for at in range(0, len(items), WRITTEN_AT_ONCE):
        yield items[at : at + WRITTEN_AT_ONCE]
