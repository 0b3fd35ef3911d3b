"""Agents that share the exchanges, in processes of their own, or in threads to see both sides."""

import logging
import os
import signal
import socket
import threading
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.status import State, read_status
from exchanges.models import Exchange
from exchanges.redis.client import count_listeners
from livermore.market import keys
from tests.warmup.network.operators import holder_of, person
from tests.warmup.runners import (
    SYMBOLS,
    Comparison,
    end,
    make_row,
    processes,
    serve,
    wait_until,
    with_short_lease,
)
from warmup.network.actions.exchange import Actions
from warmup.runner import agent as agent_module
from warmup.runner.agent import Agent
from warmup.runner.agents import read_agents
from warmup.runner.runner import ExchangeRunner

pytestmark = pytest.mark.django_db(transaction=True)

RUNNING, STOPPED = Exchange.Wanted.RUNNING, Exchange.Wanted.STOPPED


@pytest.fixture
def sandbox():
    with serve() as server:
        yield server


@pytest.fixture
def row(redis, sandbox):
    return make_row(sandbox, wanted=RUNNING)


@pytest.fixture
def agents():
    """Return a function that starts an agent whose locks end soon and that looks often."""
    with processes() as manage:
        yield lambda: manage(code=with_short_lease("agent"))


@pytest.fixture
def wait_until_live(redis):
    """Wait until an agent streams an exchange; return the number of the agent's process."""

    def wait_until_live(row, *, other_than=None):
        def agent():
            status = read_status(redis, row.pk)
            if status.state is not State.ACTIVE:
                return None
            found = [each.pid for each in read_agents(redis) if each.runs(row.name, status.holder)]
            return next((pid for pid in found if pid != other_than), None)

        return wait_until(agent)

    return wait_until_live


def test_when_the_agent_that_runs_it_is_killed_the_other_carries_on(
    redis, row, sandbox, agents, wait_until_live
):
    both = {each.pid: each for each in (agents(), agents())}
    first = wait_until_live(row)
    truth = Comparison(redis, sandbox, row)
    truth.wait(sandbox.clock.now_ms() + 60_000)
    end(both.pop(first), signal.SIGKILL)
    second = wait_until_live(row, other_than=first)
    assert [second] == list(both)
    truth.wait(sandbox.clock.now_ms() + 60_000)
    assert truth.faults() == []
    assert sandbox.streams["binance"].open == 1


def test_when_the_agent_that_runs_it_ends_the_other_carries_on(redis, row, agents, wait_until_live):
    both = {each.pid: each for each in (agents(), agents())}
    first = wait_until_live(row)
    assert end(both.pop(first))[0] == 0
    assert [wait_until_live(row, other_than=first)] == list(both)


def test_what_is_wanted_no_longer_ends_and_what_is_wanted_begins(
    redis, row, agents, wait_until_live
):
    agent = agents()
    wait_until_live(row)
    Exchange.objects.update(wanted=STOPPED)
    wait_until(lambda: not redis.exists(keys.lock(row.pk)))
    assert read_status(redis, row.pk).state is State.STOPPED
    assert agent.poll() is None
    Exchange.objects.update(wanted=RUNNING)
    assert wait_until_live(row) == agent.pid


def test_an_exchange_that_is_switched_off_ends(redis, row, agents, wait_until_live):
    agents()
    wait_until_live(row)
    Exchange.objects.update(is_active=False)
    wait_until(lambda: not redis.exists(keys.lock(row.pk)))


@pytest.mark.parametrize(
    "values",
    [{"rest_url": "http://127.0.0.1:9"}, {"rest_url": "nonsense"}, {"venue": "nonsense"}],
    ids=lambda values: " ".join(values.values()),
)
def test_a_row_that_fails_does_not_stop_the_others(
    redis, row, sandbox, agents, wait_until_live, values
):
    bad = make_row(sandbox, "binance", wanted=RUNNING)
    Exchange.objects.filter(pk=bad.pk).update(**values)
    agent = agents()
    assert wait_until_live(row) == agent.pid
    wait_until(lambda: not redis.exists(keys.lock(bad.pk)))
    assert agent.poll() is None


