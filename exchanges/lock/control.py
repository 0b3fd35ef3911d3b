"""Commands to whoever holds an exchange, and its replies, over one stream in Redis.

A command stays pending in the reader's group until its final reply, which is written in the same
step: a reader that died in between leaves it to the next one, and none is done a second time.
Every entry is `kind` (command or reply) and `message`, a JSON object:

    command   {"requestId", "command", "arguments", "who"}
    reply     {"requestId", "final", "ok", "result", "error"}
"""

import logging
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from redis import Redis

from exchanges.errors import BadPayload, Temporary, clip
from exchanges.lock.fencing import refusals
from exchanges.lock.lease import Lease
from exchanges.redis.client import own_client
from exchanges.redis.scripts import load_script
from livermore.market import keys

logger = logging.getLogger(__name__)

COMMANDS = frozenset(
    {"stop", "takeover", "force-backfill", "add-symbol", "bulk-add-symbols", "remove-symbol"}
    | {"warmup", "repair", "rename-symbol"}  # handed over by commands
)
ENTRIES_KEPT = 1000
OLDEST_RUN_SECONDS = 600
# A client's socket must wait longer than the longest answer it waits for.
LONGEST_BLOCK_MS = 2000
SOCKET_SECONDS = LONGEST_BLOCK_MS / 1000 + 5

