"""An answer of an exchange that one process leaves for the others."""

import threading

import pytest

from exchanges.redis.client import make_client
from serving.together.answers import AnswersBeside


def never():
    raise AssertionError("it is asked again")


def get(redis, ask, request="a", holds_seconds=60.0):
    return AnswersBeside(redis).get(4, request, holds_seconds, ask)[0]


def test_what_was_told_a_moment_ago_is_not_asked_again(redis):
    assert get(redis, lambda: {"a": [1, "b", None]}) == {"a": [1, "b", None]}
    assert get(redis, never) == {"a": [1, "b", None]}
    assert get(redis, lambda: 2, "b") == 2
    assert all(0 < redis.pttl(each) <= 60_000 for each in redis.keys("exchange:4:passed:*"))


def test_who_asks_at_the_same_time_waits_for_the_one_that_does(redis):
    begun, may_end, found = threading.Event(), threading.Event(), []

    def slow():
        begun.set()
        may_end.wait(10)
        return 1

    threads = [threading.Thread(target=lambda: found.append(get(redis, slow)))]
    threads[0].start()
    assert begun.wait(10)
    threads.append(threading.Thread(target=lambda: found.append(get(redis, never))))
    threads[1].start()
    may_end.set()
    for each in threads:
        each.join(10)
    assert found == [1, 1]


def test_where_that_fails_the_next_one_asks(redis):
    with pytest.raises(ZeroDivisionError):
        get(redis, lambda: 1 / 0)
    assert get(redis, lambda: 3) == 3


def test_what_somebody_else_wrote_and_a_redis_that_is_away_cost_a_call(redis):
    get(redis, lambda: 1)
    (name,) = redis.keys("exchange:4:passed:*")
    redis.set(name, "nonsense")
    assert get(redis, lambda: 2) == 2
    redis.delete(name)
    redis.hset(name, "a", "b")
    assert get(redis, lambda: 3) == 3
    assert get(make_client("redis://127.0.0.1:1/0", connect_seconds=0.2), lambda: 4) == 4