def test_two_exchanges_run_side_by_side(redis, row, sandbox, agents, wait_until_live):
    other = make_row(sandbox, "coinbase", wanted=RUNNING)
    agent = agents()
    assert {wait_until_live(row), wait_until_live(other)} == {agent.pid}
    truth = Comparison(redis, sandbox, other)
    truth.wait(sandbox.clock.now_ms() + 60_000)
    assert truth.faults() == []


def test_an_exchange_without_symbols_gets_its_listing_first(redis, row, agents, wait_until_live):
    row.symbols.all().delete()
    agents()
    wait_until_live(row)
    assert row.symbols.kept_warm().exists()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "Ctrl-C"])
def test_it_ends_within_five_seconds_and_leaves_its_locks_free(
    redis, row, agents, wait_until_live, how
):
    agent = agents()
    wait_until_live(row)
    status, out, _ = end(agent, how)
    assert (status, "sandbox ended" in out) == (0, True)
    assert ExchangeLock(redis, row.pk).holder() is None
    assert read_status(redis, row.pk).state is State.STOPPED


def test_it_ends_within_five_seconds_while_a_warmup_hangs(redis, row, sandbox, agents):
    sandbox.scenarios.add("slow", delay=12, symbol="BTC-USD")
    agent = agents()
    wait_until(lambda: (read_status(redis, row.pk).percent or 0) > 20)
    assert end(agent)[0] == 0
    assert ExchangeLock(redis, row.pk).holder() is None


def test_what_another_has_is_waited_for_and_taken_when_that_one_ends(
    redis, row, machines, live_holder
):
    one = machines()
    first = live_holder()
    other = machines()
    wait_until(lambda: row.pk in other.agent._jobs and other.agent._jobs[row.pk].held)
    tried_at = other.agent._jobs[row.pk].started_at
    steps = max(each.heartbeat for each in read_agents(redis))
    wait_until(lambda: max(each.heartbeat for each in read_agents(redis)) > steps + 3000)
    assert other.agent._jobs[row.pk].started_at == tried_at
    one.end()
    assert live_holder(other_than=first)
    assert other.agent.running() == ["sandbox"]


# -- What it says of itself


def test_it_tells_that_it_is_alive_and_what_it_runs(redis, row, agents, wait_until_live):
    agent = agents()
    wait_until_live(row)
    (found,) = wait_until(lambda: [each for each in read_agents(redis) if each.running])
    assert (found.pid, found.running) == (agent.pid, ("sandbox",))
    assert found.runs("sandbox", holder_of(redis, row))
    assert end(agent)[0] == 0
    assert read_agents(redis) == []


# -- Taking over


def wait_until_waiting(redis, row, *agents):
    """Wait until these agents know that another one has an exchange, and listen to what it says."""
    for agent in agents:
        wait_until(lambda agent=agent: row.pk in agent._jobs and agent._jobs[row.pk].held)
    wait_until(lambda: count_listeners(redis, keys.lock_channel(row.pk)) == len(agents))


class Machine:
    """An agent in a thread, with what it said."""

    def __init__(self, redis):
        self.said = []
        self.agent = Agent(redis, self.said.append)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            self.agent.run()
        finally:
            connections.close_all()

    def end(self):
        self.agent.stop()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def machines(redis, monkeypatch):
    """Return a function that starts an agent in a thread that looks often.

    Each ends in order, so that nobody waits for the end of a lock: those last as long as they do.
    """
    monkeypatch.setattr(agent_module, "STEP_SECONDS", 0.1)
    started = []

    def machines():
        started.append(Machine(redis))
        return started[-1]

    yield machines
    for machine in started:
        machine.end()


@pytest.fixture
def live_holder(redis, row):
    """Wait until somebody streams the exchange; return the holder, once it isn't `other_than`."""

    def live_holder(*, other_than=None):
        def found():
            status = read_status(redis, row.pk)
            is_live = status.state is State.ACTIVE and status.holder != other_than
            return status.holder if is_live else None

        return wait_until(found)

    return live_holder


