"""Each script of pacing alone, by its file. The server's time stands where a test puts it."""

import pytest
from redis.exceptions import ResponseError

from exchanges.redis.scripts import Script, load_script
from exchanges.rest.pacing.pacer import CONSTANTS, IDLE_MS, LONGEST_BAN_SECONDS, TURN_MS

HOST = "host"
NOW = 1_790_000_000_300  # not on a second, so that whole seconds are no special case
LONGEST_MS = 1000 * LONGEST_BAN_SECONDS
NOTHING = [0, 0, 0, 0, 0]  # what `turn` says where nothing holds a call back


def script(name):
    """Return a script whose clock is a list in Redis."""
    text = load_script(f"exchanges/rest/pacing/lua/{name}.lua", CONSTANTS).text
    return Script(text.replace("redis.call('TIME')", "redis.call('LRANGE', 'clock', 0, -1)"))


NAMES = (
    "take_batch", "take_weight", "take_back_batch", "take_back_weight", "observe", "set_limits",
    "ask_limits", "shut_host", "turn_away", "answered", "restore", "read_usage",
)  # fmt: skip
SCRIPTS = {name: script(name) for name in (*NAMES, "host", "state", "turn", "window")}
ARGUMENTS = {
    "take_batch": [5, 1000, 0], "take_weight": [1, 1, 100, 1000], "take_back_batch": [NOW],
    "take_back_weight": [NOW, 1], "observe": [10], "set_limits": [100, 1000, 60_000, 0],
    "ask_limits": [1000], "shut_host": ["held_until", 1000], "turn_away": [1000, 60_000],
    "answered": [], "restore": [NOW, "weight_limit", 10],
    "read_usage": [],
}  # fmt: skip


