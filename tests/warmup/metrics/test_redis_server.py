"""A Redis that is full, can't save, or is a replica; each is made so, and made well again."""

from pathlib import Path

import pytest
import redis as redis_client

from exchanges.redis.client import make_client, own_client
from tests.conftest import SERVER
from tests.fixtures.cluster import Cluster
from tests.warmup.runners import wait_until
from warmup.metrics.collect import put_server
from warmup.metrics.exposition import Scrape
from warmup.metrics.redis_server import Memory, read_memories, read_memory, refusal


@pytest.fixture
def configure(redis):
    """Set the server's options; they are put back after the test."""
    before = {}

    def configure(**options):
        for name, value in options.items():
            name = name.replace("_", "-")
            before.setdefault(name, redis.config_get(name)[name])
            redis.config_set(name, value)

    yield configure
    for name, value in before.items():
        redis.config_set(name, value)


def changes(redis):
    return redis.info("persistence")["rdb_changes_since_last_save"]


def test_a_server_that_takes_writes_is_not_written_to(redis):
    before = changes(redis)
    assert refusal(redis) == ""
    assert (redis.dbsize(), changes(redis)) == (0, before)


@pytest.mark.parametrize("policy", ["noeviction", "volatile-lru"])
def test_a_full_server_refuses(redis, configure, policy):
    configure(maxmemory=1, maxmemory_policy=policy)
    assert refusal(redis) == "it is full"


def test_a_full_server_that_evicts_does_not(redis, configure):
    configure(maxmemory="1gb", maxmemory_policy="allkeys-lru")
    assert refusal(redis) == ""


def test_a_replica_refuses(redis):
    redis.replicaof("127.0.0.1", "1")
    try:
        assert refusal(redis).startswith("it is a replica")
    finally:
        redis.replicaof("no", "one")
    assert refusal(redis) == ""


def test_a_server_without_its_replicas_refuses(redis, configure):
    configure(min_replicas_to_write=1)
    assert refusal(redis).startswith("it lacks the replicas")


def test_a_server_that_cannot_save_refuses(redis, configure):
    found = redis.config_get("d*")
    in_the_way = Path(found["dir"]) / found["dbfilename"] / "in the way"
    in_the_way.mkdir(parents=True)
    try:
        configure(save="3600 1", stop_writes_on_bgsave_error="yes")
        redis.bgsave()
        wait_until(lambda: redis.info("persistence")["rdb_last_bgsave_status"] == "err")
        assert refusal(redis).startswith("it can't save")
    finally:
        in_the_way.rmdir()
        in_the_way.parent.rmdir()
        redis.save()
    assert refusal(redis) == ""


def test_a_user_who_may_only_read_is_refused(redis):
    redis.acl_setuser("reader", enabled=True, nopass=True, keys=["*"], categories=["+@read"])
    try:
        with redis_client.Redis.from_url(SERVER.url, username="reader", password="any") as reader:
            assert refusal(reader) == "its user may not write"
            assert read_memory(reader) is None
    finally:
        redis.acl_deluser("reader")


def test_a_server_without_a_limit_never_evicts(redis, configure):
    configure(maxmemory=0, maxmemory_policy="allkeys-lru")
    memory = read_memory(redis)
    assert memory == Memory(memory.used, None, "")
    assert memory.used > 100_000


@pytest.mark.parametrize(
    ("policy", "evicts"),
    [("noeviction", ""), ("allkeys-lru", "allkeys-lru"), ("volatile-ttl", "volatile-ttl")],
)
def test_a_server_with_a_limit_evicts_by_its_policy(redis, configure, policy, evicts):
    configure(maxmemory="1gb", maxmemory_policy=policy)
    memory = read_memory(redis)
    assert (memory.limit, memory.evicts) == (2**30, evicts)


# -- A Cluster


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("cluster")) as whole:
        yield whole


@pytest.mark.parametrize("number", range(3))
def test_each_node_of_a_cluster_is_asked(whole, number):
    node = whole.nodes[number]
    with make_client(whole.url) as redis:
        assert refusal(redis) == ""
        node.ask("CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "noeviction")
        try:
            assert refusal(redis) == "it is full"
            assert read_memories(redis)[node.place].limit == 1
            assert read_memory(redis).limit is None, "the others have none"
            node.ask("CONFIG", "SET", "maxmemory", 2**30, "maxmemory-policy", "allkeys-lru")
            memory = read_memory(redis)
            assert (memory.evicts, memory.used > 1_000_000) == ("allkeys-lru", True)
        finally:
            node.ask("CONFIG", "SET", "maxmemory", "0")
        scrape = Scrape()
        put_server(scrape, redis)
        nodes = {each.labels["node"] for each in scrape.families["redis_evicts"].samples}
        assert nodes == {each.place for each in whole.nodes}


def test_a_node_of_a_cluster_that_is_gone_is_a_redis_that_is_gone(whole):
    with own_client(make_client(whole.url), 1.0) as redis:
        assert redis.ping()
        whole.nodes[2].halt()
        try:
            with pytest.raises(redis_client.RedisError):
                redis.ping()
            with pytest.raises(redis_client.RedisError):
                refusal(redis)
        finally:
            whole.nodes[2].go_on()
        whole.wait_until_whole()


def test_a_node_of_a_cluster_behind_a_plain_address_is_named_so(whole):
    found = set()
    for node in whole.nodes:
        with node.client() as redis:
            found.add(refusal(redis))
    assert found == {"", "it is one node of a Cluster, and REDIS_URL does not say so"}
