"""The script that writes again what Redis lost, alone."""

import pytest
from redis.exceptions import ResponseError

from exchanges.redis.scripts import load_script
from warmup.cache.encoding import PAIR_CONSTANTS

WRITE_AGAIN = load_script("warmup/live/redis_loss/lua/write_again.lua", PAIR_CONSTANTS)
T = 1_795_046_400_000
MINUTE = 60_000
LOCK = '{"instanceId":"mine"}'
NAMES = ["epoch", "events", "told", "server"]
PAIR = ["candles:4:BTC-USD:1m", "coverage:4:BTC-USD:1m"]


def member(at):
    return f"[{T + at * MINUTE},1,2,0.5,1.5,3]"


def run(redis, *, rows=(), events=(), marks=(), stamp="7:mine"):
    """Write rows of one pair, events by id, and marks, as its holder."""
    values = [stamp, 1000, 100, "server-2", len(rows), len(events), len(marks)]
    for at, text in rows:
        values += (T + at * MINUTE, T + (at + 1) * MINUTE, T + at * MINUTE if text else "", text)
    for each in (*events, *marks):
        values += each
    return WRITE_AGAIN(redis, [*NAMES, *PAIR * len(rows), "lock"], values)


@pytest.fixture
def held(redis):
    redis.set("epoch", 7)
    redis.set("lock", LOCK)
    return redis


def test_rows_events_and_marks_are_there_again(held):
    rows = [(0, member(0)), (1, ""), (2, member(2))]
    told = run(
        held, rows=rows, events=[("5-1", "a"), ("5-2", "b")], marks=[("BTC-USD:1m", "[9,[]]")]
    )
    assert told == 2
    assert held.zrange(PAIR[0], 0, -1) == [member(0).encode(), member(2).encode()]
    assert held.get(PAIR[1]) == f"[[{T},{T + 3 * MINUTE}]]".encode()
    assert held.xrange("events") == [(b"5-1", {b"event": b"a"}), (b"5-2", {b"event": b"b"})]
    assert held.hgetall("told") == {b"BTC-USD:1m": b"[9,[]]"}
    assert held.get("server") == b"server-2"


def test_an_event_that_is_there_is_not_told_a_second_time(held):
    held.xadd("events", {"event": "a"}, id="5-1")
    assert run(held, events=[("5-1", "a"), ("5-2", "b")]) == 1
    assert [entry for entry, _ in held.xrange("events")] == [b"5-1", b"5-2"]


@pytest.mark.parametrize("stamp", ["6:mine", "7:another"])
def test_nothing_is_written_by_one_that_is_not_the_holder(held, stamp):
    with pytest.raises(ResponseError, match="FENCED"):
        run(held, rows=[(0, member(0))], events=[("5-1", "a")], stamp=stamp)
    assert not held.exists(PAIR[0], "events", "told", "server")


def test_a_row_that_is_there_with_columns_keeps_them(held):
    longer = member(0)[:-1] + ",20.5,3,4,8]"
    held.zadd(PAIR[0], {longer: T, member(1): T + MINUTE})
    later = member(1)[:-1] + ",1,2,3,4]"
    run(held, rows=[(0, member(0)), (1, later)])
    assert held.zrange(PAIR[0], 0, -1) == [longer.encode(), later.encode()]
