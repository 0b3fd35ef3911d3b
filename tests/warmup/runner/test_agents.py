"""What agents say of themselves."""

import orjson
import pytest

from exchanges.lock.status import Holder
from livermore.market import keys
from warmup.processes.report import ProcessReport
from warmup.runner.agents import Registration, deregister, read_agents, register

HOLDER = Holder("id", 1, "host", "10.0.0.1", 7, 0)


def registration(name="a", **values):
    usual = {"hostname": "host", "ip": "10.0.0.1", "pid": 7, "started_at": 0, "heartbeat": 0}
    return Registration(name, **usual | values)


def now_ms(redis):
    seconds, microseconds = redis.time()
    return seconds * 1000 + microseconds // 1000


def age(redis, name, milliseconds):
    """Let an agent have said nothing for so long."""
    found = orjson.loads(redis.hget(keys.agents(), name))
    found["heartbeat"] -= milliseconds
    redis.hset(keys.agents(), name, orjson.dumps(found))


def test_an_agent_is_read_as_it_registered_by_the_clock_of_redis(redis):
    before = now_ms(redis)
    register(redis, registration(running=("sandbox",)))
    (found,) = read_agents(redis)
    assert (found.agent_id, found.running) == ("a", ("sandbox",))
    assert before <= found.started_at == found.heartbeat <= now_ms(redis)


def test_its_start_stays_while_its_heartbeat_moves(redis):
    first = register(redis, registration(started_at=5))
    second = register(redis, first)
    assert (second.started_at, second.heartbeat >= first.heartbeat) == (5, True)
    assert read_agents(redis) == [second]


def test_the_stored_object_is_the_one_that_is_documented(redis):
    process = ProcessReport(8, ("b", "a"), 1.5, 30_000_000, 9)
    found = register(redis, registration(running=("b", "a"), processes=(process,)))
    assert orjson.loads(redis.hget("agents", "a")) == {
        "agentId": "a",
        "hostname": "host",
        "ip": "10.0.0.1",
        "pid": 7,
        "startedAt": found.started_at,
        "heartbeat": found.heartbeat,
        "running": ["b", "a"],
        "processes": [
            {
                "pid": 8,
                "running": ["b", "a"],
                "cpuSeconds": 1.5,
                "memoryBytes": 30_000_000,
                "threads": 9,
            }
        ],
    }
    assert read_agents(redis) == [found]


def test_who_says_nothing_for_ten_seconds_counts_as_dead(redis):
    register(redis, registration("old", started_at=1))
    register(redis, registration("new", started_at=2))
    age(redis, "old", 9_000)
    assert [agent.agent_id for agent in read_agents(redis)] == ["old", "new"]
    age(redis, "old", 2_000)
    assert [agent.agent_id for agent in read_agents(redis)] == ["new"]
    assert read_agents(redis, now_ms(redis) + 20_000) == []


def test_the_living_forget_who_is_long_dead_and_what_is_no_registration(redis):
    register(redis, registration("long-dead"))
    register(redis, registration("just-dead"))
    age(redis, "long-dead", 61_000)
    age(redis, "just-dead", 30_000)
    redis.hset(keys.agents(), "nonsense", "{}")
    register(redis, registration("alive"))
    assert set(redis.hkeys(keys.agents())) == {b"just-dead", b"alive"}


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", '{"running": 5}', '{"agentId":"a","heartbeat":"soon"}']
)
def test_what_is_no_registration_is_passed_over(redis, text):
    redis.hset(keys.agents(), "nonsense", text)
    register(redis, registration("alive"))
    redis.hset(keys.agents(), "nonsense", text)
    assert [agent.agent_id for agent in read_agents(redis)] == ["alive"]


def test_an_agent_that_ends_is_gone_at_once(redis):
    register(redis, registration())
    deregister(redis, "a")
    assert read_agents(redis) == []


@pytest.mark.parametrize(
    ("values", "is_its_runner"),
    [
        ({}, True),
        ({"running": ("coinbase",)}, False),
        ({"hostname": "other"}, False),
        ({"ip": "10.0.0.2"}, False),
        ({"pid": 8}, False),
        ({"pid": 8, "processes": (ProcessReport(7, ("sandbox",)),)}, True),
        ({"pid": 8, "processes": (ProcessReport(7, ("coinbase",)),)}, False),
    ],
    ids=str,
)
def test_an_agent_knows_its_own_runner(values, is_its_runner):
    agent = registration(**{"running": ("sandbox",)} | values)
    assert agent.runs("sandbox", HOLDER) is is_its_runner
