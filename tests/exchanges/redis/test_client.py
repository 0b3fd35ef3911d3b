"""Clients of one server, of Sentinels and of a Cluster: one as the other."""

import asyncio
import threading
from contextlib import ExitStack

import pytest
from channels.layers import get_channel_layer
from django_redis import get_redis_connection
from redis.exceptions import ConnectionError, TimeoutError

from exchanges.redis.client import (
    close_idle,
    count_listeners,
    make_asyncio_client,
    make_client,
    masters,
    own_client,
)
from exchanges.redis.scripts import Script
from tests.warmup.runners import wait_until
from warmup.network.socket.subscriber import Subscriber

SET = Script("return redis.call('SET', KEYS[1], ARGV[1])")


@pytest.fixture
def client(url):
    with make_client(url) as client:
        client.flushall()
        yield client


def test_commands_scripts_and_pipelines_go_where_the_address_leads(client):
    SET(client, ["a"], [1])
    assert SET.run_many(client, [(["b"], [2]), (["c"], [3])]) == [b"OK", b"OK"]
    pipe = client.pipeline(transaction=False)
    for name in "abc":
        pipe.get(name)
    pipe.publish("channel", "message")
    assert pipe.execute()[:3] == [b"1", b"2", b"3"]


def test_a_transaction_of_one_slot_is_one(client):
    pipe = client.pipeline(transaction=True)
    pipe.set("{a}1", 1)
    pipe.get("{a}1")
    assert pipe.execute()[1] == b"1"


def test_a_stream_is_waited_for(client):
    telling = threading.Timer(0.2, client.xadd, ["stream", {"field": 1}])
    telling.start()
    found = client.xread({"stream": "0-0"}, block=5000)
    telling.join()
    assert b"field" in str(found).encode()


def test_an_own_client_reaches_the_same_data_and_outlives_no_block(client):
    client.set("a", 1)
    with own_client(client, 2.0) as own:
        assert own.get("a") == b"1"
        with own_client(own, 1.0) as another:
            assert another.get("a") == b"1"


def test_an_own_client_waits_no_longer_than_it_may(client):
    with own_client(client, 0.2) as own, pytest.raises(TimeoutError):
        own.xread({"stream": "0-0"}, block=20_000)


def test_an_own_client_is_known_by_its_name_and_gives_back_what_it_does_not_use(client):
    with own_client(client, None, "tried:7") as own:
        own.set("a", 1)
        wait_until(lambda: names(client) == {"livermore:tried:7"})
        close_idle(own)
        wait_until(lambda: not names(client))
        assert own.get("a") == b"1"


def names(client):
    found = [each["name"] for _, server in masters(client) for each in server.client_list()]
    return {name for name in found if name.startswith("livermore:")}


def test_djangos_cache_and_its_connection_take_it(client, url, settings):
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": [url]}}
    from django.core.cache import cache

    cache.set_many({"a": 1, "b": [2]})
    assert cache.get_many(["a", "b", "c"]) == {"a": 1, "b": [2]}
    assert get_redis_connection("default").exists("django:1:a")


def test_a_subscriber_receives_what_is_published(client, url):
    received, opened = [], []

    async def receive():
        subscriber = Subscriber(url, lambda *message: received.append(message), opened.append)
        await subscriber.add("of-one")
        task = asyncio.create_task(subscriber.run())
        await until(lambda: opened)
        client.publish("of-one", "message")
        await until(lambda: received)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(receive())
    assert received == [("of-one", b"message")]


def test_many_keys_are_read_and_deleted_wherever_they_are(client):
    for name in "abc":
        client.set(name, name)
    assert client.mget(["a", "b", "z"]) == [b"a", b"b", None]
    assert client.delete("a", "b", "z") == 2
    assert client.exists("a", "c") == 1


def test_channels_layer_reaches_its_groups(client, url, settings):
    layer = settings.CHANNEL_LAYERS["default"] | {"CONFIG": {"url": url}}
    settings.CHANNEL_LAYERS = {"default": layer}

    async def send():
        layer = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add("group", channel)
        await layer.group_send("group", {"type": "hello"})
        found = await asyncio.wait_for(layer.receive(channel), 10)
        await layer.flush()
        return found

    assert asyncio.run(send()) == {"type": "hello"}


def test_who_listens_is_counted_whatever_connection_he_has(client):
    assert count_listeners(client, "channel") == 0
    with ExitStack() as stack:
        for node in [*dict(masters(client)).values(), client]:
            listening = stack.enter_context(node.pubsub(ignore_subscribe_messages=True))
            listening.subscribe("channel")
            listening.get_message(timeout=5)
        assert count_listeners(client, "channel") == len(masters(client)) + 1


@pytest.mark.parametrize(
    "nowhere",
    ["redis://127.0.0.1:1/0", "redis+sentinel://127.0.0.1:1/m", "redis+cluster://127.0.0.1:1/"],
)
def test_making_one_needs_no_redis_and_using_it_says_that_there_is_none(nowhere):
    with own_client(make_client(nowhere), 1.0) as client:
        with pytest.raises(ConnectionError):
            client.get("a")
        with pytest.raises(ConnectionError):
            client.pipeline().execute() if "cluster" in nowhere else client.ping()

    async def ask():
        async with make_asyncio_client(nowhere) as client:
            await client.publish("a", "b")

    with pytest.raises(ConnectionError):
        asyncio.run(ask())


def test_what_sentinels_do_not_watch_is_said(urls):
    url = urls["sentinel"].replace("mymaster", "another")
    with make_client(url) as client, pytest.raises(ConnectionError, match="no master of that name"):
        client.ping()


def test_a_password_that_sentinels_want_is_said_by_its_name(urls):
    url = urls["sentinel"].partition("?")[0]
    with make_client(url) as client, pytest.raises(ConnectionError, match="sentinel_password"):
        client.ping()


async def until(condition):
    await asyncio.to_thread(wait_until, condition)
