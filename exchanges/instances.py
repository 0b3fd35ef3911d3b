"""One writer per exchange: the lock, the heartbeat that keeps it, the epoch against late writes.

Three things keep a second writer out, each where the one before it can't: the lock in Redis,
which one holder has at a time; `Lease.may_write()`, by which a holder that could not renew stops
by itself; and the epoch, which Redis compares inside every write, for a holder that was stopped
between asking and writing. Equal hostnames mean nothing: a lease is known by a random id.
"""

import logging
import socket
import uuid
from os import getpid

import orjson
from redis import Redis

from exchanges.errors import Temporary, clip
from exchanges.lease import Lease, now
from exchanges.status import Holder
from livermore.market import keys

logger = logging.getLogger(__name__)

TTL_MS = 45_000
RENEW_MS = 15_000

# The epoch begins at the server's time in ms, so that it rises past a Redis that lost its data.
# Called again with the same id, as a client
# does after a lost reply, it says the same.
#
# KEYS: lock, epoch, status (of the holder before, which ends with it).
# ARGV: holder without epoch and time, ttl, id of whom to take it from or ''.
# Returns {1 if it is ours now, the lock}.
ACQUIRE = """
local mine, lock = cjson.decode(ARGV[1]), redis.call('GET', KEYS[1])
if lock then
    local id = cjson.decode(lock).instanceId
    if id == mine.instanceId then return {1, lock} end
    if id ~= ARGV[3] then return {0, lock} end
end
local time = redis.call('TIME')
mine.connectedSince = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[2], string.format('%.0f', mine.connectedSince), 'NX')
mine.epoch = redis.call('INCR', KEYS[2])
lock = cjson.encode(mine)
redis.call('SET', KEYS[1], lock, 'PX', ARGV[2])
redis.call('DEL', KEYS[3])
return {1, lock}
"""


class Held(Temporary):
    """Somebody else holds the exchange: `holder`."""

    def __init__(self, exchange_id: int, holder: Holder):
        super().__init__(f"Exchange {exchange_id} is held by {holder}: end it there or take over")
        self.exchange_id = exchange_id
        self.holder = holder


class ExchangeLock:
    """The lock of one exchange. A lease lasts `ttl_ms` and is renewed every `renew_ms`."""

    def __init__(
        self, redis: Redis, exchange_id: int, *, ttl_ms: int = TTL_MS, renew_ms: int = RENEW_MS
    ):
        if 2 * renew_ms >= ttl_ms:
            raise ValueError(f"renew_ms {renew_ms} must be below half of ttl_ms {ttl_ms}")
        self._redis = redis
        self._exchange_id = exchange_id
        self._ttl_ms = ttl_ms
        self._renew_ms = renew_ms
        self._acquire = redis.register_script(ACQUIRE)

    def holder(self) -> Holder | None:
        """Return who holds the exchange, None where nobody does."""
        stored = self._redis.get(keys.lock(self._exchange_id))
        return Holder.from_json(stored) if stored else None

    def left_ms(self) -> int:
        """Return how long the lock lasts unless it is renewed, negative where nobody has it."""
        return self._redis.pttl(keys.lock(self._exchange_id))

    def acquire(self) -> "Lease":
        """Take the free lock. Raises Held."""
        return self._take("")

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
        sent = now()
        taken, text = self._acquire(
            keys=[name(self._exchange_id) for name in (keys.lock, keys.epoch, keys.status)],
            args=[orjson.dumps(candidate), self._ttl_ms, from_instance_id],
        )
        holder = Holder.from_json(text)
        if not taken:
            raise Held(self._exchange_id, holder)
        logger.info("lock.acquired exchange=%s epoch=%s", self._exchange_id, holder.epoch)
        return Lease(self._redis, self._exchange_id, holder, sent, self._ttl_ms, self._renew_ms)


def outgoing_ip() -> str:
    """Return the address this machine speaks from, 127.0.0.1 where it has no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # kept for documentation; UDP: nothing is sent
        except OSError:
            return "127.0.0.1"
        return probe.getsockname()[0]
