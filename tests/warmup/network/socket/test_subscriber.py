"""Redis's pub/sub as a web process receives it."""

import asyncio

import pytest

from tests.conftest import SERVER
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
