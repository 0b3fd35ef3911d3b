"""Agents that share the exchanges, in processes of their own."""

import signal

import pytest

from exchanges.instances import ExchangeLock
from exchanges.models import Exchange
from exchanges.status import State, read_status
from livermore.market import keys
from tests.warmup.live import (
    Comparison,
    end,
    make_row,
    processes,
    serve,
    wait_until,
    with_short_lease,
)

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
    """Wait until somebody streams an exchange; return the number of its process."""

    def wait_until_live(row, *, other_than=None):
        def holder():
            status = read_status(redis, row.pk)
            if status.state is State.ACTIVE and status.holder.pid != other_than:
                return status.holder.pid
            return None

        return wait_until(holder)

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
    assert truth.faults(told=False) == []
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
    assert row.symbols.watched().exists()


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
