"""Closes that are followed in each kind of Redis, also while another server takes over."""

import json
import threading
import time
from contextlib import contextmanager

import livermore_reader
import pytest
from livermore_reader import Heartbeat
from redis.crc import key_slot
from redis.exceptions import RedisError

from exchanges.redis.client import make_client
from exchanges.redis.installation import announce
from livermore.market import keys
from livermore.market.naming import Naming, current, name_as
from tests.fixtures.cluster import Cluster
from tests.fixtures.redis_server import Server
from tests.fixtures.sentinels import Sentinels
from tests.fixtures.tls import Tls, program
from tests.reader.conftest import TOLD
from tests.reader.told import numbers, tell
from tests.serving.conftest import ROW, say_streamed

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def tagged():
    before = current()
    name_as(Naming("", True, ""))
    yield
    name_as(before)


@contextmanager
def told_to(url):
    """Return a client of a Redis in which an exchange is known."""
    with make_client(url) as client:
        announce(client, "0123")
        client.hset(keys.exchanges(), ROW.name, json.dumps(TOLD))
        say_streamed(client)
        yield client


@pytest.mark.skipif(not program(), reason="no Redis with TLS is on this machine")
def test_over_tls(tmp_path):
    tls = Tls(tmp_path / "tls")
    server = Server(tmp_path / "server", tls=tls)
    url = f"rediss://{server.place}/0?ssl_ca_certs={tls.ca_file}"
    try:
        with told_to(url) as client, livermore_reader.connect(url) as lm:
            tell(client, 0)
            with lm.follow("sandbox", since="0-0") as closes:
                assert numbers(closes, 1) == [0]
                tell(client, 1)
                assert numbers(closes, 1) == [1]
    finally:
        server.close()


def test_by_sentinels_also_after_a_failover(tmp_path):
    with (
        Sentinels(tmp_path, password="of-server", sentinel_password="of-sentinels") as watched,
        told_to(watched.url) as client,
        livermore_reader.connect(watched.url) as lm,
        lm.follow("sandbox", heartbeat=0.2) as closes,
    ):
        tell(client, 0)
        assert numbers(only_closes(closes), 1) == [0]
        client.execute_command("WAIT", 1, 5000)
        watched.fail_over()
        telling = threading.Thread(target=tell_as_soon_as_can_be, args=(watched.url, 1))
        telling.start()
        assert numbers(only_closes(closes), 1) == [1]
        telling.join()


def only_closes(items):
    return (each for each in items if not isinstance(each, Heartbeat))


def tell_as_soon_as_can_be(url, number):
    """Tell a close to the new master, as a runner does: again until it takes it."""
    for _ in range(100):
        try:
            with make_client(url) as client:
                tell(client, number)
            return
        except RedisError:
            time.sleep(0.1)


def test_in_a_cluster_also_where_its_keys_move(tmp_path, tagged):
    with (
        Cluster(tmp_path / "cluster", password="of-cluster") as whole,
        told_to(whole.url) as client,
        livermore_reader.connect(whole.url) as lm,
    ):
        tell(client, 0)
        slot = key_slot(keys.events(ROW.exchange_id).encode())
        others = [each for each in whole.nodes if each is not whole.owner(slot)]
        with lm.follow("sandbox", since="0-0") as closes:
            assert numbers(closes, 1) == [0]
            whole.move(slot, others[0])
            tell(client, 1)
            assert numbers(closes, 1) == [1]
