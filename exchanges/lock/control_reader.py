"""Hands commands to the holder of an exchange, and takes its replies back."""

import logging
import time
from collections.abc import Collection
from typing import Any

import orjson
from redis import Redis

from exchanges.errors import BadPayload, Temporary, clip
from exchanges.lock.control import (
    COMMANDS,
    ENTRIES_KEPT,
    SOCKET_SECONDS,
    Command,
    Reply,
    message_in,
    parse_reply,
    read_entries,
    text_in,
)
from exchanges.lock.fencing import refusals, stamp
from exchanges.lock.lease import Lease
from exchanges.redis.client import own_client
from exchanges.redis.scripts import load_script
from livermore.market import keys

logger = logging.getLogger(__name__)

OLDEST_RUN_SECONDS = 600

FETCH = load_script("exchanges/lock/lua/fetch_commands.lua")
PROGRESS = load_script("exchanges/lock/lua/tell_progress.lua")
FINISH = load_script("exchanges/lock/lua/finish_command.lua", {"ENTRIES_KEPT": ENTRIES_KEPT})


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
        client: Redis | None = None,
    ):
        """`client` is used, and left open, in place of connections of its own."""
        self._own = client is None
        self._redis = client or own_client(redis, SOCKET_SECONDS, f"control:{exchange_id}")
        self._stamp = stamp(lease.own_epoch)
        self._exchange_id = exchange_id
        self._key = keys.control(exchange_id)
        self._keys = [self._key, keys.epoch(exchange_id), keys.lock(exchange_id)]
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
            read_entries(self._redis, self._key, self._last_id, left_ms, count=1)

    def reply(self, command: Command, progress: Any) -> None:
        """Tell who waits how far it is; replaces the progress told before."""
        text = orjson.dumps(Reply(command.request_id, False, True, progress).as_json())
        before = self._progress.get(command.entry_id, "")
        with refusals():
            self._progress[command.entry_id] = self._progress_script(
                keys=self._keys, args=[self._stamp, text, before]
            )

    def done(self, command: Command, result: Any = None) -> None:
        """Give the final reply to a command that was done; it never comes again."""
        self._finish(command.entry_id, Reply(command.request_id, True, True, result))

    def fail(self, command: Command, error: str, retry_after_seconds: int | None = None) -> None:
        """Give the final reply to a command that could not be done; it never comes again."""
        reply = _refusal(command.request_id, error, retry_after_seconds)
        self._finish(command.entry_id, reply)

    def close(self) -> None:
        """Close the connections; what is pending waits for the next reader."""
        if self._own:
            self._redis.close()

    def _fetch(self) -> list[Command]:
        with refusals():
            entries, new, self._last_id, now_ms = self._fetch_script(
                keys=self._keys, args=[self._stamp]
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
            message = message_in(fields)
            request_id = text_in(message, "requestId")
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
        name = text_in(message, "command")
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
        entries: Any = self._redis.xrange(self._key)
        replies = (parse_reply(fields) for _, fields in entries)
        return {reply.request_id for reply in replies if reply and reply.final}

    def _finish(self, entry_id: str, reply: Reply | None) -> None:
        text = orjson.dumps(reply.as_json()) if reply else b""
        progress = self._progress.get(entry_id, "")
        with refusals():
            self._finish_script(keys=self._keys, args=[self._stamp, text, entry_id, progress])
        self._handed.pop(entry_id, None)
        self._progress.pop(entry_id, None)


def _refusal(request_id: str, error: str, retry_after_seconds: int | None = None) -> Reply:
    return Reply(request_id, True, False, None, clip(error), retry_after_seconds)


def _pairs(flat: list[bytes] | None) -> dict[bytes, bytes]:
    # None: the stream was cut while the command was pending.
    return dict(zip(flat[::2], flat[1::2], strict=True)) if flat else {}
