"""Who prepares to take an exchange over, and how one that ends waits for that."""

import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass

import orjson
from redis import Redis
from redis.exceptions import RedisError

from exchanges.lock.acquire import outgoing_ip
from exchanges.lock.lease import Lease
from exchanges.lock.watch import LEAVING
from exchanges.redis.change_notifications import changed
from exchanges.redis.client import count_listeners
from exchanges.redis.json_types import parse_object, text_in, whole_in
from livermore.market import keys

KEPT_MS = 15_000
SECONDS_BETWEEN_WORDS = 4.0
SECONDS_UNTIL_CLAIMED = 1.0
SECONDS_BETWEEN_LOOKS = 0.2


@dataclass(frozen=True, slots=True)
class Successor:
    """Who prepares to take an exchange from the holder `replaces`."""

    hostname: str
    ip: str
    pid: int
    replaces: str

    @classmethod
    def from_json(cls, text: bytes | str) -> "Successor":
        """Return what was stored. Raises ValueError for anything else."""
        found = parse_object(text)
        hostname, ip, replaces = (text_in(found, name) for name in ("hostname", "ip", "replaces"))
        return cls(hostname, ip, whole_in(found, "pid"), replaces)

    def as_json(self) -> dict[str, str | int]:
        """Return the object that is stored."""
        return {
            "hostname": self.hostname,
            "ip": self.ip,
            "pid": self.pid,
            "replaces": self.replaces,
        }


class Succession:
    """Says that this process prepares to take an exchange over, so that no other does too."""

    def __init__(self, redis: Redis, exchange_id: int, replaces: str):
        self._redis = redis
        self._exchange_id = exchange_id
        self._key = keys.successor(exchange_id)
        successor = Successor(socket.gethostname(), outgoing_ip(), os.getpid(), replaces)
        self._text = orjson.dumps(successor.as_json())
        self._next_word_at = 0.0

    def claim(self) -> bool:
        """Be the one who prepares; return False where somebody else is."""
        claimed = bool(self._redis.set(self._key, self._text, nx=True, px=KEPT_MS))
        if claimed:
            self._redis.publish(*changed(self._exchange_id, "status"))
        return claimed

    def keep_up(self, now: float) -> None:
        """Go on to be; `now` is monotonic, in seconds."""
        if now >= self._next_word_at:
            self._next_word_at = now + SECONDS_BETWEEN_WORDS
            self._redis.set(self._key, self._text, px=KEPT_MS)

    def end(self) -> None:
        """Prepare no longer, be it that the exchange was taken over, or that it could not be."""
        with suppress(RedisError):  # then the claim ends by itself
            self._redis.delete(self._key)
            self._redis.publish(*changed(self._exchange_id, "status"))


class Departure:
    """Offers an exchange to those who wait for it, before its holder ends."""

    def __init__(self, redis: Redis, lease: Lease):
        self._redis = redis
        self._number = lease.exchange_id
        self._instance_id = lease.holder.instance_id
        self._offered_at = self._next_look_at = 0.0
        self._claimed = False

    def offer(self) -> bool:
        """Tell those who wait that this holder ends; return whether there is anybody."""
        self._offered_at = time.monotonic()
        channel = keys.lock_channel(self._number)
        if not count_listeners(self._redis, channel):
            return False
        self._redis.publish(channel, LEAVING + self._instance_id)
        return True

    def goes_on(self, now: float) -> bool:
        """Tell whether somebody prepares to take over, or may still begin to."""
        if now >= self._next_look_at:
            self._next_look_at = now + SECONDS_BETWEEN_LOOKS
            self._claimed = bool(self._redis.exists(keys.successor(self._number)))
        return self._claimed or now < self._offered_at + SECONDS_UNTIL_CLAIMED
