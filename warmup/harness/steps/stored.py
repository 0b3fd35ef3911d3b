"""What is in Redis as any reader finds it, and leaving it as it was."""

import re
from typing import Any, NamedTuple

from redis import Redis

from exchanges.lock.acquire import LARGEST_EPOCH
from exchanges.models import Exchange
from exchanges.redis.scripts import load_script
from exchanges.rest.pacing.host import host_of
from livermore.market import keys
from livermore.market.timeframe import Timeframe

NAMES_PER_SCAN = 1000

PUT_BACK = load_script("warmup/harness/steps/lua/put_back_status.lua")


class StringKey(NamedTuple):
    """A string key: its content, None where it is no string, and how long it lasts in ms."""

    content: bytes | None
    lasts_ms: int


class PreservedStatus:
    """Leaves an exchange's status as it was before a lease that was only needed for a moment.

    Call `ours` with the lease's epoch once there is one, and `waited` if another holder had to
    end first: then what it said of itself is over too.
    """

    def __init__(self, redis: Redis, exchange_id: int):
        self._redis = redis
        self._names = [keys.status(exchange_id), keys.epoch(exchange_id)]
        self._before: Any = b""
        self._ends_ms = 0
        self._epoch: int | None = None

    def __enter__(self) -> "PreservedStatus":
        self._before = self._redis.get(self._names[0]) or b""
        self._ends_ms = self._redis.pexpiretime(self._names[0])
        return self

    def __exit__(self, *error: object) -> None:
        if self._epoch is not None:
            values: list[Any] = [self._epoch, self._before, self._ends_ms]
            PUT_BACK(self._redis, self._names, values)

    def ours(self, epoch: int) -> None:
        self._epoch = epoch

    def waited(self) -> None:
        self._before = b""


def members(redis: Redis, name: str) -> list[tuple[bytes, float]] | None:
    """Return a sorted set's members with their scores, none where there is no such key.

    None where it is something else.
    """
    if redis.type(name) not in (b"zset", b"none"):
        return None
    found: Any = redis.zrange(name, 0, -1, withscores=True)
    return found


def text(redis: Redis, name: str) -> StringKey | None:
    """Return what a string key holds, None where there is no such key."""
    kind = redis.type(name)
    if kind == b"none":
        return None
    content: Any = redis.get(name) if kind == b"string" else None
    return StringKey(content, redis.pttl(name))


def names_like(redis: Redis, name: str) -> list[str]:
    """Return the keys that are named so, where `*` stands for anything."""
    pattern = re.sub(r"([\\?\[\]])", r"\\\1", name)
    found = redis.scan_iter(pattern, count=NAMES_PER_SCAN)
    return sorted(each.decode(errors="backslashreplace") for each in found)


def misfits(redis: Redis, exchange: Exchange, symbol: str | None) -> list[str]:
    """Return which of the exchange's keys hold something else than they should, a line each."""
    number = exchange.pk
    wanted = {
        keys.lock(number): b"string",
        keys.epoch(number): b"string",
        keys.status(number): b"string",
        keys.control(number): b"stream",
        keys.events(number): b"stream",
        keys.pacing(host_of(exchange.rest_url)): b"hash",
    }
    if symbol:
        wanted[keys.candles(number, symbol, Timeframe.D1)] = b"zset"
        wanted[keys.coverage(number, symbol, Timeframe.D1)] = b"string"
        wanted[keys.ticker(number, symbol)] = b"string"
    types: dict[str, Any] = {name: redis.type(name) for name in wanted}
    faults = [
        f"{name} is a {kind.decode()}, not a {wanted[name].decode()}"
        for name, kind in types.items()
        if kind not in (wanted[name], b"none")
    ]
    epoch: Any = redis.get(keys.epoch(number)) if types[keys.epoch(number)] == b"string" else b"0"
    if not _is_epoch(epoch):
        faults.append(f"{keys.epoch(number)} is no number that can be counted on")
    return faults


def _is_epoch(text: bytes | None) -> bool:
    return not text or (text.isdigit() and int(text) < LARGEST_EPOCH)
