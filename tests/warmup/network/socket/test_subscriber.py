"""Redis's pub/sub as a web process receives it."""

import asyncio

import pytest

from tests.conftest import SERVER
from tests.warmup.network.sockets import wait_until
from warmup.network.socket import subscriber as subscribers
from warmup.network.socket.subscriber import Subscriber


@pytest.mark.parametrize("steps", range(0, 80, 4))
def test_it_ends_when_it_is_told_to_however_far_it_is(steps):
    async def cancelled_after_some_steps():
        subscriber = Subscriber(SERVER.url, lambda channel, message: None, lambda again: None)
        task = asyncio.create_task(subscriber.run())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        ended, _ = await asyncio.wait([task], timeout=5)
        assert ended

    asyncio.run(cancelled_after_some_steps())


def test_a_channel_that_is_added_as_the_connection_breaks_is_not_lost(redis, monkeypatch):
    monkeypatch.setattr(subscribers, "SECONDS_BETWEEN_TRIES", 0.01)

    def has(channel):
        return bool(redis.pubsub_channels(channel))

    async def break_it():
        subscriber = Subscriber(SERVER.url, lambda channel, message: None, lambda again: None)
        await subscriber.add("before")
        task = asyncio.create_task(subscriber.run())
        for steps in range(8):
            await wait_until(lambda: has("before"))
            redis.client_kill_filter(_type="pubsub")
            for _ in range(steps):  # how far it is when it notices
                await asyncio.sleep(0)
            await subscriber.add("new")
            await wait_until(lambda: has("new") and has("before"))
            await subscriber.remove("new")
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(break_it())
