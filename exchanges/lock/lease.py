"""The right to write one exchange's data: renewed by a heartbeat, until released or lost."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from exchanges.errors import Permanent, Temporary, clip
from exchanges.lock.fencing import Epoch
from exchanges.lock.status import Holder, State
from exchanges.lock.status_writer import StatusWriter
from exchanges.redis.change_notifications import changed
from exchanges.redis.client import own_client
from exchanges.redis.json_types import parse_object
from exchanges.redis.scripts import load_script
from livermore.market import keys

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_STATUSES = 0.25
# A Redis that answers later is asked again: twice within the time in which we may write.
SHARE_OF_TTL_PER_ANSWER = 4
LONGEST_LEARNING_SECONDS = 1.0  # why a lease was lost
# Unlike `time.monotonic` it goes on while the machine sleeps, as the lock's time in Redis does.
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

RENEW = load_script("exchanges/lock/lua/renew.lua")
RELEASE = load_script("exchanges/lock/lua/release.lua")


class NotRenewed(Temporary):
    """The lock was not renewed for so long that nothing may be written until it is."""


class LostLock(Permanent):
    """The exchange is no longer ours: stop, and start anew if it should run."""


class LostByRedis(LostLock):
    """Nobody else is known to have it: Redis was away for too long, or forgot whose it is.

    A holder that stood still for longer than its lease lost it by itself.
    """


class HandedOver(LostLock):
    """Somebody else has it, who was told to take it from us: all is as it should be."""


class Lease:
    """The right to write one exchange's data, until it is released or lost.

    `lost` is set when it is lost for good, `lost_reason` says how. `start()` or a `with` block
    keeps it alive from a thread with a connection of its own. Any thread may call any method.
    """

    def __init__(
        self,
        redis: Redis,
        exchange_id: int,
        holder: Holder,
        renewed_at: float,
        ttl_ms: int,
        renew_ms: int,
    ):
        """`renewed_at` is the time of `CLOCK` before the lock was asked for."""
        self.exchange_id = exchange_id
        self.holder = holder
        self.lost = threading.Event()
        self.lost_reason = ""
        self._lost_by_redis = True  # until somebody else is known to have it
        self._handed_over = False  # to somebody who was told to take it from us
        self._ttl_ms = ttl_ms
        self._renew_seconds = renew_ms / 1000
        self._renewed_at = renewed_at
        self._next_renewal = renewed_at + self._renew_seconds
        self._failing = False
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._releasing = threading.Lock()
        self._thread = threading.Thread(
            target=self._run, name=f"heartbeat-{exchange_id}", daemon=True
        )
        longest_seconds = ttl_ms / 1000 / SHARE_OF_TTL_PER_ANSWER
        self._redis = own_client(redis, longest_seconds, f"heartbeat:{exchange_id}")
        self._renew_script = RENEW.on(self._redis)
        self._release_script = RELEASE.on(self._redis)
        self._status = StatusWriter(self._redis, exchange_id, holder)
        self._told = changed(exchange_id, "status")

    @property
    def epoch(self) -> int:
        """Return the fencing epoch that every write has to carry."""
        return self.holder.epoch

    @property
    def own_epoch(self) -> Epoch:
        """Return the same with whose it is, for who writes under it."""
        return Epoch(self.holder.epoch, self.holder.instance_id)

    def start(self) -> "Lease":
        """Begin to renew, and to write the status."""
        self._thread.start()
        return self

    def __enter__(self) -> "Lease":
        return self if self._thread.is_alive() else self.start()

    def __exit__(self, *_error: object) -> None:
        self.release()

    # -- May we write?

    def may_write(self) -> bool:
        """Tell whether the lock is certainly ours: no other can have it before its TTL is over."""
        over = self._ending.is_set() or self.lost.is_set()
        return not over and self._seconds_unrenewed() <= self._ttl_ms / 2000

    def check(self) -> None:
        """Raise LostLock if it is lost or released, NotRenewed while that is open."""
        if self.lost.is_set():
            raise self._loss_kind(f"Exchange {self.exchange_id} was lost: {self.lost_reason}")
        if self._ending.is_set():
            raise LostLock(f"Exchange {self.exchange_id} was released")
        if not self.may_write():
            seconds = self._seconds_unrenewed()
            raise NotRenewed(f"Exchange {self.exchange_id}: lock not renewed for {seconds:.1f} s")

    def loss(self) -> LostLock:
        """Return the error that says how it was lost, having asked Redis if that isn't known."""
        self.recheck()
        self.lost.wait(LONGEST_LEARNING_SECONDS)
        return self._loss_kind(f"stopped: {self.lost_reason or 'a write was refused'}")

    @property
    def _loss_kind(self) -> type[LostLock]:
        if self._handed_over:
            return HandedOver
        return LostByRedis if self._lost_by_redis and self.lost.is_set() else LostLock

    def recheck(self) -> None:
        """Ask for a renewal at once: whoever was refused a write learns soon why."""
        self._next_renewal = 0.0
        self._wake.set()

    def release(self) -> None:
        """Give the lock back and end the heartbeat; a second call does nothing.

        A state that has not ended is reported as stopped. If Redis is gone the lock ends by itself.
        """
        with self._releasing:
            if self._ending.is_set():
                return
            self._ending.set()
            self._wake.set()
            if self._thread.is_alive():
                self._thread.join()
            self._status.end(self.lost_reason)
            self._status.write()
            try:
                self._release_script(
                    keys=[keys.lock(self.exchange_id)],
                    args=[
                        self.holder.instance_id,
                        *self._told,
                        keys.lock_channel(self.exchange_id),
                    ],
                )
            except RedisError as error:
                logger.warning(
                    "lock.not_released exchange=%s error=%s", self.exchange_id, clip(str(error))
                )
            self._redis.close()

    # -- The status

    def report(
        self, state: State, phase: str = "", percent: float | None = None, **details: Any
    ) -> None:
        """Say what the exchange does now, in place of all that was said before.

        The heartbeat writes it, at most four times a second; before the start it is written here.
        """
        self._status.report(state, phase, percent, details)
        if self._thread.is_alive():
            self._wake.set()
        elif not self._ending.is_set():
            self._status.write()

    def measure_with(self, measure: Callable[[], Mapping[str, Any]]) -> None:
        """Let `measure()` give rates, lag and counters to each status; it must not block."""
        self._status.measure = measure

    # -- The heartbeat

    def _run(self) -> None:
        try:
            while not self._ending.is_set() and not self.lost.is_set():
                self._step()
        finally:
            if not self._ending.is_set():
                self._lose("its heartbeat ended")

    def _step(self) -> None:
        self._wake.wait(self._seconds_to_renewal())
        self._wake.clear()
        if self._ending.is_set():
            return
        if self._seconds_to_renewal() or self._renew():
            self._status.write()
            self._ending.wait(min(SECONDS_BETWEEN_STATUSES, self._seconds_to_renewal()))

    def _renew(self) -> bool:
        sent = now()
        try:
            renewed, text = self._renew_script(
                keys=[keys.lock(self.exchange_id), keys.epoch(self.exchange_id)],
                args=[self.holder.instance_id, self.epoch, self._ttl_ms],
            )
        except RedisError as error:
            self._not_renewed(error)
            return False
        if not renewed:
            self._lose(self._how_it_was_lost(text))
            return False
        self._renewed_at, self._failing = sent, False
        self._next_renewal = sent + self._renew_seconds
        return True

    def _not_renewed(self, error: RedisError) -> None:
        self._next_renewal = now() + self._renew_seconds / 10
        seconds = self._seconds_unrenewed()
        if seconds * 1000 > self._ttl_ms:
            self._lose(f"could not renew for {seconds:.1f} s")
        elif not self._failing:
            self._failing = True
            logger.warning(
                "lock.not_renewed exchange=%s seconds=%.1f error=%s",
                self.exchange_id, seconds, clip(str(error)),
            )  # fmt: skip

    def _how_it_was_lost(self, text: bytes | None) -> str:
        if text is None:
            # Nobody has it, but taking it back would go on as if we had not been away: a new start
            # heals what was missed, under an epoch that refuses whatever of ours is on its way.
            seconds = self._seconds_unrenewed()
            self._lost_by_redis = self._failing or seconds * 1000 < self._ttl_ms
            return f"it ended after {seconds:.1f} s without a renewal"
        try:
            other = Holder.from_json(text)
        except ValueError:
            self._lost_by_redis = False
            return f"somebody else wrote {keys.lock(self.exchange_id)}, and nobody knows who"
        if other.instance_id == self.holder.instance_id:
            return f"its epoch is gone from Redis, or somebody wrote {keys.epoch(self.exchange_id)}"
        if other.epoch < self.epoch:  # it came back with a replica that had lagged, or a dump
            return f"Redis lost it, and has that of {other.hostname} ({other.ip}) from before"
        self._lost_by_redis = False
        self._handed_over = parse_object(text).get("replaces") == self.holder.instance_id
        return f"taken over by {other.hostname} ({other.ip})"

    def _lose(self, reason: str) -> None:
        if not self.lost.is_set():
            self.lost_reason = reason
            self.lost.set()
            level = logging.INFO if self._handed_over else logging.ERROR
            event = "lock.handed_over" if self._handed_over else "lock.lost"
            logger.log(level, "%s exchange=%s reason=%s", event, self.exchange_id, reason)

    def _seconds_unrenewed(self) -> float:
        return now() - self._renewed_at

    def _seconds_to_renewal(self) -> float:
        return max(0.0, self._next_renewal - now())


def now() -> float:
    """Return the time of `CLOCK`, in seconds."""
    return time.clock_gettime(CLOCK)
