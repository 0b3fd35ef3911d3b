"""Who receives goes on receiving, wherever Redis moves."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
from redis.exceptions import RedisError

from exchanges.redis import channel_layer
from exchanges.redis.channel_layer import ChannelLayer
from exchanges.redis.client import make_client
from tests.conftest import SERVER
from tests.fixtures.cluster import Cluster
from tests.fixtures.redis_server import wait_for
from tests.fixtures.sentinels import Sentinels
from warmup.network.socket import subscriber
from warmup.network.socket.subscriber import Subscriber

CHANNEL = "followed"
WAYS = ("kill", "halt")


@pytest.fixture(autouse=True)
def _soon_noticed(monkeypatch):
    for module in (subscriber, channel_layer):
        monkeypatch.setattr(module, "SILENCE_SECONDS", 0.5)


@asynccontextmanager
async def listening(url):
    """Return what the page's subscriber and the channel layer have heard, each a list."""
    received, told = [], []
    page = Subscriber(url, lambda channel, message: received.append(message), lambda again: None)
    await page.add(CHANNEL)
    layer = ChannelLayer(url)
    channel = await layer.new_channel()
    await layer.group_add(CHANNEL, channel)

    async def receive():
        while True:
            told.append((await layer.receive(channel))["number"])

    async def send():
        number = 0
        while True:
            number += 1
            with suppress(RedisError, OSError):
                await layer.group_send(CHANNEL, {"type": "message", "number": number})
            await asyncio.sleep(0.1)

    tasks = [asyncio.create_task(each) for each in (page.run(), receive(), send())]
    try:
        yield received, told
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await layer.flush()


async def is_received(client, received, told):
    """Wait until something is heard that was published from now on, by both."""
    del received[:], told[:]

    def both():
        client.publish(CHANNEL, b"message")
        return len(received) > 3 and len(told) > 3

    await asyncio.to_thread(wait_for, both, "messages")


def follow(url, disturb):
    async def listen():
        with make_client(url) as client:
            async with listening(url) as (received, told):
                await is_received(client, received, told)
                await asyncio.to_thread(disturb)
                await is_received(client, received, told)

    asyncio.run(listen())


@pytest.mark.parametrize("way", [*WAYS, "demote"])
def test_a_master_that_sentinels_replace_is_left_for_its_successor(tmp_path, way):
    with Sentinels(tmp_path) as watched:
        old = watched.master()
        disturb = watched.fail_over if way == "demote" else getattr(old, way)
        follow(watched.url, disturb)
        assert watched.wait_for_another(old)


@pytest.mark.parametrize("way", WAYS)
def test_a_node_of_a_cluster_that_dies_is_left_for_another(tmp_path, way):
    with Cluster(tmp_path, replicas=1) as whole:

        def disturb():
            (node,) = [each for each in whole.nodes if is_subscribed(each)][:1]
            getattr(node, way)()

        def is_subscribed(node):
            return CHANNEL in node.ask("PUBSUB", "CHANNELS")

        follow(whole.url, disturb)


def test_who_leaves_a_group_as_the_connection_breaks_takes_nothing_from_others(redis, monkeypatch):
    monkeypatch.setattr(channel_layer, "SECONDS_AFTER_FAULT", 0.01)

    async def leave():
        layer = ChannelLayer(SERVER.url)
        leaving, staying = await layer.new_channel(), await layer.new_channel()
        for steps in range(8):
            with suppress(RedisError):
                await layer.group_add(CHANNEL, leaving)
            redis.client_kill_filter(_type="pubsub")
            for _ in range(steps):  # how far the layer is when it notices
                await asyncio.sleep(0)
            with suppress(RedisError):
                await layer.group_discard(CHANNEL, leaving)
            await is_told(layer, staying)
        await layer.flush()

    async def is_told(layer, channel):
        told = asyncio.create_task(layer.receive(channel))
        for _ in range(200):
            with suppress(RedisError):
                await layer.send(channel, {"type": "message"})
            if (await asyncio.wait([told], timeout=0.05))[0]:
                return
        raise AssertionError("nothing was received")

    asyncio.run(leave())
