"""The scripts that count attempts to log in alone, by their files."""

import pytest

from exchanges.redis.scripts import load_script

ENTER = load_script("livermore/web/limits/lua/enter.lua")
GIVE_BACK = load_script("livermore/web/limits/lua/give_back.lua")
COUNTERS = ["here", "address", "user"]
LONG_MS = 60_000


def enter(redis, *attempts):
    """Return what is said where the counters take so many attempts each."""
    numbers = [number for each in attempts for number in (each, LONG_MS)]
    return ENTER(redis, [*COUNTERS, "known"], numbers)


def counts(redis):
    return [int(value or 0) for value in redis.mget(COUNTERS)]


def test_an_attempt_is_counted_everywhere_and_each_counter_ends(redis):
    assert [enter(redis, 5, 5, 5) for _ in range(2)] == [[0, 3], [0, 3]]
    assert counts(redis) == [2, 2, 2]
    assert all(0 < redis.pttl(name) <= LONG_MS for name in COUNTERS)


@pytest.mark.parametrize("limits", [(1, 5, 5), (5, 1, 5), (5, 5, 1)])
def test_one_full_counter_refuses_and_nothing_is_counted(redis, limits):
    enter(redis, *limits)
    wait_ms, counted = enter(redis, *limits)
    assert (0 < wait_ms <= LONG_MS, counted) == (True, 0)
    assert counts(redis) == [1, 1, 1]


def test_where_the_user_is_known_his_own_counter_does_not_count(redis):
    redis.set("known", 1)
    assert [enter(redis, 5, 5, 1) for _ in range(2)] == [[0, 2], [0, 2]]
    assert counts(redis) == [2, 2, 0]


def test_a_full_counter_that_would_never_end_is_given_an_end(redis):
    redis.set("address", 5)
    wait_ms, _ = enter(redis, 5, 5, 5)
    assert 0 < wait_ms <= LONG_MS
    assert 0 < redis.pttl("address") <= LONG_MS


@pytest.mark.parametrize("kind", ["text", "hash"])
def test_what_is_no_counter_counts_nothing_and_goes(redis, kind):
    redis.set("here", "many") if kind == "text" else redis.hset("here", "a", "b")
    assert enter(redis, 1, 5, 5) == [0, 3]
    assert counts(redis) == [1, 1, 1]
    redis.set("here", "many")
    GIVE_BACK(redis, ["here"])
    assert not redis.exists("here")


def test_one_attempt_is_taken_out_of_counters_that_are_there(redis):
    redis.mset({"here": 2, "address": 0})
    assert GIVE_BACK(redis, COUNTERS) is None
    assert counts(redis) == [1, 0, 0]
    assert not redis.exists("user")


def test_of_no_counters_nothing_is_taken(redis):
    assert GIVE_BACK(redis, []) is None
