"""The script that lets connections in alone, by its file."""

from exchanges.redis.scripts import load_script

ENTER = load_script("serving/limits/lua/enter.lua")
LONG_MS, NAME = 60_000, "sockets"


def enter(redis, socket_id, limit, ms=LONG_MS):
    return ENTER(redis, [NAME], [socket_id, limit, ms])


def test_as_many_are_let_in_as_may_be_open(redis):
    assert [enter(redis, each, 2) for each in "abc"] == [1, 1, 0]
    assert redis.zrange(NAME, 0, -1) == [b"a", b"b"]
    assert 0 < redis.pttl(NAME) <= LONG_MS


def test_one_that_is_open_stays_so_whatever_the_limit_is_by_now(redis):
    assert enter(redis, "a", 1) == 1
    assert enter(redis, "a", 1) == 1
    assert enter(redis, "a", 0) == 1


def test_those_of_a_process_that_died_are_none_any_more(redis):
    redis.zadd(NAME, {"old": redis.time()[0] * 1000 - 1})
    assert enter(redis, "a", 1) == 1
    assert redis.zrange(NAME, 0, -1) == [b"a"]
