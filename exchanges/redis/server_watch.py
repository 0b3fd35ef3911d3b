"""Which server answers: another one may have lost what was written last."""

from typing import NamedTuple

from redis import Redis

from exchanges.redis.scripts import load_script

IDENTIFY = load_script("exchanges/redis/lua/identify.lua")


class Server(NamedTuple):
    """A server since it was started, or promoted; both are "" where it does not say."""

    run_id: str
    replication_id: str


def server_of(redis: Redis, key: str) -> Server:
    """Return which server has a key."""
    return Server(*(text.decode() for text in IDENTIFY(redis, [key])))


class ServerWatch:
    """Notices that another server has a key than before, or the same one that was started anew.

    One thread calls it. What was written before may be lost then, or not.
    """

    def __init__(self, redis: Redis, key: str, known: Server | None = None):
        """Without a server that is `known` the first look learns it."""
        self._redis = redis
        self._key = key
        self.server = known

    def has_changed(self) -> bool:
        """Look; return whether it is another one than at the look before. Raises RedisError."""
        found = server_of(self._redis, self._key)
        before, self.server = self.server, found
        return before is not None and found != before