def ask_for(row, instance_id, *, ago=timedelta()):
    """Ask for a take-over as the Network page does, so long ago."""
    Exchange.objects.filter(pk=row.pk).update(
        wanted=RUNNING,
        wanted_at=timezone.now() - ago,
        take_over_from=instance_id,
        take_over_reason="it hangs",
    )


def requested(row):
    return Exchange.objects.values_list("take_over_from", flat=True).get(pk=row.pk)


@contextmanager
def counted_holders(redis, row):
    """Return the set of all who hold the exchange while the block runs."""
    found, ending = set(), threading.Event()

    def look():
        while not ending.wait(0.01):
            if holder := holder_of(redis, row):
                found.add(holder.instance_id)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ending.set()
        thread.join()


def test_another_agent_takes_over_and_the_old_one_stays_out(redis, row, machines, live_holder):
    old = machines()
    first = live_holder()
    new = machines()
    wait_until(lambda: len(read_agents(redis)) == 2)
    with counted_holders(redis, row) as holders:
        ask_for(row, first.instance_id)
        second = live_holder(other_than=first)
        wait_until(lambda: any("taken over by" in line for line in old.said))
        # The old one waits for the lock from then on.
        wait_until(lambda: old.agent._jobs[row.pk].held)
        tried_at = old.agent._jobs[row.pk].started_at
        steps = read_agents(redis)[0].heartbeat
        wait_until(lambda: read_agents(redis)[0].heartbeat > steps + 3000)
    assert old.agent._jobs[row.pk].started_at == tried_at
    assert holders == {first.instance_id, second.instance_id}
    assert old.said == [f"sandbox: stopped: taken over by {second.hostname} ({second.ip})"]
    assert new.agent.running() == ["sandbox"]
    assert live_holder() == second
    assert requested(row) == ""


def test_nobody_takes_over_from_another_holder_than_the_one_named(
    redis, row, machines, live_holder
):
    machines()
    first = live_holder()
    machines()
    wait_until(lambda: len(read_agents(redis)) == 2)
    ask_for(row, "some-other-instance")
    wait_until(lambda: requested(row) == "")
    assert holder_of(redis, row) == first


def test_an_old_request_is_not_obeyed(redis, row, machines, live_holder):
    machines()
    first = live_holder()
    machines()
    wait_until(lambda: len(read_agents(redis)) == 2)
    ask_for(row, first.instance_id, ago=timedelta(minutes=3))
    wait_until(lambda: requested(row) == "")
    assert holder_of(redis, row) == first


def test_the_agent_that_has_it_does_not_replace_itself(redis, row, machines, live_holder):
    alone = machines()
    first = live_holder()
    steps = read_agents(redis)[0].heartbeat
    ask_for(row, first.instance_id)
    wait_until(lambda: read_agents(redis)[0].heartbeat > steps + 500)
    assert (holder_of(redis, row), alone.said) == (first, [])


def test_a_runner_that_no_agent_started_is_taken_over(redis, row, machines, live_holder):
    Exchange.objects.update(wanted=STOPPED)
    with ExchangeLock(redis, row.pk).acquire() as lease:
        machines()
        wait_until(lambda: read_agents(redis))
        row.refresh_from_db()
        actions = Actions(redis, row, person("ada"), "it hangs")
        actions.take_over(lease.holder.instance_id, "sandbox")
        second = live_holder()
        assert second != lease.holder
        assert lease.lost.wait(5)
        assert lease.lost_reason == f"taken over by {second.hostname} ({second.ip})"


def test_asking_again_ends_the_wait_after_a_failure(redis, row, machines, live_holder, monkeypatch):
    monkeypatch.setattr(agent_module, "reconnect_delays", lambda: iter([600]))
    url = row.rest_url
    Exchange.objects.update(rest_url="http://127.0.0.1:9")
    one = machines()
    wait_until(lambda: one.said)
    Exchange.objects.update(rest_url=url)
    row.refresh_from_db()
    Actions(redis, row, person("ada")).connect()
    live_holder()


