"""One writer per exchange: the lock, the heartbeat that keeps it, the epoch against late writes.

Three things keep a second writer out, each where the one before it can't: the lock in Redis,
which one holder has at a time; `Lease.may_write()`, by which a holder that could not renew stops
by itself; and the epoch with its holder, which Redis compares inside every write, for one that was
stopped between asking and writing. Equal hostnames mean nothing: a lease is known by a random id.
"""

import logging
import socket
import time
import uuid
from contextlib import closing, suppress
from os import getpid
from typing import Any

import orjson
from redis import Redis
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as NoAnswer

from exchanges.daemon_threads import Workers
from exchanges.errors import Temporary, clip
from exchanges.lock.fencing import Epoch
from exchanges.lock.lease import RELEASE, Lease, now
from exchanges.lock.status import Holder
from exchanges.redis.change_notifications import changed
from exchanges.redis.client import own_client
from exchanges.redis.json_types import parse_object
from exchanges.redis.scripts import load_script
from exchanges.redis.unreadable import (
    Unreadable,
    is_wrong_type,
    of_type,
    value_or_error,
    warn_once,
)
from livermore.market import keys

logger = logging.getLogger(__name__)

TTL_MS = 12_000
RENEW_MS = 1_000  # so a holder may stand still for eleven twelfths of its lease and loses nothing
# Of its lease: so long a holder is not renewed whose process is gone, and whose lock may be ended.
# It stops by itself to write after half of it, whatever became of it.
ABANDONED_SHARE = 7 / 12
LARGEST_EPOCH = 2**53  # what a script of Redis can count to
SECONDS_PER_TRY, SECONDS_BETWEEN_TRIES = 1.0, 0.2  # to give back what nobody knows to be taken
GIVING_BACK = Workers(1, "give-back")

END_ABANDONED = load_script("exchanges/lock/lua/end_abandoned.lua")
ACQUIRE = load_script("exchanges/lock/lua/acquire.lua", {"LARGEST_EPOCH": LARGEST_EPOCH})


class Held(Temporary):
    """Somebody else holds the exchange: `holder`."""

    def __init__(self, exchange_id: int, holder: Holder, left_ms: int = 0):
        """`left_ms` is how long a lock lasts whose holder is not known."""
        text = f"Exchange {exchange_id} is held by {holder}: end it there or take over"
        if not holder.is_known:
            text = unknown_lock(exchange_id, left_ms)
        super().__init__(text)
        self.exchange_id = exchange_id
        self.holder = holder


def unknown_lock(exchange_id: int, left_ms: int) -> str:
    """Return what is to be done about a lock that can't be read and lasts so long, in a line.

    `left_ms` is as Redis says it: negative where it never ends.
    """
    name = keys.lock(exchange_id)
    text = f"{name} can't be read, so nobody knows who writes the exchange, and nobody else may"
    if left_ms >= 0:
        return f"{text}: it ends by itself in {left_ms / 1000:.0f} s"
    return f"{text}, and it never ends: make sure that nothing runs it, then redis-cli DEL {name}"


