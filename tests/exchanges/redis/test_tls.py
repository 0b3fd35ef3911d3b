"""Sentinels and a Cluster that speak TLS alone."""

import asyncio

import pytest

from exchanges.redis.client import make_asyncio_client, make_client, own_client
from exchanges.redis.recognition import misnamed
from tests.fixtures.cluster import Cluster
from tests.fixtures.sentinels import Sentinels
from tests.fixtures.tls import Tls, program

pytestmark = pytest.mark.skipif(not program(), reason="no Redis with TLS is on this machine")


def encrypted(url, ca_file):
    join = "&" if "?" in url else "?"
    return url.replace("redis+", "rediss+") + f"{join}ssl_ca_certs={ca_file}"


def use(url):
    with make_client(url) as client, own_client(client, 2.0) as own:
        assert own.set("a", 1)
        assert client.get("a") == b"1"

    async def publish():
        async with make_asyncio_client(url) as client:
            return await client.publish("channel", "message")

    assert asyncio.run(publish()) == 0


def test_sentinels_and_what_they_watch_are_called_over_tls(tmp_path):
    tls = Tls(tmp_path / "tls")
    with Sentinels(tmp_path, tls=tls, password="a", sentinel_password="b") as watched:
        url = encrypted(watched.url, tls.ca_file)
        assert misnamed(url) is None
        use(url)
        place = watched.sentinels[0].place
        found = misnamed(f"rediss://:b@{place}/0?ssl_ca_certs={tls.ca_file}")
        assert f"rediss+sentinel://{place}," in found.remedy


def test_all_nodes_of_a_cluster_are_called_over_tls(tmp_path):
    tls = Tls(tmp_path / "tls")
    with Cluster(tmp_path / "cluster", tls=tls) as whole:
        url = encrypted(whole.url, tls.ca_file)
        assert misnamed(url) is None
        use(url)
