"""Asks the holder of an exchange to do something, and waits for its replies."""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import orjson
from redis import Redis

from exchanges.errors import Temporary
from exchanges.lock.control import (
    COMMANDS,
    ENTRIES_KEPT,
    SOCKET_SECONDS,
    Reply,
    parse_reply,
    read_entries,
)
from exchanges.redis.client import own_client
from livermore.market import keys


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
        fields: dict[Any, Any] = {"kind": "command", "message": orjson.dumps(message)}
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
                for entry_id, fields in read_entries(redis, self._key, last_id, left * 1000):
                    last_id = entry_id
                    reply = parse_reply(fields)
                    if reply and reply.request_id == request_id:
                        yield reply
                        if reply.final:
                            return
                        left, deadline = timeout, time.monotonic() + timeout
                if left <= 0:
                    raise NoReply(
                        f"Exchange {self._exchange_id} gave no answer within {timeout:g} s"
                    )
