"""What the holder of an exchange says of it, written under the holder's epoch."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from redis import Redis
from redis.exceptions import RedisError

from exchanges.errors import clip
from exchanges.lock.fencing import Epoch, stamp
from exchanges.lock.status import ENDED, STATUS_TTL_MS, Holder, State, Status
from exchanges.redis.change_notifications import changed
from exchanges.redis.scripts import load_script
from exchanges.redis.unreadable import OnceAnHour
from livermore.market import keys

logger = logging.getLogger(__name__)
_not_written = OnceAnHour()

WRITE_STATUS = load_script("exchanges/lock/lua/write_status.lua")


class StatusWriter:
    """Writes the status of one exchange. `measure` gives rates, lag and counters to each."""

    def __init__(self, redis: Redis, exchange_id: int, holder: Holder):
        self.measure: Callable[[], Mapping[str, Any]] = dict
        self._exchange_id = exchange_id
        self._holder = holder
        self._stamp = stamp(Epoch(holder.epoch, holder.instance_id))
        self._reported: Status | None = None
        self._status_script = WRITE_STATUS.on(redis)
        self._told = changed(exchange_id, "status")

    def report(
        self, state: State, phase: str, percent: float | None, details: dict[str, Any]
    ) -> None:
        """Keep what the exchange does now, in place of all that was said before."""
        self._reported = Status(state, phase, percent, None, self._holder, details)

    def end(self, reason: str) -> None:
        """Let a state that has not ended be stopped."""
        if self._reported and self._reported.state not in ENDED:
            self._reported = Status(State.STOPPED, reason, None, None, self._holder)

    def write(self) -> None:
        """Write what was reported last, with what is measured now; nothing before the first."""
        reported = self._reported
        if reported is None:
            return
        status = Status(
            reported.state,
            reported.phase,
            reported.percent,
            int(time.time() * 1000),
            reported.holder,
            {**self._measured(), **reported.details},
        )
        names = [name(self._exchange_id) for name in (keys.status, keys.epoch, keys.lock)]
        try:
            text = orjson.dumps(status.as_json(), option=orjson.OPT_NON_STR_KEYS)
            self._status_script(keys=names, args=[text, self._stamp, STATUS_TTL_MS, *self._told])
        except (RedisError, TypeError) as error:
            reason = clip(str(error))
            is_fault = isinstance(error, TypeError)  # of ours: it would not go away by itself
            is_news = is_fault and _not_written.is_news(str(self._exchange_id), reason)
            logger.log(
                logging.WARNING if is_news else logging.DEBUG,
                "lock.status_not_written exchange=%s error=%s",
                *(self._exchange_id, reason),
            )

    def _measured(self) -> Mapping[str, Any]:
        try:
            return self.measure()
        except Exception:  # the caller's code: a fault in a number must not cost the lock
            logger.exception("lock.measure_failed exchange=%s", self._exchange_id)
            return {}