@pytest.fixture
def run(redis):
    """Return a function that runs a script, at so many ms after now."""

    def run(name, *arguments, after_ms=0):
        ms = NOW + after_ms
        redis.delete("clock")
        redis.rpush("clock", ms // 1000, ms % 1000 * 1000)
        return SCRIPTS[name](redis, [HOST], arguments)

    return run


@pytest.fixture
def ask(redis):
    """Return a function that returns what a line of Lua says that has the names of a library."""

    def ask(name, text, *arguments):
        redis.delete("clock")
        redis.rpush("clock", NOW // 1000, NOW % 1000 * 1000)
        return redis.eval(f"{SCRIPTS[name].text}\n{text}", 1, HOST, *arguments)

    return ask


def fields(redis):
    return {name.decode(): value.decode() for name, value in redis.hgetall(HOST).items()}


# host.lua, state.lua, turn.lua, window.lua


def test_the_host_lasts_at_least_as_long_as_is_asked(redis, ask):
    redis.hset(HOST, "a", 1)
    ask("host", "keep(tonumber(ARGV[1]))", 90_000)
    ask("host", "keep(tonumber(ARGV[1]))", 10_000)
    assert 80_000 < redis.pttl(HOST) <= 90_000
    assert ask("host", "return now") == NOW


def test_what_is_no_number_goes_and_counts_as_not_there(redis, ask):
    bad = {"a": "words", "b": "-1", "c": "1.5", "d": "1" * 16, "e": ""}
    redis.hset(HOST, mapping={**bad, "f": 7})
    assert ask("state", "local n = 0 for _ in pairs(state) do n = n + 1 end return n") == 1
    assert fields(redis) == {"f": "7"}


@pytest.mark.parametrize(
    ("until", "left_ms"),
    [(NOW + 5, 5), (NOW - 5, 0), (NOW + LONGEST_MS, LONGEST_MS), (NOW + LONGEST_MS + 1, 0)],
)
def test_nothing_holds_longer_than_the_longest_ban(redis, ask, until, left_ms):
    redis.hset(HOST, "held_until", until)
    assert ask("state", "return left('held_until')") == left_ms


@pytest.mark.parametrize(("ended_ms", "refused"), [(IDLE_MS, 5000), (IDLE_MS + 1, 0)])
def test_pauses_for_a_firewall_are_forgotten_after_a_while(redis, ask, ended_ms, refused):
    redis.hset(HOST, mapping={"refused_ms": 5000, "held_until": NOW - ended_ms})
    assert ask("state", "return {refused, sat_out()}") == [refused, refused]


def test_a_pause_that_goes_on_is_not_sat_out_yet(redis, ask):
    redis.hset(HOST, mapping={"refused_ms": 5000, "held_until": NOW + 2000})
    assert ask("state", "return {refused, sat_out()}") == [5000, 3000]


def test_a_turn_says_what_holds_a_call_back(redis, ask):
    assert ask("turn", "return turn(wait, 'more')") == [*NOTHING, b"more"]
    redis.hset(HOST, mapping={"held_until": NOW + 20, "banned_until": NOW + 50})
    assert ask("turn", "return turn(wait)") == [50, 20, NOW + 50, 0, 0]


def test_one_call_at_a_time_tries_whether_a_firewall_is_over(redis, ask):
    redis.hset(HOST, mapping={"refused_ms": 5000, "held_until": NOW - 1})
    assert ask("turn", "go() return turn(wait)") == [0, 0, 0, 1, 5000]
    assert ask("turn", "return turn(wait)") == [250, 0, 0, 1, 5000]


def test_a_window_counts_what_is_no_older_than_itself(redis, ask):
    second = NOW // 1000
    amounts = {second - 61: 1, second - 60: 2, second: 4, second + 1: 8}
    redis.hset(HOST, mapping={f"weight:{at}": amount for at, amount in amounts.items()})
    redis.hset(HOST, f"requests:{second}", 16)
    found = ask("window", "local found = window('weight', 60000) return {found.field, found.used}")
    assert found == [f"weight:{second}".encode(), 6]
    assert set(fields(redis)) == {f"weight:{second - 60}", f"weight:{second}", f"requests:{second}"}


@pytest.mark.parametrize(("room", "wait_ms"), [(0, 0), (1, 700), (2, 700), (3, 60_700)])
def test_room_comes_when_the_oldest_slices_go(redis, ask, room, wait_ms):
    second = NOW // 1000
    redis.hset(HOST, mapping={f"weight:{second - 60}": 2, f"weight:{second}": 4})
    text = "return window('weight', 60000).wait_for(tonumber(ARGV[1]))"
    assert ask("window", text, room) == wait_ms


# take_batch.lua, take_back_batch.lua


def test_after_a_batch_comes_a_pause(run):
    for _ in range(2):
        assert run("take_batch", 2, 1000, 0) == [*NOTHING, NOW]
    assert run("take_batch", 2, 1000, 0, after_ms=400)[0] == 600
    assert run("take_batch", 2, 1000, 0, after_ms=1000)[0] == 0


def test_what_is_urgent_goes_first_after_a_pause(run):
    run("take_batch", 1, 1000, 0)
    assert run("take_batch", 1, 1000, 1)[0] == 1000
    assert run("take_batch", 1, 1000, 0, after_ms=1000)[0] == TURN_MS
    assert run("take_batch", 1, 1000, 1, after_ms=1000)[0] == 0


def test_a_clock_that_stepped_back_holds_no_batch_back(redis, run):
    redis.hset(HOST, mapping={"batch_last": NOW + 5000, "batch_used": 2})
    assert run("take_batch", 2, 1000, 0)[0] == 0


def test_a_call_of_a_batch_is_taken_back(redis, run):
    run("take_batch", 2, 1000, 0)
    redis.hset(HOST, "trying_until", NOW)
    assert run("take_back_batch", NOW + 1) is None
    assert fields(redis)["batch_used"] == "1"
    run("take_back_batch", NOW)
    run("take_back_batch", NOW)
    assert fields(redis) == {"batch_last": str(NOW), "batch_used": "0"}


# take_weight.lua, take_back_weight.lua, observe.lua


def test_weight_is_counted_until_its_share_of_the_limit_is_used_up(run):
    assert run("take_weight", 30, "0.8", 100, 1000) == [*NOTHING, NOW, 30, 80, 0]
    assert run("take_weight", 50, "0.8", 100, 1000)[0] == 0
    wait_ms, *_, used, allowed, known = run("take_weight", 1, "0.8", 100, 1000)
    assert (wait_ms, used, allowed, known) == (60_700, 80, 80, 0)
    assert run("take_weight", 1, "0.8", 100, 1000, after_ms=60_700)[0] == 0


def test_requests_have_a_limit_of_their_own(run):
    for _ in range(2):
        assert run("take_weight", 1, "1", 100, 2)[0] == 0
    assert run("take_weight", 1, "1", 100, 2)[0] > 299_000


def test_who_waits_for_no_budget_is_counted(run):
    run("take_weight", 100, "1", 100, 1000)
    assert run("take_weight", 5, "", 100, 1000) == [*NOTHING, NOW, 105, 100, 0]


def test_limits_that_are_known_count(run):
    run("set_limits", 50, 1000, 60_000, 0)
    assert run("take_weight", 1, "1", 100, 1000)[-2:] == [50, 1]
    assert run("take_weight", 1, "1", 100, 1000, after_ms=60_000)[-2:] == [50, 0]


def test_weight_is_taken_back_out_of_the_slice_it_went_into(redis, run):
    run("take_weight", 30, "1", 100, 1000)
    run("take_weight", 10, "1", 100, 1000, after_ms=1000)
    assert run("take_back_weight", NOW, 30, after_ms=1000) == 10
    assert run("take_back_weight", NOW, 30, after_ms=1000) == 10
    assert f"weight:{NOW // 1000}" not in fields(redis)


def test_what_others_used_counts_as_ours(run):
    run("take_weight", 30, "1", 100, 1000)
    assert run("observe", 20) is None
    assert run("take_weight", 0, "", 100, 1000)[-3] == 30
    run("observe", 45)
    assert run("take_weight", 0, "", 100, 1000)[-3] == 45


# set_limits.lua, ask_limits.lua


def test_limits_that_were_published_stay_where_nobody_published_others(redis, run):
    assert run("set_limits", 10, 20, 60_000, 1) == 1
    assert run("set_limits", 50, 60, 60_000, 0) == 1
    assert run("set_limits", 10, 20, 60_000, 1) == 0
    assert fields(redis)["weight_limit"] == "50"
    assert run("set_limits", 10, 20, 60_000, 1, after_ms=60_000) == 1
    assert fields(redis)["weight_limit"] == "10"
    assert 0 < redis.pttl(HOST) <= 60_000


def test_one_asks_for_limits_that_nobody_knows(redis, run):
    assert [run("ask_limits", 1000) for _ in range(2)] == [1, 0]
    assert run("ask_limits", 1000, after_ms=1000) == 1
    run("set_limits", 10, 20, 60_000, 0, after_ms=1000)
    assert run("ask_limits", 1000, after_ms=2000) == 0
    assert run("ask_limits", 1000, after_ms=61_000) == 1


@pytest.mark.parametrize("field", ["limits_until", "limits_asked"])
def test_limits_are_asked_for_where_it_cannot_be_read_when_they_were(redis, run, field):
    redis.hset(HOST, field, "words")
    assert run("ask_limits", 1000) == 1


# shut_host.lua, turn_away.lua, answered.lua


@pytest.mark.parametrize("field", ["held_until", "banned_until"])
def test_a_host_is_shut_for_no_less_than_it_is_already(redis, run, field):
    assert run("shut_host", field, 5000) == NOW + 5000
    assert run("shut_host", field, 1000) == NOW + 5000
    assert run("shut_host", field, 9000) == NOW + 9000
    assert fields(redis) == {field: str(NOW + 9000)}
    assert redis.pttl(HOST) > IDLE_MS


@pytest.mark.parametrize("text", ["words", str(NOW + LONGEST_MS + 1)])
def test_what_could_not_have_been_asked_shuts_no_host(redis, run, text):
    redis.hset(HOST, "held_until", text)
    assert run("shut_host", "held_until", 1000) == NOW + 1000


def test_pauses_in_a_row_grow_up_to_the_longest(run):
    assert run("turn_away", 1000, 3000) == [0, 1, 1000]
    assert run("turn_away", 1000, 3000, after_ms=500) == [500, 0, 0]
    assert run("turn_away", 1000, 3000, after_ms=1000) == [1000, 0, 1000]
    assert run("turn_away", 1000, 3000, after_ms=2000) == [2000, 0, 2000]
    assert run("turn_away", 1000, 3000, after_ms=4000) == [4000, 0, 3000]


def test_an_answer_ends_the_pauses_but_for_one_to_what_went_out_before(redis, run):
    run("turn_away", 1000, 3000)
    assert run("answered", after_ms=500) is None
    assert "refused_ms" in fields(redis)
    run("answered", after_ms=1000)
    assert "refused_ms" not in fields(redis)
    assert run("turn_away", 1000, 3000, after_ms=1000) == [0, 1, 1000]


# restore.lua, and what tells that it is needed


def test_a_hash_that_is_not_the_one_that_is_known_gives_no_turn(redis, run):
    assert run("take_weight", 1, "1", 100, 1000, "", 0)[-1] == 0
    since = fields(redis)["since"]
    assert run("take_weight", 1, "1", 100, 1000, since, 0)[-3] == 2
    redis.delete(HOST)
    assert run("take_weight", 1, "1", 100, 1000, since, 0) == []
    assert run("take_batch", 5, 1000, 0, since, 0) == []
    assert fields(redis) == {}


def test_a_look_tells_all_that_was_there_before_the_call(redis, run):
    redis.hset(HOST, mapping={"weight_limit": 50, "words": "none of ours"})
    *_, (now, *pairs) = run("take_weight", 1, "1", 100, 1000, "", 1)
    assert now == NOW
    told = dict(zip(pairs[::2], pairs[1::2], strict=True))
    assert told == {b"weight_limit": b"50", b"since": str(NOW).encode()}


def test_what_is_put_back_first_is_added_and_then_the_larger_of_two_counts(redis, run):
    slice_now = f"weight:{NOW // 1000}"
    redis.hset(HOST, slice_now, 5)
    run("restore", NOW, slice_now, 10)
    assert fields(redis)[slice_now] == "15"
    run("restore", NOW, slice_now, 12)
    assert fields(redis)[slice_now] == "15"
    run("restore", NOW, slice_now, 20)
    assert fields(redis)[slice_now] == "20"


def test_what_is_too_old_to_count_is_not_put_back(redis, run):
    run("restore", NOW, f"weight:{NOW // 1000 - 61}", 10, f"requests:{NOW // 5000 - 61}", 1)
    assert fields(redis) == {"since": str(NOW)}


def test_limits_that_are_believed_stay_where_others_are_put_back(redis, run):
    run("set_limits", 50, 1000, 60_000, 0)
    run("restore", NOW, "weight_limit", 90, "limits_until", NOW + 3_600_000)
    assert fields(redis)["weight_limit"] == "50"
    assert fields(redis)["limits_until"] == str(NOW + 60_000)


def test_what_another_servers_clock_says_is_put_back_in_this_ones_time(redis, run):
    behind = NOW - 3_600_000
    run("restore", behind, "banned_until", behind + 9000, f"weight:{behind // 1000 - 3}", 7)
    assert fields(redis)["banned_until"] == str(NOW + 9000)
    assert fields(redis)[f"weight:{NOW // 1000 - 3}"] == "7"
    assert redis.pttl(HOST) > IDLE_MS


# all


@pytest.mark.parametrize("name", NAMES)
def test_a_host_that_is_not_there_yet_is_no_fault(run, name):
    run(name, *ARGUMENTS[name])


@pytest.mark.parametrize("name", NAMES)
def test_a_host_of_another_type_is_an_error(redis, run, name):
    redis.set(HOST, "text")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        run(name, *ARGUMENTS[name])
    assert redis.get(HOST) == b"text"


# read_usage.lua


def test_what_is_kept_of_a_host_is_told_with_the_time(redis, run):
    redis.hset(HOST, "a", 1)
    assert run("read_usage") == [[b"a", b"1"], b"%d" % (NOW // 1000), b"%d" % (NOW % 1000 * 1000)]
    assert fields(redis) == {"a": "1"}
