import time
from contextlib import closing, suppress

import pytest
from redis.exceptions import NoScriptError, RedisError, ResponseError

from exchanges.redis import scripts
from exchanges.redis.client import own_client
from exchanges.redis.scripts import Script, load_script

ADD = Script("return redis.call('INCRBY', KEYS[1], ARGV[1])")


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.002)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Return a function that writes a script's file where they are looked for."""
    monkeypatch.setattr(scripts, "ROOT", tmp_path)
    return lambda name, text: (tmp_path / name).write_text(text)


@pytest.fixture
def unknown(redis):
    """Let the server know no script."""
    redis.script_flush()


def test_a_server_that_does_not_know_a_script_is_sent_it_once(redis, unknown):
    assert ADD(redis, ["sum"], [2]) == 2
    assert redis.script_exists(ADD.sha) == [True]
    redis.config_resetstat()
    assert ADD(redis, ["sum"], [3]) == 5
    calls = redis.info("commandstats")
    assert calls["cmdstat_evalsha"]["calls"] == 1
    assert "cmdstat_eval" not in calls


def test_a_script_is_bound_to_a_server(redis, unknown):
    add = ADD.on(redis)
    assert add(keys=["sum"], args=[2]) == 2
    redis.script_flush()
    assert add(keys=["sum"], args=[2]) == 4


def test_a_reply_is_read_when_it_is_asked_for(redis):
    ADD(redis, ["sum"], [1])
    sent = ADD.send(redis, ["sum"], [2])
    wait_until(lambda: redis.get("sum") == b"3")
    wait_until(lambda: sent.is_ready)
    assert sent.reply() == 3


def test_a_script_that_was_sent_is_sent_as_text_to_a_server_that_does_not_know_it(redis, unknown):
    assert ADD.send(redis, ["sum"], [2]).reply() == 2
    assert redis.get("sum") == b"2"


def test_an_error_of_a_script_that_was_sent_is_raised_and_costs_no_connection(redis):
    redis.set("text", "none")
    client_id = redis.client_id()
    with pytest.raises(ResponseError, match="not an integer"):
        ADD.send(redis, ["text"], [2]).reply()
    assert redis.client_id() == client_id


def test_a_connection_that_breaks_before_the_reply_is_used_no_more(redis):
    ADD(redis, ["sum"], [1])
    client_id = redis.client_id()
    sent = ADD.send(redis, ["sum"], [2])
    with closing(own_client(redis, 5)) as other:
        wait_until(lambda: other.get("sum") == b"3")
        other.client_kill_filter(_id=client_id)
    with suppress(RedisError):
        assert sent.reply() == 3  # it may have been in time
    assert redis.get("sum") == b"3"
    assert redis.client_id() != client_id


def test_many_calls_are_one_round_trip_in_order(redis):
    redis.script_load(ADD.text)
    calls = [(["sum"], [number]) for number in range(5)]
    assert ADD.run_many(redis, calls) == [0, 1, 3, 6, 10]


def test_many_calls_are_repeated_where_the_server_does_not_know_the_script(redis, unknown):
    assert ADD.run_many(redis, iter([(["sum"], [1]), (["sum"], [1])])) == [1, 2]


def test_an_error_of_one_of_many_calls_costs_no_other(redis, unknown):
    redis.set("text", "none")
    first, fault, last = ADD.run_many(redis, [(["a"], [1]), (["text"], [1]), (["b"], [1])])
    assert (first, last) == (1, 1)
    assert isinstance(fault, ResponseError)
    assert not isinstance(fault, NoScriptError)


def test_no_call_at_all_is_no_error(redis):
    assert ADD.run_many(redis, []) == []


def test_what_is_included_comes_first_and_once(redis, files):
    files("one.lua", "local function one() return 1 end\n")
    files("two.lua", "-- include: one.lua\nlocal function two() return one() + one() end\n")
    files("sum.lua", "-- Adds.\n--\n-- include: one.lua\n-- include: two.lua\nreturn one() + two()")
    script = load_script("sum.lua")
    assert script.text.count("function one") == 1
    assert script(redis, []) == 3


def test_a_script_gets_the_constants_that_it_and_what_it_includes_ask_for(redis, files):
    files("step.lua", "-- constants: STEPS\nlocal function step(name) return STEPS[name] end\n")
    files("sum.lua", "-- include: step.lua\n-- constants: MOST, STEPS\nreturn MOST + step(ARGV[1])")
    script = load_script("sum.lua", {"MOST": 2**40, "STEPS": {"1m": 60, "1-d": 86_400}, "LEAST": 1})
    assert script(redis, [], ["1-d"]) == 2**40 + 86_400
    assert "LEAST" not in script.text


def test_a_constant_that_nobody_gives_is_an_error_at_once(files):
    files("sum.lua", "-- constants: MOST, LEAST\nreturn MOST")
    with pytest.raises(LookupError, match=r"sum\.lua needs LEAST"):
        load_script("sum.lua", {"MOST": 1})


@pytest.mark.parametrize("text", ["return 1", "-- include: gone.lua\nreturn 1"])
def test_a_file_that_is_not_there_is_an_error_at_once(files, text):
    files("there.lua", text)
    with pytest.raises(FileNotFoundError, match=r"gone\.lua"):
        load_script("gone.lua" if text == "return 1" else "there.lua")


def test_a_server_is_identified_by_its_run_and_its_data(redis):
    identify = load_script("exchanges/redis/lua/identify.lua")
    info = redis.info()
    assert identify(redis, ["any"]) == [
        info["run_id"].encode(),
        info["master_replid"].encode(),
    ]
