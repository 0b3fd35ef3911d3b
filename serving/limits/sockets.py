"""How many connections an API client has open, at whichever process they are."""

import asyncio
import secrets
import threading

from asgiref.sync import sync_to_async
from redis import Redis
from redis.exceptions import RedisError

from exchanges.redis.client import own_client
from exchanges.redis.scripts import load_script
from livermore.market import keys
from serving.clients import Caller
from serving.counting.lapses import note_not_counted

ENTER = load_script("serving/limits/lua/enter.lua")
ANSWER_SECONDS = 1.0  # of Redis, before each process counts its own
OPEN_MS = 15_000  # a process that died has none open so long after
SECONDS_BETWEEN_SIGNS = 5.0
NO_LIMIT = 2**31


class SocketLimits:
    """Lets connections in, and says again and again which are open.

    Where Redis does not answer each process counts its own.
    """

    def __init__(self, redis: Redis):
        self._redis = own_client(redis, ANSWER_SECONDS, "serving-sockets")
        self._open: dict[str, int] = {}  # the API client of each connection
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="open-sockets", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._ending.set()

    async def enter(self, caller: Caller) -> str | None:
        """Return the id of a connection that may be open until `leave`, None where it may not."""
        socket_id = secrets.token_hex(8)
        self._open[socket_id] = caller.number
        enter = sync_to_async(self._enter, thread_sensitive=False)
        try:
            is_in = await enter(socket_id, caller.number, caller.sockets)
        except RedisError as error:
            note_not_counted("sockets", error)
            is_in = sum(each == caller.number for each in self._open.values()) <= caller.sockets
        except asyncio.CancelledError:  # the client has gone; in Redis it ends by itself
            del self._open[socket_id]
            raise
        if not is_in:
            del self._open[socket_id]
        return socket_id if is_in else None

    async def leave(self, socket_id: str) -> None:
        """Learn that a connection has ended."""
        number = self._open.pop(socket_id)
        leave = sync_to_async(self._redis.zrem, thread_sensitive=False)
        try:
            await leave(keys.client_sockets(number), socket_id)
        except RedisError as error:  # it ends by itself
            note_not_counted("sockets", error)

    def _enter(self, socket_id: str, number: int, limit: int) -> bool:
        return bool(ENTER(self._redis, [keys.client_sockets(number)], [socket_id, limit, OPEN_MS]))

    def _run(self) -> None:
        while not self._ending.wait(SECONDS_BETWEEN_SIGNS):
            try:
                self.renew()
            except RedisError as error:
                note_not_counted("sockets", error)

    def renew(self) -> None:
        """Say that all of them are open. Raises RedisError."""
        told = self._open.copy()
        calls = [
            ([keys.client_sockets(number)], [socket_id, NO_LIMIT, OPEN_MS])
            for socket_id, number in told.items()
        ]
        ENTER.run_many(self._redis, calls)
        for socket_id in told.keys() - self._open.keys():  # it has ended meanwhile
            self._redis.zrem(keys.client_sockets(told[socket_id]), socket_id)
