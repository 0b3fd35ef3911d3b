"""The scripts that count connections and guesses alone, by their files."""

from exchanges.redis.scripts import load_script

ENTER = load_script("serving/limits/lua/enter.lua")
GUESS = load_script("serving/limits/lua/guess.lua")
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


def guess(redis, token, most=2):
    ms, tokens = GUESS(redis, ["tried"], [token, most, LONG_MS])
    return ms, set(tokens)


def test_wrong_tokens_are_counted_once_each_and_no_more_than_so_many(redis):
    assert guess(redis, "") == (-2, set())
    assert [len(guess(redis, each)[1]) for each in "aabc"] == [1, 1, 2, 2]
    ms, tokens = guess(redis, "")
    assert tokens == {b"a", b"b"}
    assert 0 < ms <= LONG_MS


def test_they_count_from_the_first_one_on(redis):
    guess(redis, "a")
    redis.pexpire("tried", 1000)
    assert guess(redis, "b")[0] <= 1000
