"""Looks whether Redis still has what was written to it, and sees that it comes back."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from redis import Redis
from redis.exceptions import ResponseError

from exchanges.redis.server_watch import Server, ServerWatch
from livermore.market import keys
from livermore.market.coverage import Coverage, intersect, union
from livermore.market.pair import Pair
from warmup.live.bars import Close
from warmup.live.redis_loss.comparison import Comparison, Loss
from warmup.live.redis_loss.event_ids import EventIds
from warmup.live.redis_loss.written_lately import WrittenLately, order_of

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_BETWEEN_TRIES = 0.1


class Begun(NamedTuple):
    """To which server was written before, and whether all that was told last is remembered."""

    server: str
    is_known: bool


class LossWatch:
    """Compares Redis with what was written, once another server answers or something is missing.

    One thread calls it. `loss_count` is how often another server was found, or a loss. While it
    `is_awaited` nothing may be written before it has begun.
    """

    def __init__(
        self, redis: Redis, exchange_id: int, comparison: Comparison, written: WrittenLately
    ):
        self.loss_count = 0
        self.ids = EventIds()
        self._redis = redis
        self._exchange_id = exchange_id
        self._comparison = comparison
        self._written = written
        self._watch = ServerWatch(redis, keys.epoch(exchange_id))
        self.is_awaited = False
        self.has_begun = False
        self._before: Begun | None = None
        self._doubts = self._lacks = False
        self._next_look_at = self._next_try_at = 0.0
        self._clock: Callable[[], int] = _now_ms
        self._told_before_ms = 0
        self._told_before: dict[Pair, Coverage] = {}

    # -- what may have been told before

    def marked(self, pair: Pair, close: Close) -> Close:
        """Return a close, marked if it may have been told under another id, which Redis lost."""
        return replace(close, again=True) if self._may_be_told(pair, close) else close

    def _may_be_told(self, pair: Pair, close: Close) -> bool:
        if close.candle is None:
            return False
        stretch = (close.candle.timestamp, close.candle.close_time_ms)
        if stretch[1] <= self._told_before_ms:
            return True
        return bool(self._told_before and intersect(self._told_before.get(pair, ()), (stretch,)))

    def under(self, epoch: int) -> None:
        """Write under this epoch from now on."""
        self._comparison.under(epoch)

    # -- looking

    def begin(self, now_ms: int) -> None:
        """Compare Redis with what the runner before wrote, once; `now_ms` is the exchange's time.

        Where that is not known and another server answers than was written to, what ended before
        now may have been told. Raises Fenced and RedisError.
        """
        if self.has_begun:
            return
        self._watch.has_changed()
        if self._before is None:  # once: it is written over, in parts
            self._before = Begun(self._stored_server(), self._knows_the_newest())
        server, is_known = self._before
        self._write_again()
        self._clock = _clock_of(self._redis)
        if server and server != self._server and not is_known:
            logger.warning("redis_loss.another_server exchange=%d", self._exchange_id)
            self._told_before_ms = now_ms
        self.has_begun, self.is_awaited = True, False

    def doubt(self, lacks: bool = False) -> None:
        """Learn that a write failed, or was refused as Redis lacks what was told."""
        self._doubts = True
        self._lacks = self._lacks or lacks

    @property
    def is_in_doubt(self) -> bool:
        """Tell whether nothing may be written before it was looked at."""
        return self.is_awaited or (self.has_begun and self._doubts)

    @property
    def is_due(self) -> bool:
        """Tell whether to look now."""
        now = time.monotonic()
        if self._doubts:
            return self.has_begun and now >= self._next_try_at
        return self.has_begun and now >= self._next_look_at

    def settle(self) -> Loss | None:
        """Look, and write again what is missing; None where nothing happened.

        Raises Fenced, and RedisError: then nothing may be written before it was tried again.
        """
        self._next_look_at = time.monotonic() + SECONDS_BETWEEN_LOOKS
        self._next_try_at = time.monotonic() + SECONDS_BETWEEN_TRIES
        self._doubts = True
        if self._watch.has_changed() or self._is_behind():
            self._lacks = True
        loss = None
        if self._lacks:
            self.loss_count += 1
            loss = self._write_again()
        self._doubts = self._lacks = False
        self._next_try_at = 0.0
        return loss

    def before_next(self, count: int) -> tuple[int, int]:
        """Return the id before that of the first of `count` closes which are sent now."""
        return self.ids.before_next(self._clock(), count)

    def _knows_the_newest(self) -> bool:
        """Tell whether nobody else told anything since what is remembered, as far as one sees."""
        ours, newest = self._written.newest_id, self._comparison.newest_id()
        return bool(ours and self._written.until) and order_of(ours) >= order_of(newest)

    def _is_behind(self) -> bool:
        return order_of(self._comparison.newest_id()) < order_of(self._written.newest_id)

    def _write_again(self) -> Loss:
        loss = self._comparison.write_again(self._server)
        for pair, gaps in loss.gaps.items():
            self._told_before[pair] = union([*self._told_before.get(pair, ()), *gaps])
        newest = self._comparison.newest_id()
        self._written.newest_id = newest
        self.ids.follow(order_of(newest))
        return loss

    @property
    def _server(self) -> str:
        return " ".join(self._watch.server or Server("", ""))

    def _stored_server(self) -> str:
        try:
            found: Any = self._redis.get(keys.server(self._exchange_id))
        except ResponseError:  # of another type: it is replaced
            return ""
        return found.decode("utf-8", "replace").strip() if found else ""


def _now_ms() -> int:
    return int(time.time() * 1000)


def _clock_of(redis: Redis) -> Callable[[], int]:
    """Return what tells Redis's time, as it goes on here."""
    seconds, microseconds = redis.time()
    ahead = seconds + microseconds / 1e6 - time.monotonic()
    return lambda: int(1000 * (time.monotonic() + ahead))
