"""How many tokens that let nobody in an address may try, those of API clients and of metrics.

None is found by trying, as each has 256 random bits; who tries is slowed down all the same. A
token that is tried again counts once: that is a program with an old one, and guesses nothing. From
where an API client was let in lately it goes on to be let in, whoever else tries from there, such
as from behind the same proxy. Both are kept in Redis, for all processes that serve.
"""

import ipaddress
import math
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache

from asgiref.sync import sync_to_async
from redis import Redis
from redis.exceptions import RedisError

from exchanges.redis.client import own_client
from exchanges.redis.scripts import load_script
from livermore.market import keys
from serving.counting.lapses import note_not_counted
from serving.models import digest

GUESS = load_script("serving/limits/lua/guess.lua")
MOST, SECONDS = 10, 60.0  # different tokens that are wrong
ADDRESSES_REMEMBERED = 10_000
ANSWER_SECONDS = 1.0  # of Redis
KNOWN_SECONDS = 30 * 86_400
SECONDS_BETWEEN_NOTES = 3600.0


@dataclass(slots=True)
class _Tried:
    """The wrong tokens of an address, by the beginnings of their digests, and until when."""

    until: float  # monotonic
    tokens: set[str] = field(default_factory=set)


class Guesses:
    """Counts for all processes that serve; where Redis does not answer each counts for itself.

    Used in the event loop alone.
    """

    def __init__(self, redis: Redis):
        self._redis = own_client(redis, ANSWER_SECONDS, "serving-guesses")
        self._tried: OrderedDict[str, _Tried] = OrderedDict()  # as far as is known here
        self._noted: OrderedDict[tuple[int, str], float] = OrderedDict()

    async def seconds_to_wait(self, address: str, token: str, client_id: int | None) -> int:
        """Return for how long an address may not try this token, 0 where it may.

        `client_id` says whose it is: None for nobody's, which is counted.
        """
        if client_id is not None and (client_id, address) in self._noted:
            return 0
        short = _short(token)
        tried = await self._count(address, short if client_id is None else "")
        if len(tried.tokens) < MOST or short in tried.tokens:
            return 0
        if client_id is not None and await self._is_known(client_id, address):
            return 0
        return max(1, math.ceil(tried.until - time.monotonic()))

    async def _count(self, address: str, short: str) -> _Tried:
        """Count a token that lets nobody in, "" for none; return all that its address has tried."""
        now = time.monotonic()
        tried = self._tried.get(address)
        if tried is None or now >= tried.until:
            tried = _Tried(now + SECONDS)
        elif short in tried.tokens or len(tried.tokens) >= MOST:
            return tried
        try:
            guess = sync_to_async(GUESS, thread_sensitive=False)
            name, arguments = keys.guesses(address), (short, MOST, int(1000 * SECONDS))
            ms, tokens = await guess(self._redis, [name], arguments)
        except RedisError as error:
            note_not_counted("guesses", error)
            tried.tokens |= {short} - {""}
        else:
            tried.tokens |= {each.decode() for each in tokens}
            tried.until = now + ms / 1000
        self._tried[address] = tried
        while len(self._tried) > ADDRESSES_REMEMBERED:
            self._tried.popitem(last=False)
        return tried

    async def _is_known(self, client_id: int, address: str) -> bool:
        """Tell whether a client was let in from an address lately; where Redis is away it was."""
        known = sync_to_async(self._redis.zscore, thread_sensitive=False)
        try:
            noted_at = await known(keys.client_addresses(client_id), address)
        except RedisError as error:
            note_not_counted("guesses", error)
            return True
        return noted_at is not None

    async def note_right(self, client_id: int, address: str) -> None:
        """Write down that a client was let in from an address, now and then."""
        which, now = (client_id, address), time.monotonic()
        if now - self._noted.get(which, float("-inf")) < SECONDS_BETWEEN_NOTES:
            return
        self._noted[which] = now
        while len(self._noted) > ADDRESSES_REMEMBERED:
            self._noted.popitem(last=False)
        try:
            await sync_to_async(self._note, thread_sensitive=False)(*which)
        except RedisError as error:
            note_not_counted("guesses", error)

    def _note(self, client_id: int, address: str) -> None:
        name = keys.client_addresses(client_id)
        pipe = self._redis.pipeline(transaction=False)
        pipe.zadd(name, {address: time.time()})
        pipe.zremrangebyscore(name, "-inf", time.time() - KNOWN_SECONDS)
        pipe.expire(name, KNOWN_SECONDS)
        pipe.execute()


@lru_cache(maxsize=1024)
def place_of(remote: str | None) -> str:
    """Return what is counted as one address: of IPv6 what one client has to itself at the least."""
    try:
        address = ipaddress.ip_address((remote or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.ip_network((address, 64), strict=False))
        address = address.ipv4_mapped
    return str(address)


def _short(token: str) -> str:
    return digest(token)[:16]
