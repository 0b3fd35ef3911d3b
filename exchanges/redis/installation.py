"""Which installations there are behind one Redis server: there should be one under a prefix.

An installation is a database, whatever the number of machines that share it. Each says so in one
hash, where others find it: two that name things alike write the same keys, and two in different
databases of a server receive each other's messages.
"""

import hashlib
import logging
import socket
import time
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import Error as DatabaseError
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from exchanges.redis.client import own_client, plain_databases
from exchanges.redis.directory import keep_published
from exchanges.redis.json_types import check_types, is_number, is_text, parse_object
from livermore.market import keys, naming

logger = logging.getLogger(__name__)

SECONDS_BETWEEN = 60.0
KEPT_MS = 86_400_000  # so long one that was seen counts as there
ANSWER_SECONDS = 1.0
SHAPE = {"id": is_text, "hostname": is_text, "seenAt": is_number}


@dataclass(frozen=True, slots=True)
class Installation:
    """One that was seen: by which host, and when. `database` is the Redis database it is in."""

    number: str
    tagged: bool
    hostname: str
    seen_ms: int
    database: int | None = None  # None is ours


def installation_id() -> str:
    """Return what tells this database from others: when its first tables were made, to the µs.

    It is empty where there are none yet, or no database.
    """
    try:
        rows = MigrationRecorder(connection).migration_qs.order_by("pk")
        first = [f"{each.app} {each.name} {each.applied.timestamp()!r}" for each in rows[:3]]
    except DatabaseError:
        return ""
    return hashlib.sha256("\n".join(first).encode()).hexdigest()[:16] if first else ""


def announce(redis: Redis, number: str) -> None:
    """Say that this installation is here, and forget those that were not seen for a day."""
    if not number:
        return
    tagged, now_ms = naming.current().tagged, int(1000 * time.time())
    said = {"id": number, "tags": tagged, "hostname": socket.gethostname(), "seenAt": now_ms}
    redis.hset(keys.installation(), _field(number, tagged), orjson.dumps(said))
    stored: Any = redis.hgetall(keys.installation())
    if old := [name for name, text in stored.items() if not _read(text, now_ms)]:
        redis.hdel(keys.installation(), *old)


def warnings(redis: Redis, number: str) -> list[str]:
    """Return what is wrong with who else is here, a line each, and what to do about it.

    Raises RedisError.
    """
    tagged, now_ms = naming.current().tagged, int(1000 * time.time())
    found = []
    for each in _others(redis, now_ms):
        ago = f"seen {max(0, now_ms - each.seen_ms) // 1000} s ago on {each.hostname}"
        if each.database is not None:
            if each.number != number:
                found.append(_of_other_database(each, ago))
        elif number and each.number != number:
            found.append(
                f"Another installation ({ago}) names its keys in this Redis as this one does: each "
                "writes over what the other has. Give one of them a LIVERMORE_KEY_PREFIX; one that "
                f"is gone is forgotten after a day, or by {_forget(each)}"
            )
        elif each.tagged != tagged:
            found.append(
                f"This installation's names have {'tags' if each.tagged else 'no tags'} elsewhere "
                f"({ago}) and {'tags' if tagged else 'none'} here: neither finds what the other "
                "writes. Set LIVERMORE_KEY_TAGS the same for all; what is over is forgotten "
                f"after a day, or by {_forget(each)}"
            )
    return found


class Announcer:
    """Says once a minute that this installation is here, and which exchanges it has.

    What is wrong with that it says once each.
    """

    def __init__(self, redis: Redis):
        self._redis = redis
        self._said: set[str] = set()
        self._next_at = 0.0  # monotonic

    def step(self) -> None:
        """Do it if it is time; what fails is tried again later."""
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + SECONDS_BETWEEN
        keep_published(self._redis)
        try:
            number = installation_id()
            announce(self._redis, number)
            for text in warnings(self._redis, number):
                kind = text.partition("(")[0]
                if kind not in self._said:
                    logger.warning("installation.not_alone %s", text)
                self._said.add(kind)
        except RedisError as error:
            logger.debug("installation.not_announced error=%s", error)


def _others(redis: Redis, now_ms: int) -> list[Installation]:
    """Return all that were seen under our names, here and in other databases of the server."""
    with own_client(redis, ANSWER_SECONDS) as client:
        found = _in(client, now_ms, None)
        for database, other in plain_databases(client):
            with other:
                found += _in(other, now_ms, database)
    return found


def _in(redis: Redis, now_ms: int, database: int | None) -> list[Installation]:
    try:
        stored: dict[bytes, bytes] = redis.hgetall(keys.installation())  # type: ignore[assignment]
    except ResponseError:  # it is something else, or not for us to see
        return []
    seen = (_read(text, now_ms, database) for text in stored.values())
    return [each for each in seen if each]


def _read(text: bytes, now_ms: int, database: int | None = None) -> Installation | None:
    """Return an installation that was seen within a day, None for any other, or what is none."""
    try:
        said = parse_object(text)
        check_types(said, SHAPE)
        seen_ms = int(said["seenAt"])
        tagged = bool(said.get("tags"))
        found = Installation(said["id"], tagged, said["hostname"], seen_ms, database)
    except (ValueError, LookupError):
        return None
    return found if abs(now_ms - seen_ms) < KEPT_MS else None


def _of_other_database(each: Installation, ago: str) -> str:
    return (
        f"Another installation ({ago}) is in database {each.database} of this Redis server and "
        "names its channels as this one does: each receives the other's messages. Give one of them "
        "a LIVERMORE_KEY_PREFIX"
    )


def _forget(each: Installation) -> str:
    return f"redis-cli HDEL {keys.installation()} {_field(each.number, each.tagged)}"


def _field(number: str, tagged: bool) -> str:
    return f"{number}:tags" if tagged else number
