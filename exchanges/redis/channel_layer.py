"""Channels' layer over Redis's pub/sub, wherever REDIS_URL leads, and whatever happens to it."""

import asyncio
import logging
from contextlib import suppress
from typing import Any

from channels_redis.pubsub import (
    RedisPubSubChannelLayer,
    RedisPubSubLoopLayer,
    RedisSingleShardConnection,
)
from channels_redis.utils import _wrap_close
from redis.exceptions import RedisError

from exchanges.redis.client import make_asyncio_client
from exchanges.redis.listening import (
    SILENCE_SECONDS,
    Listener,
    end_if_cancelled,
    used_by_others,
)

logger = logging.getLogger(__name__)

SECONDS_WITHOUT_CHANNELS = 0.1
SECONDS_AFTER_FAULT = 0.5


class ChannelLayer(RedisPubSubChannelLayer):
    """The layer of all loops of a process."""

    def __init__(self, url: str, **options: Any):
        super().__init__(**options)
        self._url = url

    def _get_layer(self) -> RedisPubSubLoopLayer:
        loop = asyncio.get_running_loop()
        if loop not in self._layers:
            layer = RedisPubSubLoopLayer(**self._kwargs, channel_layer=self)
            layer._shards = [_Connection(self._url, layer)]
            self._layers[loop] = layer
            _wrap_close(self, loop)
        return self._layers[loop]


class _Connection(RedisSingleShardConnection):
    """The subscriptions and messages of one loop."""

    _redis: Any
    _pubsub: Any

    def _ensure_redis(self) -> None:
        if self._redis is None:
            self._redis = make_asyncio_client(self.host)
            self._pubsub = self._redis.pubsub()

    async def subscribe(self, channel: str) -> None:
        with used_by_others():
            await super().subscribe(channel)

    async def unsubscribe(self, channel: str) -> None:
        try:
            with used_by_others():
                await super().unsubscribe(channel)
        finally:
            self._subscribed_to.discard(channel)  # the next connection does without it

    async def _do_receiving(self) -> None:
        failing = False
        while True:
            end_if_cancelled()
            try:
                with used_by_others():
                    if failing:
                        await self._connect_anew()
                        failing = False
                    await self._receive()
            except (RedisError, OSError) as error:
                if not failing:
                    logger.warning("channel_layer.broken error=%s", error)
                failing = True
                await asyncio.sleep(SECONDS_AFTER_FAULT)

    async def _receive(self) -> None:
        """Pass on what comes. Raises RedisError or OSError where that ends."""
        listener = Listener(self._pubsub, SILENCE_SECONDS)
        while True:
            if self._pubsub.subscribed:
                self._receive_message(await listener.receive())
            else:
                end_if_cancelled()
                await asyncio.sleep(SECONDS_WITHOUT_CHANNELS)

    async def _connect_anew(self) -> None:
        """Subscribe to all channels over another connection, to wherever they are now."""
        async with self._lock:
            with suppress(RedisError, OSError):
                await self._redis.aclose()
            self._redis = None
            self._ensure_redis()
            if self._subscribed_to:
                await self._pubsub.subscribe(*self._subscribed_to)