FETCH = load_script("exchanges/lock/lua/fetch_commands.lua")
PROGRESS = load_script("exchanges/lock/lua/tell_progress.lua")
FINISH = load_script("exchanges/lock/lua/finish_command.lua", {"ENTRIES_KEPT": ENTRIES_KEPT})


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
    """An answer: progress so far where not `final`; `error` is one line where not `ok`."""

    request_id: str
    final: bool
    ok: bool
    result: Any = None
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the object that is stored."""
        return {
            "requestId": self.request_id,
            "final": self.final,
            "ok": self.ok,
            "result": self.result,
            "error": self.error,
        }


class NoReply(Temporary):
    """Nobody answered in time; the command may still be done."""


class ControlClient:
    """Asks the holder of one exchange to do something, from any process."""

    def __init__(self, redis: Redis, exchange_id: int, who: str | None = None):
        """`who` is who wants it, for those who look later; "" for what they need not know."""
        self._redis = redis
        self._exchange_id = exchange_id
        self._who = who
        self._key = keys.control(exchange_id)

    def send(self, command: str, /, **arguments: Any) -> str:
        """Leave a command for the holder, now or within ten minutes; return its request id.

        Raises ValueError for a command that no reader knows.
        """
        if command not in COMMANDS:
            raise ValueError(f"{command} is none of {', '.join(sorted(COMMANDS))}")
        request_id = str(uuid.uuid4())
        message = {"requestId": request_id, "command": command, "arguments": arguments}
        if self._who is not None:
            message["who"] = self._who
        fields = {"kind": "command", "message": orjson.dumps(message)}
        self._redis.xadd(self._key, fields, maxlen=ENTRIES_KEPT, approximate=True)
        return request_id

    def wait(
        self,
        request_id: str,
        timeout: float,
        on_progress: Callable[[Reply], None] = lambda reply: None,
    ) -> Reply:
        """Return the final reply. Raises NoReply after `timeout` seconds of silence."""
        for reply in self.replies(request_id, timeout):
            if not reply.final:
                on_progress(reply)
        return reply

    def replies(self, request_id: str, timeout: float) -> Iterator[Reply]:
        """Yield progress, the newest where there was much, and last the final reply.

        A reply that was given before is found too. Raises NoReply after `timeout` seconds of
        silence, however long the work takes altogether.
        """
        last_id = "0"  # what is kept is little, and the reply may be there already
        deadline = time.monotonic() + timeout
        with own_client(self._redis, SOCKET_SECONDS) as redis:
            while True:
                left = deadline - time.monotonic()
                for entry_id, fields in _read(redis, self._key, last_id, left * 1000):
                    last_id = entry_id
                    reply = _parse_reply(fields)
                    if reply and reply.request_id == request_id:
                        yield reply
                        if reply.final:
                            return
                        left, deadline = timeout, time.monotonic() + timeout
                if left <= 0:
                    raise NoReply(
                        f"Exchange {self._exchange_id} gave no answer within {timeout:g} s"
                    )


class ControlReader:
    """Hands commands to the holder of one exchange and takes its replies back.

    Every method raises Fenced once somebody else has the exchange. Threads may share it, save
    `poll`, which one calls.
    """

    def __init__(
        self,
        redis: Redis,
        exchange_id: int,
        lease: Lease,
        *,
        commands: Collection[str] = COMMANDS,
        oldest_run_seconds: float = OLDEST_RUN_SECONDS,
    ):
        self._redis = own_client(redis, SOCKET_SECONDS)
        self._epoch = lease.epoch
        self._exchange_id = exchange_id
        self._key = keys.control(exchange_id)
        self._keys = [self._key, keys.epoch(exchange_id)]
        self._commands = commands
        self._oldest_run_ms = oldest_run_seconds * 1000
        self._handed: dict[str, Command] = {}  # entry id -> command that is not done yet
        self._progress: dict[str, bytes] = {}  # entry id -> id of its newest progress
        self._last_id: bytes | str = "0"
        self._fetch_script = FETCH.on(self._redis)
        self._progress_script = PROGRESS.on(self._redis)
        self._finish_script = FINISH.on(self._redis)

    def poll(self, block_ms: int = 0) -> list[Command]:
        """Return commands not handed out yet, oldest first; wait up to `block_ms` for the first.

        What can't be done is answered here: malformed, unknown, older than the limit, or a
        command that was answered before.
        """
        deadline = time.monotonic() + block_ms / 1000
        while True:
            if found := self._fetch():
                return found
            left_ms = (deadline - time.monotonic()) * 1000
            if left_ms < 1:
                return []
            _read(self._redis, self._key, self._last_id, left_ms, count=1)

    def reply(self, command: Command, progress: Any) -> None:
        """Tell who waits how far it is; replaces the progress told before."""
        text = orjson.dumps(Reply(command.request_id, False, True, progress).as_json())
        before = self._progress.get(command.entry_id, "")
        with refusals():
            self._progress[command.entry_id] = self._progress_script(
                keys=self._keys, args=[self._epoch, text, before]
            )

    def done(self, command: Command, result: Any = None) -> None:
        """Give the final reply to a command that was done; it never comes again."""
        self._finish(command.entry_id, Reply(command.request_id, True, True, result))

    def fail(self, command: Command, error: str) -> None:
        """Give the final reply to a command that could not be done; it never comes again."""
        self._finish(command.entry_id, _refusal(command.request_id, error))

    def close(self) -> None:
        """Close the connections; what is pending waits for the next reader."""
        self._redis.close()

    def _fetch(self) -> list[Command]:
        with refusals():
            entries, new, self._last_id, now_ms = self._fetch_script(
                keys=self._keys, args=[self._epoch]
            )
        replies, others = [], []
        for entry_id, flat in entries:
            fields = _pairs(flat)
            if fields.get(b"kind") == b"reply":
                replies.append(entry_id)
            elif entry_id.decode() not in self._handed:
                others.append((entry_id.decode(), fields, entry_id not in new))
        if replies:
            self._redis.xack(self._key, "holder", *replies)
        return self._accept_all(others, now_ms) if others else []

    def _accept_all(
        self, entries: list[tuple[str, dict[bytes, bytes], bool]], now_ms: int
    ) -> list[Command]:
        taken = self._answered() | {command.request_id for command in list(self._handed.values())}
        found = []
        for entry_id, fields, again in entries:
            command = self._accept(entry_id, fields, again, now_ms, taken)
            if command:
                taken.add(command.request_id)
                self._handed[entry_id] = command
                found.append(command)
        return found

    def _accept(
        self,
        entry_id: str,
        fields: dict[bytes, bytes],
        again: bool,
        now_ms: int,
        taken: set[str],
    ) -> Command | None:
        """Return the command if it is to be run, else answer it."""
        request_id = ""
        try:
            message = _object(fields)
            request_id = _text(message, "requestId")
            if request_id in taken:  # a client sent it twice: a reply was lost on the way
                self._finish(entry_id, None)
                return None
            command = self._parse(entry_id, request_id, message, again)
            if now_ms - command.sent_ms > self._oldest_run_ms:
                minutes = (now_ms - command.sent_ms) / 60_000
                raise Temporary(f"Expired: sent {minutes:.0f} min ago, send it again if wanted")
        except (BadPayload, Temporary) as error:
            logger.warning(
                "control.refused exchange=%s entry=%s error=%s", self._exchange_id, entry_id, error
            )
            self._finish(entry_id, _refusal(request_id, str(error)) if request_id else None)
            return None
        return command

    def _parse(self, entry_id: str, request_id: str, message: dict, again: bool) -> Command:
        name = _text(message, "command")
        if name not in self._commands:
            known = ", ".join(sorted(self._commands))
            raise BadPayload(f"Unknown command, known are {known}", name)
        arguments = message.get("arguments", {})
        if not isinstance(arguments, dict):
            raise BadPayload("Arguments that are no JSON object", repr(arguments))
        sent_ms = int(entry_id.partition("-")[0])
        who = message.get("who")
        who = clip(who) if isinstance(who, str) else None
        return Command(entry_id, request_id, name, arguments, sent_ms, again, who)

    def _answered(self) -> set[str]:
        replies = (_parse_reply(fields) for _, fields in self._redis.xrange(self._key))
        return {reply.request_id for reply in replies if reply and reply.final}

    def _finish(self, entry_id: str, reply: Reply | None) -> None:
        text = orjson.dumps(reply.as_json()) if reply else b""
        progress = self._progress.get(entry_id, "")
        with refusals():
            self._finish_script(keys=self._keys, args=[self._epoch, text, entry_id, progress])
        self._handed.pop(entry_id, None)
        self._progress.pop(entry_id, None)


def _read(redis: Redis, key: str, after: bytes | str, block_ms: float, count: int | None = None):
    """Return the entries after an id, waiting for the first of them, but not too long."""
    block = max(1, min(LONGEST_BLOCK_MS, round(block_ms)))
    found = redis.xread({key: after}, count=count, block=block) or []
    if isinstance(found, dict):  # as the newer protocol says it
        return [entry for batches in found.values() for batch in batches for entry in batch]
    return found[0][1] if found else []


def _refusal(request_id: str, error: str) -> Reply:
    return Reply(request_id, True, False, None, clip(error))


def _parse_reply(fields: dict[bytes, bytes]) -> Reply | None:
    if fields.get(b"kind") != b"reply":
        return None
    try:
        found = _object(fields)
        request_id = _text(found, "requestId")
    except BadPayload:
        return None
    return Reply(
        request_id,
        bool(found.get("final")),
        bool(found.get("ok")),
        found.get("result"),
        found.get("error"),
    )


def _pairs(flat: list[bytes] | None) -> dict[bytes, bytes]:
    # None: the stream was cut while the command was pending.
    return dict(zip(flat[::2], flat[1::2], strict=True)) if flat else {}


def _object(fields: dict[bytes, bytes]) -> dict[str, Any]:
    text = fields.get(b"message", b"")
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadPayload("A message that is no JSON", text) from error
    if not isinstance(found, dict):
        raise BadPayload("A message that is no JSON object", text)
    return found


def _text(message: dict[str, Any], name: str) -> str:
    found = message.get(name)
    if not isinstance(found, str) or not found:
        raise BadPayload(f"A message without {name}", repr(message))
    return found
