"""Commands to whoever holds an exchange, and its replies, over one stream in Redis.

A command stays pending in the reader's group until its final reply, which is written in the same
step: a reader that died in between leaves it to the next one, and none is done a second time.
Every entry is `kind` (command or reply) and `message`, a JSON object:

    command   {"requestId", "command", "arguments", "who"}
    reply     {"requestId", "final", "ok", "result", "error", "retryAfterSeconds"}
"""

from dataclasses import dataclass
from typing import Any

import orjson
from redis import Redis

from exchanges.errors import BadPayload

COMMANDS = frozenset(
    {"stop", "takeover", "force-backfill", "add-symbol", "bulk-add-symbols", "remove-symbol"}
    | {"warmup", "repair", "rename-symbol"}  # handed over by commands
    | {"fetch"}  # by who serves candles
)
ENTRIES_KEPT = 1000
# A client's socket must wait longer than the longest answer it waits for.
LONGEST_BLOCK_MS = 2000
SOCKET_SECONDS = LONGEST_BLOCK_MS / 1000 + 5


@dataclass(frozen=True, slots=True)
class Command:
    """One thing that somebody wants done.

    `sent_ms` is Redis's time, as a lease's `connected_since` is: an older command was meant for
    the holder before. `again`: a reader before this one had it and may have begun.
    """

    entry_id: str
    request_id: str
    name: str
    arguments: dict[str, Any]
    sent_ms: int
    again: bool = False
    who: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: progress so far where not `final`; `error` is one line where not `ok`.

    `retry_after_seconds` is when to try again then, None where nobody knows.
    """

    request_id: str
    final: bool
    ok: bool
    result: Any = None
    error: str | None = None
    retry_after_seconds: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the object that is stored."""
        return {
            "requestId": self.request_id,
            "final": self.final,
            "ok": self.ok,
            "result": self.result,
            "error": self.error,
            "retryAfterSeconds": self.retry_after_seconds,
        }


def read_entries(
    redis: Redis, key: str, after: bytes | str, block_ms: float, count: int | None = None
) -> list[Any]:
    """Return the entries after an id, waiting for the first of them, but not too long."""
    block = max(1, min(LONGEST_BLOCK_MS, round(block_ms)))
    return entries_in(redis.xread({key: after}, count=count, block=block))


def entries_in(found: Any) -> list[Any]:
    """Return the entries of one stream out of what a client read of it."""
    if isinstance(found, dict):  # as the newer protocol says it
        return [entry for batches in found.values() for batch in batches for entry in batch]
    return found[0][1] if found else []


def parse_reply(fields: dict[bytes, bytes]) -> Reply | None:
    """Return the reply that an entry holds, None where it is none, or can't be read."""
    if fields.get(b"kind") != b"reply":
        return None
    try:
        found = message_in(fields)
        request_id = text_in(found, "requestId")
    except BadPayload:
        return None
    seconds = found.get("retryAfterSeconds")  # a runner of another version may tell none
    return Reply(
        request_id,
        bool(found.get("final")),
        bool(found.get("ok")),
        found.get("result"),
        found.get("error"),
        seconds if isinstance(seconds, int) else None,
    )


def message_in(fields: dict[bytes, bytes]) -> dict[str, Any]:
    """Return the JSON object that an entry holds. Raises BadPayload."""
    text = fields.get(b"message", b"")
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadPayload("A message that is no JSON", text) from error
    if not isinstance(found, dict):
        raise BadPayload("A message that is no JSON object", text)
    return found


def text_in(message: dict[str, Any], name: str) -> str:
    """Return a field of a message that is a text, and not empty. Raises BadPayload."""
    found = message.get(name)
    if not isinstance(found, str) or not found:
        raise BadPayload(f"A message without {name}", repr(message))
    return found
