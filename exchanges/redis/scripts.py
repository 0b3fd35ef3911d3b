"""Lua scripts: each is a file in the `lua/` of its room, read once, when who runs it is imported.

A file says first what it does, what its KEYS and ARGV are, and what it needs:
`-- include: exchanges/lock/lua/fence.lua` for functions that several scripts have, and
`-- constants: LATEST_MS` for numbers that Python knows.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from hiredis import pack_command
from redis import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r"^-- include: (\S+)$", re.MULTILINE)
CONSTANTS = re.compile(r"^-- constants: (.+)$", re.MULTILINE)

Constant = int | Mapping[str, int]
Call = tuple[Sequence[str], Sequence[Any]]  # keys, arguments


class Script:
    """A script that a server runs by its hash; one that doesn't know it yet is sent the text."""

    def __init__(self, text: str):
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, redis: Redis, keys: Sequence[str], args: Sequence[Any] = ()) -> Any:
        """Run it and return its reply. Raises ResponseError for what it refuses, and RedisError."""
        try:
            return redis.evalsha(self.sha, len(keys), *keys, *args)
        except NoScriptError:  # the server is new, or its scripts were flushed
            return redis.eval(self.text, len(keys), *keys, *args)

    def send(self, redis: Redis, keys: Sequence[str], args: Sequence[Any] = ()) -> "Sent":
        """Send it to a server, and wait for nothing. Raises RedisError where that is gone."""
        return Sent(self, redis, keys, args)

    def on(self, redis: Redis) -> Callable[..., Any]:
        """Return what runs it at this server: called with `keys` and `args`."""
        return partial(self, redis)

    def run_many(self, redis: Redis, calls: Iterable[Call]) -> list[Any]:
        """Run it once for each of `calls`, in one round trip; return their replies in order.

        An error of one is its reply, and costs no other. Raises RedisError where Redis is gone.
        """
        calls = list(calls)
        if len(calls) == 1:  # a pipeline costs more
            try:
                return [self(redis, *calls[0])]
            except ResponseError as error:
                return [error]
        replies = self._send(redis, calls)
        if any(isinstance(each, NoScriptError) for each in replies):
            redis.script_load(self.text)
            replies = self._send(redis, calls)
        return replies

    def _send(self, redis: Redis, calls: Sequence[Call]) -> list[Any]:
        pipe = redis.pipeline(transaction=False)
        for keys, args in calls:
            pipe.evalsha(self.sha, len(keys), *keys, *args)
        return pipe.execute(raise_on_error=False)


class Sent:
    """A script on its way: who sent it does something else until it asks for the `reply`, once.

    A Cluster's client can't leave a reply for later: it runs the script when it is asked for it.
    """

    def __init__(self, script: Script, redis: Redis, keys: Sequence[str], args: Sequence[Any]):
        self._run = partial(script, redis, keys, args)
        self._pool = redis.connection_pool if isinstance(redis, Redis) else None
        if self._pool:
            self._connection = self._pool.get_connection()
            with self._given_back_after_a_fault():
                # redis-py's own packing looks at each argument by itself before.
                command = pack_command(("EVALSHA", script.sha, len(keys), *keys, *args))
                self._connection.send_packed_command([command])

    @property
    def is_ready(self) -> bool:
        """Tell whether nothing is to be waited for: its reply has come, or a fault."""
        try:
            return not self._pool or self._connection.can_read(0)
        except RedisError:
            return True

    def reply(self) -> Any:
        """Wait for the reply and return it. Raises what the script raises where it is called."""
        if not self._pool:
            return self._run()
        try:
            with self._given_back_after_a_fault():
                found = self._connection.read_response()
        except NoScriptError:
            return self._run()  # it is sent the text
        self._give_back()
        return found

    @contextmanager
    def _given_back_after_a_fault(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self._give_back(is_spoiled=not isinstance(error, ResponseError))
            raise

    def _give_back(self, is_spoiled: bool = False) -> None:
        """Let others have the connection; where more may come of it, or it is to be left, anew."""
        assert self._pool is not None
        if is_spoiled or self._connection.should_reconnect():
            self._connection.disconnect()
        self._pool.release(self._connection)


def load_script(name: str, constants: Mapping[str, Constant] | None = None) -> Script:
    """Return the script in a file, with what it includes; `name` is its path from the root.

    Of `constants` it gets those that it asks for. Raises LookupError where one is not given.
    """
    files: dict[str, str] = {}
    _read(name, files)
    wanted = [each for text in files.values() for each in _names(text)]
    given = constants or {}
    if unknown := sorted({each for each in wanted if each not in given}):
        raise LookupError(f"{name} needs {', '.join(unknown)}")
    lines = [f"local {each} = {_lua(given[each])}\n" for each in dict.fromkeys(wanted)]
    return Script("".join([*lines, *files.values()]))


def _read(name: str, files: dict[str, str]) -> None:
    """Put the text of a file into `files`, behind those that it includes, each once."""
    if name in files:
        return
    text = (ROOT / name).read_text(encoding="utf-8")
    for included in INCLUDE.findall(text):
        _read(included, files)
    files[name] = text


def _names(text: str) -> list[str]:
    found = CONSTANTS.search(text)
    return found[1].split(", ") if found else []


def _lua(value: Constant) -> str:
    if isinstance(value, int):
        return str(value)
    return "{" + ", ".join(f"['{name}'] = {number}" for name, number in value.items()) + "}"
