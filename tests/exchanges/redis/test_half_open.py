"""Connections over which nothing comes any more, though nobody was told."""

import asyncio
import logging
import socket
import time

import pytest
from redis.exceptions import ConnectionError, TimeoutError

from exchanges.redis import channel_layer
from exchanges.redis.channel_layer import ChannelLayer
from exchanges.redis.client import make_asyncio_client, make_client, masters, own_client
from livermore.running.embedded_redis import socket_path
from tests.conftest import FOLDER
from tests.fixtures.stranding import StrandingWire
from tests.warmup.runners import wait_until
from warmup.network.socket import subscriber
from warmup.network.socket.subscriber import Subscriber

LONGEST_SECONDS = 30


@pytest.fixture
def wire():
    wire = StrandingWire(socket.AF_UNIX, str(socket_path(FOLDER / "valkey")))
    wire.url = f"redis://127.0.0.1:{wire.port}/0"
    yield wire
    wire.close()


def test_all_connections_of_a_pool_are_left_when_one_is_found_dead(redis, wire):
    with own_client(make_client(wire.url), 0.3) as client:
        pool = client.connection_pool
        for each in [pool.get_connection() for _ in range(5)]:
            pool.release(each)
        wire.strand()
        with pytest.raises(TimeoutError):
            client.set("a", 1)
        started = time.monotonic()
        assert all(client.set("a", 1) for _ in range(5))
        assert time.monotonic() - started < 0.3, "none of these waited for a timeout"
        assert wire.stranded == 5


async def until(condition):
    await asyncio.to_thread(wait_until, condition)


def test_a_subscriber_subscribes_anew(redis, wire, monkeypatch):
    monkeypatch.setattr(subscriber, "SILENCE_SECONDS", 0.3)
    received, opened = [], []

    async def receive():
        listening = Subscriber(wire.url, lambda *message: received.append(message), opened.append)
        await listening.add("of-one")
        task = asyncio.create_task(listening.run())
        await until(lambda: opened)
        wire.strand()
        await until(lambda: len(opened) == 2)
        redis.publish("of-one", "message")
        await until(lambda: received)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(receive())
    assert opened == [False, True]


def test_channels_layer_subscribes_anew_and_publishes_again(redis, wire, monkeypatch, caplog):
    monkeypatch.setattr(channel_layer, "SILENCE_SECONDS", 0.3)

    async def send():
        layer = ChannelLayer(wire.url)
        channel = await layer.new_channel()
        await layer.group_add("group", channel)
        await until(lambda: redis.pubsub_numsub("asgi__group__group")[0][1] == 1)
        wire.strand()
        with caplog.at_level(logging.WARNING):
            await until(lambda: "channel_layer.broken" in caplog.text)
        await until(lambda: redis.pubsub_numsub("asgi__group__group")[0][1] > 1)
        await layer.group_send("group", {"type": "hello"})
        found = await asyncio.wait_for(layer.receive(channel), 10)
        await layer.flush()
        return found

    assert asyncio.run(send()) == {"type": "hello"}


def test_a_layer_ends_when_it_is_told_to_while_redis_is_away():
    async def come_and_go():
        layer = ChannelLayer("redis://127.0.0.1:1/0")
        with pytest.raises(ConnectionError):
            await layer.new_channel()
        await asyncio.wait_for(layer.flush(), 5)

    asyncio.run(come_and_go())


def probing(connected):
    """Return for how long a peer may be gone before the system ends the connection."""
    of = [connected.getsockopt(socket.IPPROTO_TCP, number) for number in
          (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)]  # fmt: skip
    assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    return of[0] + of[1] * of[2]


def test_the_system_looks_for_peers_that_are_gone(url):
    if url.startswith("unix"):
        pytest.skip("on one machine nobody is gone without a word")
    with make_client(url) as client, own_client(client, 1.0) as own:
        for each in (client, own):
            for _, server in masters(each):
                connection = server.connection_pool.get_connection()
                assert probing(connection._sock) < LONGEST_SECONDS
                server.connection_pool.release(connection)

    async def connect():
        async with make_asyncio_client(url) as client:
            connection = await client.connection_pool.get_connection()
            found = probing(connection._writer.get_extra_info("socket"))
            await client.connection_pool.release(connection)
            return found

    assert asyncio.run(connect()) < LONGEST_SECONDS
