"""Who takes an exchange, from whom, and who fell silent with it: each told once."""

from copy import deepcopy

import orjson
import pytest

from alerts.events.holders import Holders
from alerts.events.source import Look
from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.status import STATUS_TTL_MS, State
from exchanges.models import Exchange
from livermore.market import keys
from warmup.runner.agents import Registration, register

pytestmark = pytest.mark.django_db

LONG_SECONDS = 11  # between two looks, at the most, so that they tell what happened in between


@pytest.fixture
def happened(seen):
    """Return what happened since the last look, as kinds."""

    def look():
        return sorted(seen(Holders()))

    return look


@pytest.fixture
def take(redis, row):
    """Return a function that takes the lock, on a machine that it names."""
    leases = []

    def acquire(hostname="", take_over=""):
        lock = ExchangeLock(redis, row.pk)
        lease = lock.take_over(take_over, "wanted") if take_over else lock.acquire()
        lease._status.report(State.ACTIVE, "", None, {})
        lease._status.write()  # without its heartbeat: it may fall silent
        leases.append(lease)
        if hostname:
            edit(redis, keys.lock(row.pk), hostname=hostname)
        return lease

    yield acquire
    for lease in leases:
        lease.release()


def edit(redis, key, **values):
    found = orjson.loads(redis.get(key))
    redis.set(key, orjson.dumps(found | values), keepttl=True)


def fall_silent(redis, row, seconds):
    """Let the holder have said nothing for so long, and its lock be gone after 12 s of that."""
    redis.pexpire(keys.status(row.pk), STATUS_TTL_MS - int(1000 * seconds))
    if seconds >= 12:
        redis.delete(keys.lock(row.pk))


def test_one_that_ends_and_begins_again_is_no_news(happened, take):
    assert happened() == []
    first = take()
    assert happened() == []
    first.release()
    assert happened() == []
    take()
    assert happened() == []


@pytest.mark.parametrize("hostname", ["a", "b"])
def test_one_that_was_given_back_and_begun_again_within_a_look_is_no_news(
    redis, row, happened, take, hostname
):
    """A planned restart, or an agent that waited for a command to end; it may take a while."""
    first = take("a")
    assert happened() == []
    redis.pexpire(keys.status(row.pk), STATUS_TTL_MS - 1000 * LONG_SECONDS)
    assert happened() == []
    first.release()
    take(hostname)
    edit(redis, keys.lock(row.pk), pid=1)
    assert happened() == []


def test_one_that_ended_and_began_again_in_its_process_has_not_lost_its_lock(happened, take):
    first = take("a")
    assert happened() == []
    first.release()
    take("a")
    assert happened() == []


def test_one_that_lost_its_lock_by_itself_says_so_when_it_has_it_again(redis, row, happened, take):
    """It stood still for longer than its lease, and found that out before anybody else had it."""
    first = take("a")
    assert happened() == []
    redis.delete(keys.lock(row.pk))
    first.report(State.ERROR, "stopped: it ended after 13.0 s without a renewal")
    take("a")
    assert happened() == ["lock_lost"]


def test_one_whose_process_died_is_taken_over_within_a_look(redis, row, happened, take):
    """Its agent knows that the process is gone, and gives its lock back at once."""
    first = take("a")
    assert happened() == []
    ExchangeLock(redis, row.pk).give_back(first.holder.instance_id)
    take("a")
    edit(redis, keys.lock(row.pk), pid=1)
    assert happened() == ["take_over"]


def test_two_commands_in_turn_and_an_agent_within_a_look_are_no_news(redis, row, happened, take):
    commands = [take("a")]
    assert happened() == []
    commands[0].release()
    take("a").release()
    take("b")
    assert happened() == []


@pytest.mark.parametrize("is_seen", [False, True])
def test_one_that_died_before_a_command_that_an_agent_waited_for(
    redis, row, happened, take, is_seen
):
    take("a")
    fall_silent(redis, row, 7)
    assert happened() == []
    redis.delete(keys.lock(row.pk))
    take("a").release()
    if is_seen:
        assert happened() == []
    take("b")
    assert happened() == ["holder_died", "take_over"]


def test_one_that_falls_silent_and_one_that_takes_over(redis, row, happened, take):
    take("a")
    assert happened() == []
    fall_silent(redis, row, 5)
    assert happened() == []
    fall_silent(redis, row, 13)
    assert happened() == ["holder_died"]
    assert happened() == []
    take("b")
    assert happened() == ["take_over"]
    assert happened() == []


@pytest.mark.parametrize("seconds", [7, 5.9], ids=["ended as abandoned", "a command's"])
def test_one_that_was_killed_and_is_taken_over_soon(redis, row, happened, take, seconds):
    """Who waits on its machine ends a dead process's lock after 7 s; a command's lasts for 6."""
    take("a")
    fall_silent(redis, row, seconds)
    assert happened() == []
    redis.delete(keys.lock(row.pk))
    take("b")
    assert happened() == ["holder_died", "take_over"]
    assert happened() == []


