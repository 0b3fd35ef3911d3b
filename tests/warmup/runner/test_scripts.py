"""Each script of the runner alone, by its file."""

import json

import pytest
from redis.exceptions import ResponseError

from exchanges.redis.scripts import load_script
from warmup.cache.encoding import PAIR_CONSTANTS

WRITE_COMMAND = load_script("warmup/runner/lua/write_command.lua")
COPY = load_script("warmup/runner/lua/copy_candles.lua", PAIR_CONSTANTS)
READ_AGENTS = load_script("warmup/runner/lua/read_agents.lua")

# read_agents.lua


def test_agents_are_told_with_the_time(redis):
    redis.hset("agents", "a", "registration")
    before = redis.time()
    told, seconds, microseconds = READ_AGENTS(redis, ["agents"])
    assert told == [b"a", b"registration"]
    assert before <= (int(seconds), int(microseconds)) <= redis.time()


# write_command.lua


def write_command(redis, name, started_at, kept=3):
    entry = json.dumps({"startedAt": started_at})
    return WRITE_COMMAND(redis, ["commands"], [name, entry, kept, "notifications", "look"])


def test_a_command_takes_the_place_of_what_was_known_of_it_and_is_told(redis):
    listener = redis.pubsub(ignore_subscribe_messages=True)
    listener.subscribe("notifications")
    listener.get_message(timeout=5)
    assert write_command(redis, "a", 1) is None
    write_command(redis, "a", 2)
    assert redis.hgetall("commands") == {b"a": b'{"startedAt": 2}'}
    messages = iter(lambda: listener.get_message(timeout=5), None)
    assert [next(messages)["data"], next(messages)["data"]] == [b"look", b"look"]
    listener.close()


def test_where_there_are_too_many_the_oldest_other_one_goes(redis):
    for name, started_at in (("b", 2), ("a", 1), ("c", 3), ("d", 0)):
        write_command(redis, name, started_at)
    assert set(redis.hkeys("commands")) == {b"b", b"c", b"d"}


@pytest.mark.parametrize("entry", ["no JSON", "5", "[]", '{"startedAt":"long ago"}'])
def test_what_is_no_command_counts_as_the_oldest(redis, entry):
    redis.hset("commands", "x", entry)
    for name in ("a", "b", "c"):
        write_command(redis, name, 1)
    assert set(redis.hkeys("commands")) == {b"a", b"b", b"c"}


def test_a_command_is_not_written_to_a_key_of_another_type(redis):
    redis.set("commands", "text")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        write_command(redis, "a", 1)


# copy_candles.lua

STEP = 60_000
T0 = 1_790_000_040_000  # a minute's boundary
KEYS = ["old:1m", "old:coverage", "new:1m", "new:coverage", "epoch"]


def at(number):
    return T0 + number * STEP


def row(number, name="old"):
    return f'[{at(number)},"{name}"]'


def put(redis, name, numbers, *spans):
    if numbers:
        redis.zadd(f"{name}:1m", {row(number, name): at(number) for number in numbers})
    redis.set(f"{name}:coverage", json.dumps([[at(first), at(last)] for first, last in spans]))


def copy(redis, epoch="", kept=1000):
    return COPY(redis, KEYS, [epoch, kept])


def copied(redis):
    rows = [member.decode() for member in redis.zrange("new:1m", 0, -1)]
    spans = json.loads(redis.get("new:coverage") or "[]")
    return rows, [[(ms - T0) // STEP for ms in each] for each in spans]


def test_a_new_name_without_candles_gets_all(redis):
    put(redis, "old", range(3), (0, 3))
    assert copy(redis) == 3
    assert copied(redis) == ([row(0), row(1), row(2)], [[0, 3]])
    assert redis.zcard("old:1m") == 3


def test_from_the_new_names_first_candle_on_its_own_count(redis):
    put(redis, "old", range(5), (0, 5))
    put(redis, "new", range(3, 6), (2, 6))
    assert copy(redis) == 3
    rows = [row(0), row(1), row(2), *[row(number, "new") for number in range(3, 6)]]
    assert copied(redis) == (rows, [[0, 6]])


def test_what_nobody_knows_between_them_stays_unknown(redis):
    put(redis, "old", range(3), (0, 3))
    put(redis, "new", [6], (6, 7))
    copy(redis)
    assert copied(redis)[1] == [[0, 3], [6, 7]]


def test_an_old_name_of_which_nothing_is_known_gives_its_candles(redis):
    put(redis, "old", range(2))
    copy(redis)
    assert copied(redis) == ([row(0), row(1)], [])


def test_no_more_is_kept_than_is_said(redis):
    put(redis, "old", range(5), (0, 5))
    copy(redis, kept=2)
    assert copied(redis) == ([row(3), row(4)], [[3, 5]])


def test_done_twice_it_is_the_same(redis):
    put(redis, "old", range(5), (0, 5))
    put(redis, "new", range(3, 6), (3, 6))
    copy(redis)
    first = copied(redis)
    copy(redis)
    assert copied(redis) == first


def test_an_old_name_without_a_candle_changes_nothing(redis):
    put(redis, "new", [1], (1, 2))
    assert copy(redis) == 0
    assert copied(redis) == ([row(1, "new")], [[1, 2]])


def test_who_had_the_exchange_before_copies_nothing(redis):
    put(redis, "old", range(3), (0, 3))
    redis.set("epoch", 8)
    with pytest.raises(ResponseError, match="FENCED epoch 7"):
        copy(redis, epoch=7)
    assert not redis.exists("new:1m", "new:coverage")


@pytest.mark.parametrize("name", KEYS[:4])
def test_a_pair_that_is_not_ours_is_set_aside(redis, name):
    redis.hset(name, "a", "b")
    with pytest.raises(ResponseError, match=f"ASIDE {name} is a hash, not a"):
        copy(redis)
    assert list(redis.scan_iter()) == [name.encode()]
