import pytest

from exchanges.redis.server_watch import ServerWatch, server_of
from tests.warmup.live.redis_away import OwnRedis


@pytest.fixture
def own_redis(tmp_path):
    with OwnRedis(tmp_path) as own_redis:
        yield own_redis


def test_a_server_that_was_started_again_is_another_one(own_redis):
    with own_redis.client() as redis:
        watch = ServerWatch(redis, "any")
        assert [watch.has_changed() for _ in range(2)] == [False, False]
        own_redis.stop()
        own_redis.start()
        assert [watch.has_changed() for _ in range(2)] == [True, False]


def test_a_replica_that_was_promoted_is_another_one_than_before(own_redis):
    with own_redis.client() as redis:
        before = server_of(redis, "any")
        redis.replicaof("127.0.0.1", "1")
        redis.replicaof("NO", "ONE")
        after = server_of(redis, "any")
        assert (after.run_id, after.replication_id) != before
        assert after.run_id == before.run_id


def test_a_server_that_may_not_say_who_it_is_never_changes(own_redis):
    with own_redis.client() as redis:
        redis.acl_setuser("shy", enabled=True, nopass=True, keys=["*"], categories=["+@all"],
                          commands=["-info"])  # fmt: skip
        redis.execute_command("AUTH", "shy", "x")
        assert server_of(redis, "any") == ("", "")