def test_one_that_is_wanted_elsewhere_did_not_die(redis, row, seen, take):
    first = take("a")
    assert seen(Holders()) == {}
    take("b", first.holder.instance_id)
    found = seen(Holders())
    assert list(found) == ["take_over"]
    ((event,),) = found.values()
    assert event.text.startswith("b (process ") and " took it over from a (process " in event.text


def test_one_that_lost_its_lock_and_has_it_again(redis, row, happened, take):
    take("a")
    assert happened() == []
    redis.delete(keys.lock(row.pk))
    take("a")
    assert happened() == ["lock_lost"]


def test_a_process_takes_nothing_over_from_itself(redis, row, happened):
    lost = ExchangeLock(redis, row.pk).acquire()
    assert happened() == []
    redis.flushall()
    again = ExchangeLock(redis, row.pk, above=lost.own_epoch).acquire()  # it replaces its own one
    assert happened() == ["lock_lost"]
    for each in (lost, again):
        each.release()


def test_a_redis_that_was_flushed_kills_nobody(redis, happened, take):
    take("a")
    assert happened() == []
    redis.flushall()
    assert happened() == []
    take("a")
    assert happened() == ["lock_lost"]


def test_an_exchange_that_can_not_be_read_hides_no_other(redis, row, take):
    other = Exchange.objects.get(name="binance")
    look = Look(redis, 0, [other, row], [])
    first = take("a")
    assert list(Holders().look(look)) == []
    redis.hset(keys.lock(other.pk), "not", "ours")
    take("b", first.holder.instance_id)
    (event,) = Holders().look(look)
    assert (event.kind, event.exchange) == ("take_over", row)


def test_an_exchange_that_was_not_active_begins_anew(redis, row, take):
    positions, holders = {}, Holders()

    def look(*exchanges):
        return [each.kind for each in holders.look(Look(redis, 0, exchanges, [], positions))]

    first = take("a")
    assert look(row) == []
    assert look() == []
    first.release()
    take("b")
    assert look(row) == []


def test_another_agent_of_a_machine_that_went_on_took_it_over_while_nobody_looked(redis, row, take):
    """It was there before: the machine was not begun again."""
    positions = {}
    look = Look(redis, 0, [row], [], positions)
    take("a")
    assert list(Holders().look(look)) == []
    agent = register(redis, Registration("other", "a", "127.0.0.1", 7, 0, 0))
    redis.delete(keys.lock(row.pk))  # it was killed
    take("a")
    edit(redis, keys.lock(row.pk), pid=1)
    look.position("holders")[str(row.pk)]["looked"] -= 60_000
    for started_at, told in ((agent.started_at, []), (1, ["take_over"])):
        redis.hset(
            keys.agents(), "other", orjson.dumps(agent.as_json() | {"startedAt": started_at})
        )
        again = Look(redis, 0, [row], [], deepcopy(positions))
        assert [each.kind for each in Holders().look(again)] == told


@pytest.mark.parametrize("agent_began", ["before", "since"])
def test_one_that_gave_it_back_while_nobody_looked_is_no_news(redis, row, take, agent_began):
    """Be it that another agent of its machine went on, or that all began again."""
    positions = {}
    look = Look(redis, 0, [row], [], positions)
    first = take("a")
    assert list(Holders().look(look)) == []
    agent = register(redis, Registration("other", "a", "127.0.0.1", 7, 0, 0))
    if agent_began == "before":
        started = orjson.dumps(agent.as_json() | {"startedAt": 1})
        redis.hset(keys.agents(), "other", started)
    first.release()
    take("a")
    edit(redis, keys.lock(row.pk), pid=1)
    look.position("holders")[str(row.pk)]["looked"] -= 60_000
    assert list(Holders().look(look)) == []


@pytest.mark.parametrize(
    ("hostname", "is_wanted", "told"),
    [("a", False, []), ("a", True, ["take_over"]), ("b", False, ["take_over"])],
    ids=["all ended and began again", "wanted", "elsewhere"],
)
def test_what_happened_while_nobody_looked(redis, row, take, hostname, is_wanted, told):
    """A machine that is begun again begins its evaluator with it: that is no news."""
    positions = {}
    look = Look(redis, 0, [row], [], positions)
    first = take("a")
    assert list(Holders().look(look)) == []
    if is_wanted:
        take(hostname, first.holder.instance_id)
    else:
        redis.delete(keys.lock(row.pk))
        take(hostname)
    edit(redis, keys.lock(row.pk), pid=1)
    look.position("holders")[str(row.pk)]["looked"] -= 60_000
    assert [each.kind for each in Holders().look(look)] == told