def test_an_exchange_for_which_there_is_no_thread_is_tried_again(
    redis, row, machines, live_holder, monkeypatch
):
    failed, start = [], threading.Thread.start

    def start_if_there_is_room(self):
        if self.name.startswith("runner-") and not failed:
            failed.append(self.name)
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", start_if_there_is_room)
    machines()
    live_holder()
    assert failed == ["runner-sandbox"]


def test_its_start_and_its_end_are_told(redis, caplog):
    caplog.set_level(logging.INFO, "warmup.runner.agent")
    agent = Agent(redis, print)
    agent.stop()
    agent.run()
    here = f"host={socket.gethostname()}"
    started, ended = (record.getMessage() for record in caplog.records)
    assert started.startswith(f"agent.started {here} ip=")
    assert started.endswith(f" pid={os.getpid()}")
    assert ended == f"agent.ended {here} pid={os.getpid()}"


# -- Moving on purpose


@pytest.mark.parametrize("how", ["ends", "is taken from"])
def test_an_exchange_that_moves_is_streamed_all_the_while(
    redis, row, sandbox, machines, live_holder, caplog, how
):
    one = machines()
    first = live_holder()
    other = machines()
    wait_until_waiting(redis, row, other.agent)
    truth = Comparison(redis, sandbox, row)
    truth.wait(sandbox.clock.now_ms())
    if how == "ends":
        one.end()
    else:
        ask_for(row, first.instance_id)
    second = live_holder(other_than=first)
    assert second.epoch > first.epoch
    assert other.agent.running() == ["sandbox"]
    assert not redis.exists(keys.successor(row.pk))
    truth.wait(sandbox.clock.now_ms() + 60_000)
    assert truth.faults() == []
    assert [each.getMessage() for each in caplog.records if each.levelno > logging.WARNING] == []
    assert [each for each in caplog.messages if "lock.taken_over" in each]


def test_of_three_agents_one_prepares_to_take_over(redis, row, sandbox, machines, live_holder):
    one = machines()
    first = live_holder()
    others = [machines(), machines()]
    wait_until_waiting(redis, row, *(each.agent for each in others))
    with counted_holders(redis, row) as holders:
        one.end()
        second = live_holder(other_than=first)
    assert holders - {first.instance_id} == {second.instance_id}
    assert sum(bool(each.agent.running()) for each in others) == 1
    assert sandbox.streams["binance"].open == 1


def test_who_ends_where_nobody_waits_ends_at_once(redis, row, machines, live_holder):
    alone = machines()
    live_holder()
    alone.end()
    assert ExchangeLock(redis, row.pk).holder() is None


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "Ctrl-C"])
def test_a_start_that_is_told_to_end_leaves_it_to_an_agent(
    redis, row, machines, live_holder, caplog, how
):
    with processes() as manage:
        started = manage("start", "sandbox")
        first = live_holder()
        agent = machines().agent
        wait_until_waiting(redis, row, agent)
        status, _, said = end(started, how, seconds=15)
        assert live_holder(other_than=first)
    assert agent.running() == ["sandbox"]
    assert [each for each in caplog.messages if "lock.taken_over" in each]
    assert status in (0, 128 + how)
    assert "ERROR" not in said


def test_a_start_that_is_told_to_end_between_two_turns_leaves_it_to_an_agent(
    redis, row, machines, live_holder, caplog
):
    runner = ExchangeRunner(redis, row, SYMBOLS)
    turns = runner.turns(block_seconds=0.05)
    next(turns)
    first = live_holder()
    agent = machines().agent
    while not (row.pk in agent._jobs and agent._jobs[row.pk].held):
        next(turns)
    wait_until_waiting(redis, row, agent)
    turns.close()
    assert live_holder(other_than=first)
    assert [each for each in caplog.messages if "lock.taken_over" in each]