class ExchangeLock:
    """The lock of one exchange. A lease lasts `ttl_ms` and is renewed every `renew_ms`.

    `above` is the epoch that who wants it had last: Redis may have lost that one, or still have the
    lock of it, where it could not be given back.
    """

    def __init__(
        self,
        redis: Redis,
        exchange_id: int,
        *,
        ttl_ms: int = TTL_MS,
        renew_ms: int = RENEW_MS,
        above: int = 0,
    ):
        if 2 * renew_ms >= ttl_ms:
            raise ValueError(f"renew_ms {renew_ms} must be below half of ttl_ms {ttl_ms}")
        self._redis = redis
        self._exchange_id = exchange_id
        self._ttl_ms = ttl_ms
        self._renew_ms = renew_ms
        self._above = int(above)  # a client of Redis takes nothing else
        self._own_before = above.instance_id if isinstance(above, Epoch) else ""
        self._acquire = ACQUIRE.on(redis)
        self._end_abandoned = END_ABANDONED.on(redis)

    def replaced(self) -> str | None:
        """Return the instance id of whoever the holder was told to take it from, None for none."""
        try:
            text = self._redis.get(keys.lock(self._exchange_id))
            found = parse_object(text).get("replaces") if text else None
        except (ResponseError, ValueError):  # somebody else wrote it
            return None
        return found if isinstance(found, str) else None

    def holder(self) -> Holder | None:
        """Return who holds the exchange, None where nobody does.

        Of a lock that can't be read `Holder.unknown()`: somebody has it.
        """
        try:
            stored: Any = self._redis.get(keys.lock(self._exchange_id))
        except ResponseError as error:
            value_or_error(error)
            stored = b""
        return None if stored is None else self._understood(stored)

    def left_ms(self) -> int:
        """Return how long the lock lasts unless it is renewed, negative where nobody has it."""
        return self._redis.pttl(keys.lock(self._exchange_id))

    def look(self) -> tuple[Holder | None, int]:
        """Return what `holder` and `left_ms` do, in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.get(keys.lock(self._exchange_id))
        pipe.pttl(keys.lock(self._exchange_id))
        stored, left_ms = (value_or_error(each) for each in pipe.execute(raise_on_error=False))
        if is_wrong_type(stored):
            stored = b""
        return (None if stored is None else self._understood(stored)), left_ms

    @property
    def abandoned_ms(self) -> int:
        """Return how long a lock lasts at the most that `end_abandoned` ends."""
        return self._ttl_ms - round(self._ttl_ms * ABANDONED_SHARE)

    def end_abandoned(self, instance_id: str) -> bool:
        """End the lock of a holder whose process is gone; return whether that was done.

        Not where it has renewed it within seven twelfths of a lease.
        """
        ended = self._end_abandoned(
            keys=[keys.lock(self._exchange_id)],
            args=[instance_id, self.abandoned_ms, keys.lock_channel(self._exchange_id)],
        )
        if ended:
            logger.warning("lock.abandoned exchange=%s holder=%s", self._exchange_id, instance_id)
        return bool(ended)

    def give_back(self, instance_id: str) -> None:
        """Give the lock back for a holder of whose process it is certain that it is gone."""
        told = changed(self._exchange_id, "status")
        channel = keys.lock_channel(self._exchange_id)
        RELEASE(self._redis, [keys.lock(self._exchange_id)], [instance_id, *told, channel])

    def acquire(self) -> "Lease":
        """Take the free lock. Raises Held."""
        return self._take(self._own_before)

    def take_over(self, instance_id: str, reason: str) -> "Lease":
        """Take the lock from the holder with this id, or free if that one is gone by now.

        Raises Held where somebody else has come to hold it: nobody agreed to end that one.
        """
        lease = self._take(instance_id)
        logger.warning(
            "lock.taken_over exchange=%s epoch=%s from=%s reason=%s",
            self._exchange_id, lease.epoch, instance_id, clip(reason),
        )  # fmt: skip
        return lease

    def _take(self, from_instance_id: str) -> "Lease":
        candidate = {
            "instanceId": str(uuid.uuid4()),
            "hostname": socket.gethostname(),
            "ip": outgoing_ip(),
            "pid": getpid(),
        }
        if from_instance_id:
            candidate["replaces"] = from_instance_id  # so that one learns that it was wanted
        sent = now()
        try:
            taken, *texts = self._acquire(
                keys=[name(self._exchange_id) for name in (keys.lock, keys.epoch, keys.status)],
                args=[orjson.dumps(candidate), self._ttl_ms, from_instance_id, self._above],
            )
        except (NoConnection, NoAnswer):  # whether it is ours by now nobody knows
            until = now() + self._ttl_ms / 1000
            with suppress(RuntimeError):  # there is no room for a thread: it ends by itself
                GIVING_BACK.submit(self._give_back_until, until, str(candidate["instanceId"]))
            raise
        if taken < 0:
            name = keys.epoch(self._exchange_id)
            kind = texts[0].decode()
            fault = f"{name} is no number that can be counted on"
            raise Unreadable(fault if kind == "string" else of_type(name, kind, "string"), name)
        holder = self._understood(texts[0])
        if not taken:
            raise Held(self._exchange_id, holder, 0 if holder.is_known else self.left_ms())
        logger.info("lock.acquired exchange=%s epoch=%s", self._exchange_id, holder.epoch)
        return Lease(self._redis, self._exchange_id, holder, sent, self._ttl_ms, self._renew_ms)

    def _give_back_until(self, until: float, instance_id: str) -> None:
        """Give back what may have been taken, once Redis answers, as nobody would keep it."""
        with closing(own_client(self._redis, SECONDS_PER_TRY, "give-back")) as redis:
            while now() < until:
                try:
                    ExchangeLock(redis, self._exchange_id).give_back(instance_id)
                    break
                except RedisError:
                    time.sleep(SECONDS_BETWEEN_TRIES)

    def _understood(self, text: bytes) -> Holder:
        try:
            return Holder.from_json(text)
        except ValueError as error:
            warn_once(logger, keys.lock(self._exchange_id), f"no lock of ours: {error}")
            return Holder.unknown()


def outgoing_ip() -> str:
    """Return the address this machine speaks from, 127.0.0.1 where it has no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # kept for documentation; UDP: nothing is sent
        except OSError:
            return "127.0.0.1"
        return probe.getsockname()[0]
