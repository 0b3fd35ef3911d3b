"""Who prepares to take an exchange over, and how one that ends waits for that."""

import os
import socket
import time
import uuid
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
from exchanges.redis.scripts import load_script
from livermore.market import keys

KEPT_MS = 15_000
SECONDS_BETWEEN_WORDS = 4.0
SECONDS_UNTIL_CLAIMED = 1.0
SECONDS_BETWEEN_LOOKS = 0.2

CLAIM = load_script("warmup/runner/moving/lua/claim.lua")
END_CLAIM = load_script("warmup/runner/moving/lua/end_claim.lua")


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
    """Says that this one prepares to take an exchange over, so that no other does too."""

    def __init__(self, redis: Redis, exchange_id: int, replaces: str):
        self._redis = redis
        self._key = keys.successor(exchange_id)
        self._told = changed(exchange_id, "status")
        successor = Successor(socket.gethostname(), outgoing_ip(), os.getpid(), replaces)
        self._text = orjson.dumps({**successor.as_json(), "id": str(uuid.uuid4())})
        self._next_word_at = 0.0

    def claim(self) -> bool:
        """Be the one who prepares, or go on to be; return False where somebody else is."""
        return bool(CLAIM(self._redis, [self._key], [self._text, KEPT_MS, *self._told]))

    def keep_up(self, now: float) -> bool:
        """Go on to be, as `claim` does, from time to time; `now` is monotonic, in seconds."""
        if now < self._next_word_at:
            return True
        claimed = self.claim()
        if claimed:
            self._next_word_at = now + SECONDS_BETWEEN_WORDS
        return claimed

    def end(self) -> None:
        """Prepare no longer, be it that the exchange was taken over, or that it could not be."""
        with suppress(RedisError):  # then the claim ends by itself
            END_CLAIM(self._redis, [self._key], [self._text, *self._told])


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
