"""What went to a host lately, for those who look at it."""

import logging
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import ResponseError

from exchanges.redis.scripts import load_script
from exchanges.redis.unreadable import value_or_error, warn_once
from exchanges.rest.pacing.pacer import IDLE_MS, LONGEST_BAN_SECONDS
from livermore.market import keys

logger = logging.getLogger(__name__)

READ = load_script("exchanges/rest/pacing/lua/read_usage.lua")
LONGEST_WHOLE = 16  # digits, of a number that a script can reckon with


@dataclass(frozen=True, slots=True)
class Usage:
    """What went to a host lately, and what holds calls to it back.

    `weight` is that of the last minute, `weight_limit` what the host allows in one: both None
    where no weight is kept. `held_ms` and `banned_ms` are how long nothing may go out, 0 for none,
    `banned_until_ms` when a ban ends, in UTC epoch ms.
    `refused_ms` are the pauses in a row for a firewall that turns this address away, 0 for none.
    """

    weight: int | None
    weight_limit: int | None
    held_ms: int
    banned_ms: int
    refused_ms: int = 0
    banned_until_ms: int = 0


def read_usage(redis: Redis, host: str) -> Usage:
    """Return what all processes that use this Redis have used up of a host, changing nothing."""
    name = keys.pacing(host)
    try:
        found, seconds, microseconds = READ(redis, [name])
    except ResponseError as error:
        value_or_error(error)
        warn_once(logger, name, "it is no hash")  # who wants to call says so
        return Usage(None, None, 0, 0)
    seconds = int(seconds)
    now_ms = 1000 * seconds + int(microseconds) // 1000
    stored = dict(zip(found[::2], found[1::2], strict=True))
    fields = {name: int(text) for name, text in stored.items() if _is_whole(text)}
    weights = {  # by second, as take_weight.lua counts them: a 60th of a minute
        int(second): amount
        for name, amount in fields.items()
        if name.startswith(b"weight:") and _is_whole(second := name.removeprefix(b"weight:"))
    }
    limit = fields.get(b"weight_limit")
    used = sum(amount for second, amount in weights.items() if 0 <= seconds - second <= 60)
    held_until_ms = fields.get(b"held_until", 0)
    is_recent = now_ms - held_until_ms <= IDLE_MS
    return Usage(
        used if weights or limit else None,
        limit or None,
        _left_ms(held_until_ms, now_ms),
        _left_ms(fields.get(b"banned_until", 0), now_ms),
        fields.get(b"refused_ms", 0) if is_recent else 0,
        fields.get(b"banned_until", 0),
    )


def _is_whole(text: bytes) -> bool:
    return len(text) < LONGEST_WHOLE and text.isdigit()


def _left_ms(until_ms: int, now_ms: int) -> int:
    """Return how long something lasts; nothing lasts longer than the longest ban."""
    left_ms = until_ms - now_ms
    return max(0, left_ms) if left_ms <= 1000 * LONGEST_BAN_SECONDS else 0
