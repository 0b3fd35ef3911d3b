"""An answer of an exchange that one process leaves for the others."""

import threading
import time

import orjson
import pytest

from exchanges.redis.client import make_client
from serving.together.answers import NONE, Answer, AnswersBeside


def never():
    raise AssertionError("it is asked again")


def get(redis, ask, request="a", holds_seconds=60.0):
    def told():
        return Answer(200, orjson.dumps(ask()), time.time(), holds_seconds)

    return AnswersBeside(redis).get(4, request, told).content


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


def test_a_refusal_and_why_there_is_no_answer_are_left_for_the_others_too(redis):
    beside, now = AnswersBeside(redis), time.time()
    refused = Answer(400, b'{"code":-1121}', now, 5.0)
    banned = Answer(NONE, "banned: \n 5 €".encode(), now, 30.0, 300)
    assert beside.get(4, "a", lambda: refused) == refused
    assert beside.get(4, "b", lambda: banned) == banned
    assert beside.get(4, "a", never) == refused
    assert beside.get(4, "b", never) == banned
    assert [0 < redis.pttl(each) <= 30_000 for each in redis.keys("exchange:4:passed:*")]


def test_what_holds_for_no_time_is_left_for_nobody(redis):
    assert get(redis, lambda: 1, holds_seconds=0) == 1
    assert get(redis, lambda: 2) == 2
