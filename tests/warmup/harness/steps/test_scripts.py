"""The script that puts a status back alone, by its file."""

import pytest
from redis.exceptions import ResponseError

from exchanges.redis.scripts import load_script

PUT_BACK = load_script("warmup/harness/steps/lua/put_back_status.lua")


@pytest.fixture
def put_back(redis):
    """Return a function that puts a status back after a lease under the epoch 7."""
    redis.mset({"epoch": 7, "status": "ours"})
    return lambda before, ends_ms: PUT_BACK(redis, ["status", "epoch"], [7, before, ends_ms])


def in_ms(redis, ms):
    seconds, microseconds = redis.time()
    return seconds * 1000 + microseconds // 1000 + ms


def test_a_status_that_goes_on_lasts_as_long_as_it_would_have(redis, put_back):
    assert put_back("before", in_ms(redis, 60_000)) is None
    assert redis.get("status") == b"before"
    assert 0 < redis.pttl("status") <= 60_000


def test_a_status_without_an_end_has_none(redis, put_back):
    put_back("before", -1)
    assert (redis.get("status"), redis.pttl("status")) == (b"before", -1)


@pytest.mark.parametrize(("before", "ends_in_ms"), [("before", -1000), ("", 60_000)])
def test_a_status_that_is_over_or_never_was_is_not_there(redis, put_back, before, ends_in_ms):
    put_back(before, in_ms(redis, ends_in_ms))
    assert not redis.exists("status")


@pytest.mark.parametrize("epoch", ["8", None])
def test_where_somebody_else_has_had_a_lease_since_all_stays(redis, put_back, epoch):
    redis.set("epoch", epoch) if epoch else redis.delete("epoch")
    put_back("before", -1)
    assert redis.get("status") == b"ours"


def test_an_epoch_of_another_type_is_an_error(redis, put_back):
    redis.delete("epoch")
    redis.hset("epoch", "7", "7")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        put_back("before", -1)
    assert redis.get("status") == b"ours"
