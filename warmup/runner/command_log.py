"""What people had done to an exchange lately: who, when, how far it is, and what came of it.

One hash in Redis, a field per command; the oldest of more than twenty is taken out. What a holder
of the lock does carries its epoch: where another has it now, or nobody, it was broken off.
"""

import getpass
import logging
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import orjson
from redis import Redis
from redis.exceptions import RedisError

from exchanges.errors import clip
from exchanges.redis.change_notifications import changed
from exchanges.redis.json_types import parse_object
from exchanges.redis.scripts import load_script
from livermore.market import keys
from livermore.market.candle import LATEST_MS
from livermore.market.timeframe import SHORTEST_FIRST, Timeframe

logger = logging.getLogger(__name__)

KEPT = 20
SECONDS_BETWEEN_PROGRESS = 0.25
SYMBOLS_NAMED = 3
TITLES = {
    "warmup": "Warmup",
    "repair": "Repair",
    "force-backfill": "Backfill",
    "rename-symbol": "Rename",
}

WRITE = load_script("warmup/runner/lua/write_command.lua")


@dataclass(frozen=True, slots=True)
class Entry:
    """One command. Times are UTC epoch ms; `ended_at` None: under way, `ok` says how it ended.

    `epoch` is that of who does it. `done` of `total` is how far it is, 0 of 0 where nobody knows.
    """

    id: str
    what: str
    who: str
    started_at: int
    epoch: int | None = None
    ended_at: int | None = None
    ok: bool = True
    result: str = ""
    done: int = 0
    total: int = 0

    @classmethod
    def from_json(cls, text: bytes) -> "Entry":
        """Return what was stored. Raises ValueError, LookupError or TypeError for anything else."""
        found = parse_object(text)
        texts = [found[name] for name in ("id", "what", "who", "result")]
        numbers = [found[name] for name in ("startedAt", "done", "total")]
        others = [found[name] for name in ("epoch", "endedAt")]
        if not all(isinstance(each, str) for each in texts):
            raise TypeError("a command's texts")
        for each in (*numbers, *(other for other in others if other is not None)):
            if type(each) is not int or not 0 <= each < LATEST_MS:
                raise TypeError("a command's numbers")
        entry_id, what, who, result = texts
        started_at, done, total = numbers
        epoch, ended_at = others
        is_ok = found["ok"] is True
        return cls(entry_id, what, who, started_at, epoch, ended_at, is_ok, result, done, total)

    def as_json(self) -> dict[str, Any]:
        """Return the object that is stored."""
        return {
            "id": self.id,
            "what": self.what,
            "who": self.who,
            "startedAt": self.started_at,
            "epoch": self.epoch,
            "endedAt": self.ended_at,
            "ok": self.ok,
            "result": self.result,
            "done": self.done,
            "total": self.total,
        }


class CommandLog:
    """Writes down what is done to one exchange. A Redis that is gone ends nothing here."""

    def __init__(self, redis: Redis, exchange_id: int):
        self._redis = redis
        self._exchange_id = exchange_id
        self._write_script = WRITE.on(redis)

    def note(self, what: str, who: str, ok: bool = True, result: str = "") -> None:
        """Write down what was done at once."""
        now_ms = _now_ms()
        entry = Entry(str(uuid.uuid4()), clip(what), clip(who), now_ms)
        self.write(replace(entry, ended_at=now_ms, ok=ok, result=clip(result)))

    def begin(
        self, what: str, who: str, epoch: int | None, command_id: str | None = None
    ) -> "Progress":
        """Write down what begins now; a command that is done again keeps its id."""
        number = command_id or str(uuid.uuid4())
        entry = Entry(number, clip(what), clip(who), _now_ms(), epoch)
        self.write(entry)
        return Progress(self, entry)

    @contextmanager
    def noting(self, what: str, who: str, epoch: int) -> Iterator["Progress"]:
        """Write down what begins, and why it failed where it does."""
        noted = self.begin(what, who, epoch)
        try:
            yield noted
        except BaseException as error:
            noted.failed(error)
            raise

    def write(self, entry: Entry) -> None:
        """Put an entry in place of what was written of it before."""
        told = changed(self._exchange_id, "commands")
        try:
            self._write_script(
                keys=[keys.commands(self._exchange_id)],
                args=[entry.id, orjson.dumps(entry.as_json()), KEPT, *told],
            )
        except RedisError as error:
            logger.debug("commands.not_written exchange=%s error=%s", self._exchange_id, error)


class Progress:
    """One command on its way; written at most four times a second, and when it ends."""

    def __init__(self, log: CommandLog, entry: Entry):
        self._log = log
        self._entry = entry
        self._written_at = time.monotonic()

    def show(self, progress: Mapping[str, Any]) -> None:
        """Tell how far it is: what a warmup's stats, or the count of a repair, say."""
        if "totalPairs" in progress:
            done = progress["completedPairs"] + progress["failedPairs"]
            total = progress["totalPairs"]
        else:
            done, total = progress.get("done", 0), progress.get("total", 0)
        self._entry = replace(self._entry, done=done, total=total)
        if time.monotonic() - self._written_at > SECONDS_BETWEEN_PROGRESS:
            self._written_at = time.monotonic()
            self._log.write(self._entry)

    def done(self, result: Mapping[str, Any]) -> None:
        """Write down what came of it."""
        failed = _failed(result)
        self._end(ok=not failed, result=summary(result))

    def failed(self, error: BaseException | str) -> None:
        """Write down why it was not done."""
        self._end(ok=False, result=clip(str(error)) or "broken off")

    def _end(self, ok: bool, result: str) -> None:
        self._entry = replace(self._entry, ended_at=_now_ms(), ok=ok, result=result)
        self._log.write(self._entry)


def describe(command: str, arguments: Mapping[str, Any]) -> str:
    """Return what a command is, for a person: its title, and what it is done to."""
    title = TITLES.get(command, command)
    if command == "rename-symbol":
        return f"{title} {arguments.get('old')} to {arguments.get('new')}"
    symbols = arguments.get("symbols", arguments.get("symbol"))
    symbols = [symbols] if isinstance(symbols, str) else symbols
    timeframes = arguments.get("timeframes")
    parts = [title]
    if isinstance(symbols, list):
        few = len(symbols) <= SYMBOLS_NAMED
        parts.append(", ".join(map(str, symbols)) if few else f"of {len(symbols):,} symbols")
    if isinstance(timeframes, list | tuple) and len(timeframes) < len(Timeframe):
        known = {str(each) for each in timeframes}
        parts.append("/".join(each for each in SHORTEST_FIRST if each in known))
    return " ".join(parts)


def summary(result: Mapping[str, Any]) -> str:
    """Return the result of a command in a few words."""
    if stats := result.get("stats"):
        return (
            f"{stats['completedPairs']:,} pairs fetched, {stats['skippedPairs']:,} left alone, "
            f"{stats['failedPairs']:,} failed"
        )
    if "failures" in result:
        return (
            f"{result.get('pairs', 0):,} pairs, {result.get('candles', 0):,} candles, "
            f"{len(result['failures']):,} failed"
        )
    return f"{result['candles']:,} candles kept" if "candles" in result else ""


def operator() -> str:
    """Return who types on this machine: `user@host`."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # in a container nobody may have a name
        user = "somebody"
    return f"{user}@{socket.gethostname()}"


def _failed(result: Mapping[str, Any]) -> bool:
    return bool(result.get("failures") or result.get("stats", {}).get("failedPairs"))


def _now_ms() -> int:
    return int(time.time() * 1000)
