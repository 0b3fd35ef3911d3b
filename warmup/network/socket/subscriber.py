"""Redis's pub/sub as a web process receives it, whatever happens to Redis meanwhile."""

import asyncio
import logging
from collections.abc import Callable

from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from exchanges.redis.change_notifications import ROWS
from exchanges.redis.client import make_asyncio_client
from exchanges.redis.listening import (
    SILENCE_SECONDS,
    Listener,
    end_if_cancelled,
    used_by_others,
)
from livermore.market import keys

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_TRIES = 0.5


class Subscriber:
    """Calls `received(channel, message)` for what is published on the channels that are added.

    So it does for what is told of exchanges' rows: of one that is new nobody could add a channel.
    Each is subscribed to by its whole name: a user of Redis who may have all channels that begin
    with a prefix may not have a pattern of them.

    `opened(again)` is called when it begins to receive, after a break too: what was published
    before that was missed.
    """

    def __init__(
        self, url: str, received: Callable[[str, bytes], None], opened: Callable[[bool], None]
    ):
        self._url = url
        self._received = received
        self._opened = opened
        self._channels: set[str] = set()
        self._pubsub: PubSub | None = None
        self._times_opened = 0

    async def run(self) -> None:
        """Receive until cancelled."""
        failing = False
        while True:
            try:
                with used_by_others():
                    await self._subscribe()
            except (RedisError, OSError) as error:
                if not failing:
                    logger.warning("subscriber.broken error=%s", error)
                failing = True
            else:
                failing = False
            end_if_cancelled()
            await asyncio.sleep(SECONDS_BETWEEN_TRIES)

    async def add(self, *channels: str) -> None:
        """Subscribe to these too, as far as that is new."""
        new = set(channels) - self._channels
        self._channels |= new
        if new:
            await self._try(PubSub.subscribe, *new)

    async def remove(self, *channels: str) -> None:
        """Unsubscribe from these."""
        self._channels.difference_update(channels)
        await self._try(PubSub.unsubscribe, *channels)

    async def _try(self, what: Callable, *channels: str) -> None:
        if self._pubsub:
            try:
                with used_by_others():
                    await what(self._pubsub, *channels)
            except (RedisError, OSError) as error:  # the next connection begins with all of them
                logger.debug("subscriber.not_changed error=%s", error)

    async def _subscribe(self) -> None:
        client = make_asyncio_client(self._url)
        async with client, client.pubsub() as pubsub:
            # There are always these, where there is no exchange too: a connection needs something.
            begun = {keys.exchange_changed(ROWS), *self._channels}
            await pubsub.subscribe(*begun)
            self._pubsub = pubsub
            try:
                if late := self._channels - begun:  # added meanwhile
                    await pubsub.subscribe(*late)
                self._times_opened += 1
                self._opened(self._times_opened > 1)
                await self._receive(pubsub)
            finally:
                self._pubsub = None

    async def _receive(self, pubsub: PubSub) -> None:
        listener = Listener(pubsub, SILENCE_SECONDS)
        while True:
            if message := await listener.receive():
                self._received(message["channel"].decode(), message["data"])
