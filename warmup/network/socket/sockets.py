"""The sockets of one web process: reached by the channel layer, or directly where that fails."""

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Any, Protocol

from django.contrib.auth.models import AbstractBaseUser
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

SEND_SECONDS = 2.0
SECONDS_BETWEEN_TRIES = 1.0
DOUBT_SECONDS = 10.0

Message = dict[str, Any]  # `kind`, `text` as the browser gets it, and what the socket has to know


class PageSocket(Protocol):
    """A socket of the page, as `Sockets` knows it."""

    user: AbstractBaseUser
    groups: Iterable[str]

    async def network_message(self, event: Message) -> None: ...


class Sockets:
    """The sockets that are open, and how a message gets to a group of them.

    The channel layer stands on Redis, whose loss above all they have to be told of.
    """

    def __init__(self, layer: Any):
        self.open: set[PageSocket] = set()
        self._layer = layer
        self._failed_at = self._doubted_at = float("-inf")

    @property
    def is_doubtful(self) -> bool:
        """Tell whether messages may have been lost lately without a trace."""
        return time.monotonic() - self._doubted_at < DOUBT_SECONDS

    def doubt(self) -> None:
        """Learn that connections to Redis broke: perhaps those of the channel layer too."""
        self._doubted_at = time.monotonic()

    def user_ids(self) -> set[int]:
        """Return the users who have the page open."""
        return {socket.user.pk for socket in self.open}

    async def send(self, group: str, message: Message) -> None:
        """Send a message to a group of sockets."""
        event = {"type": "network.message", **message}
        if time.monotonic() - self._failed_at > SECONDS_BETWEEN_TRIES:
            try:
                await asyncio.wait_for(self._layer.group_send(group, event), SEND_SECONDS)
                return
            except (RedisError, OSError) as error:  # a timeout is an OSError
                if not self.is_doubtful:
                    logger.warning("sockets.layer_failed error=%s", error)
                self._failed_at = time.monotonic()
                self.doubt()
        for socket in [socket for socket in self.open if group in socket.groups]:
            await socket.network_message(event)
