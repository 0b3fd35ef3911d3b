"""Who reads candles through `serve`: what each of its processes says, in one hash in Redis."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import orjson
from redis import Redis

from exchanges.redis.json_types import parse_object, text_in, whole_in
from livermore.market import keys

ALIVE_MS = 10_000
KEPT_MS = 60_000  # the hash, once nobody serves any more
COUNTS = ("requests", "hits", "answers", "saved", "sockets", "slowestMs", "seenAt")


@dataclass(frozen=True, slots=True)
class Reader:
    """What one API client reads of one exchange; `client` is "" for those without a token.

    Of the last minute are its `requests`, how many `answers` with candles it got, how many of
    these were `hits` of the cache, and how long the slowest answer took. `saved` are the calls of
    the exchange that were spared it since the process began.
    """

    client: str
    exchange: str
    requests: int = 0
    hits: int = 0
    answers: int = 0
    saved: int = 0
    sockets: int = 0
    slowest_ms: int = 0
    seen_at: int = 0  # by the clock of the machine that serves

    @classmethod
    def from_json(cls, found: Any) -> "Reader":
        """Return what was stored; ValueError where it is none."""
        if not isinstance(found, dict):
            raise ValueError("a reader that is no object")
        names = text_in(found, "client"), text_in(found, "exchange")
        return cls(*names, *(whole_in(found, name) for name in COUNTS))

    def as_json(self) -> dict[str, Any]:
        counts = (self.requests, self.hits, self.answers, self.saved, self.sockets)
        values = (*counts, self.slowest_ms, self.seen_at)
        names = {"client": self.client, "exchange": self.exchange}
        return names | dict(zip(COUNTS, values, strict=True))

    def and_also(self, other: "Reader") -> "Reader":
        """Return what two processes say of the same reader together."""
        return replace(
            self,
            requests=self.requests + other.requests,
            hits=self.hits + other.hits,
            answers=self.answers + other.answers,
            saved=self.saved + other.saved,
            sockets=self.sockets + other.sockets,
            slowest_ms=max(self.slowest_ms, other.slowest_ms),
            seen_at=max(self.seen_at, other.seen_at),
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What one process of the server `server_id` says. `heartbeat` is Redis's time, in ms."""

    process_id: str
    server_id: str
    heartbeat: int = 0
    readers: tuple[Reader, ...] = ()

    @classmethod
    def from_json(cls, process_id: str, text: bytes | str) -> "Report":
        """Return what was stored; ValueError where it is none."""
        found = parse_object(text)
        readers = found.get("readers")
        if not isinstance(readers, list):
            raise ValueError("readers that are no list")
        told = tuple(map(Reader.from_json, readers))
        return cls(process_id, text_in(found, "serverId"), whole_in(found, "heartbeat"), told)

    def as_json(self) -> dict[str, Any]:
        readers = [each.as_json() for each in self.readers]
        return {"serverId": self.server_id, "heartbeat": self.heartbeat, "readers": readers}


def tell_readers(redis: Redis, report: Report) -> None:
    """Write what a process says, as of now. Raises RedisError."""
    stored: Any = redis.hkeys(keys.readers())
    report = replace(report, heartbeat=_now_ms(redis))
    pipe = redis.pipeline(transaction=False)
    pipe.hset(keys.readers(), report.process_id, orjson.dumps(report.as_json()))
    pipe.pexpire(keys.readers(), KEPT_MS)
    pipe.execute()
    if set(stored) != {report.process_id.encode()}:
        _forget_dead(redis)


def withdraw(redis: Redis, process_id: str) -> None:
    """Take out what a process says that ends. Raises RedisError."""
    redis.hdel(keys.readers(), process_id)


def read_reports(redis: Redis) -> list[Report]:
    """Return what the processes say that are alive. Raises RedisError."""
    now_ms = _now_ms(redis)
    return [each for each in _stored(redis).values() if each and _is_alive(each, now_ms)]


def read_readers(redis: Redis) -> list[dict[str, Any]]:
    """Return who reads, as the Network page shows it. Raises RedisError."""
    return together(each for report in read_reports(redis) for each in report.readers)


def together(readers: Iterable[Reader]) -> list[dict[str, Any]]:
    """Return one line for each reader, whichever process it reads from; by name."""
    found: dict[tuple[str, str], Reader] = {}
    for each in readers:
        known = found.get((each.client, each.exchange))
        found[each.client, each.exchange] = known.and_also(each) if known else each
    return [
        {
            "client": each.client,
            "exchange": each.exchange,
            "requests": each.requests,
            "hitRatio": each.hits / each.answers if each.answers else None,
            "saved": each.saved,
            "sockets": each.sockets,
            "slowestMs": each.slowest_ms if each.requests else None,
            "seenAt": each.seen_at,
        }
        for _, each in sorted(found.items())
    ]


def _stored(redis: Redis) -> dict[str, Report | None]:
    """Return what is stored by field, None for what is no report."""
    found: dict[str, Report | None] = {}
    stored: Any = redis.hgetall(keys.readers())
    for field, text in stored.items():
        process_id = field.decode("utf-8", "replace")
        try:
            found[process_id] = Report.from_json(process_id, text)
        except ValueError:
            found[process_id] = None
    return found


def _forget_dead(redis: Redis) -> None:
    now_ms = _now_ms(redis)
    dead = [name for name, each in _stored(redis).items() if not (each and _is_alive(each, now_ms))]
    if dead:
        redis.hdel(keys.readers(), *dead)


def _is_alive(report: Report, now_ms: int) -> bool:
    return now_ms - report.heartbeat <= ALIVE_MS


def _now_ms(redis: Redis) -> int:
    seconds, microseconds = redis.time()
    return int(seconds) * 1000 + int(microseconds) // 1000
