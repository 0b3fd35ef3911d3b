"""What is said where something else is there than REDIS_URL names."""

import pytest

from exchanges.redis.recognition import misnamed
from tests.fixtures.cluster import Cluster
from tests.fixtures.redis_server import Server
from tests.fixtures.sentinels import Sentinels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("recognition")


@pytest.fixture(scope="module")
def watched(folder):
    with Sentinels(folder / "sentinels", sentinel_password="of-sentinels") as watched:
        yield watched


@pytest.fixture(scope="module")
def whole(folder):
    with Cluster(folder / "cluster", password="of-cluster") as whole:
        yield whole


@pytest.mark.parametrize("number", ["0", "3"])
def test_a_sentinel_behind_a_plain_address(watched, number):
    place = watched.sentinels[0].place
    found = misnamed(f"redis://:of-sentinels@{place}/{number}")
    assert found.fault == "REDIS_URL names a Sentinel, which keeps no data."
    others = sorted(each.place for each in watched.sentinels[1:])
    assert f"redis+sentinel://{place},{','.join(others)}/mymaster/{number}," in found.remedy
    assert "of-sentinels" not in found.remedy


def test_a_node_of_a_cluster_behind_a_plain_address(whole):
    found = misnamed(f"redis://:of-cluster@{whole.nodes[1].place}/0")
    assert "one node of a Redis Cluster" in found.fault
    nodes = ",".join(sorted(each.place for each in whole.nodes))
    assert f"redis+cluster://{nodes}/, with user and password" in found.remedy
    assert "of-cluster" not in found.remedy


def test_a_cluster_of_one_is_as_good_as_a_server(folder):
    with Cluster(folder / "one", masters=1) as one:
        assert misnamed(f"redis://{one.nodes[0].place}/0") is None


def test_a_replica_behind_a_plain_address(watched):
    master = watched.master()
    for replica in watched.replicas():
        found = misnamed(f"redis://{replica.place}/0")
        assert found.fault == "REDIS_URL names a replica, which takes no writes."
        assert f"redis://{master.place}/0" in found.remedy
        assert found.passing
    assert misnamed(f"redis://{master.place}/0") is None


def test_a_master_that_sentinels_do_not_watch(watched):
    assert misnamed(watched.url) is None
    found = misnamed(watched.url.replace("mymaster", "another"))
    assert "watch no master 'another'" in found.fault
    assert "mymaster" in found.remedy


def test_a_server_that_is_no_sentinel(watched):
    found = misnamed(f"redis+sentinel://{watched.master().place}/mymaster/0")
    assert "names Sentinels, and" in found.fault


def test_a_server_that_is_no_cluster(watched, whole):
    assert misnamed(whole.url) is None
    found = misnamed(f"redis+cluster://{watched.master().place}/")
    assert "names a Cluster, and" in found.fault


def test_who_does_not_answer_or_lets_nobody_in_is_for_others_to_tell(watched, whole, folder):
    assert misnamed("redis://127.0.0.1:1/0") is None
    assert misnamed("redis+cluster://127.0.0.1:1/") is None
    assert misnamed(f"redis://:wrong@{whole.nodes[0].place}/0") is None
    server = Server(folder / "silent")
    server.halt()
    try:
        assert misnamed(f"redis://{server.place}/0") is None
    finally:
        server.close()
