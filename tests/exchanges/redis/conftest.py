"""Each kind of Redis that REDIS_URL may name, as the tests of clients try all of them."""

import pytest

from tests.conftest import SERVER
from tests.fixtures.cluster import Cluster
from tests.fixtures.sentinels import Sentinels

KINDS = ("server", "sentinel", "cluster")


@pytest.fixture(scope="package")
def urls(tmp_path_factory):
    """Return an address of each kind."""
    folder = tmp_path_factory.mktemp("topologies")
    passwords = {"password": "of-server", "sentinel_password": "of-sentinels"}
    with (
        Sentinels(folder / "sentinels", **passwords) as watched,
        Cluster(folder / "cluster", password="of-cluster") as whole,
    ):
        yield {"server": SERVER.url, "sentinel": watched.url, "cluster": whole.url}


@pytest.fixture(params=KINDS)
def url(request, urls):
    return urls[request.param]
