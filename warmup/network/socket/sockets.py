"""The sockets of one web process: told through the channel layer, and by hand where that fails."""

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


class Member(Protocol):
    """A socket, as its audience knows it."""

    user: AbstractBaseUser
    groups: Iterable[str]

    async def network_message(self, event: Message) -> None: ...


class Audience:
    """Who looks, and how they are told.

    The channel layer stands on Redis, of whose loss above all they have to hear.
    """

    def __init__(self, layer: Any):
        self.members: set[Member] = set()
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
        """Return the users who look."""
        return {member.user.pk for member in self.members}

    async def tell(self, group: str, message: Message) -> None:
        """Send a message to a group of sockets."""
        event = {"type": "network.message", **message}
        if time.monotonic() - self._failed_at > SECONDS_BETWEEN_TRIES:
            try:
                await asyncio.wait_for(self._layer.group_send(group, event), SEND_SECONDS)
                return
            except (RedisError, OSError) as error:  # a timeout is an OSError
                if not self.is_doubtful:
                    logger.warning("audience.layer_failed error=%s", error)
                self._failed_at = time.monotonic()
                self.doubt()
        for member in [member for member in self.members if group in member.groups]:
            await member.network_message(event)
