"""What is written of an exchange's past, by real locks and statuses in a real Redis."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from django.db import Error as DatabaseError

from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.status import STATUS_TTL_MS, State
from exchanges.models import Episode, Exchange
from exchanges.redis.client import make_client
from livermore.market import keys
from tests.fixtures.ports import free_port
from warmup.network.past import episodes, watch
from warmup.network.past.episodes import GAP_OF_MEASURED, SILENT, UNSEEN, UNSTEADY
from warmup.network.past.watch import PastWatch
from warmup.runner.agents import Registration, register

pytestmark = pytest.mark.django_db


class Clock:
    """The time by which the past is written."""

    def __init__(self):
        self.now = datetime.now(UTC).replace(microsecond=0)

    def __call__(self):
        return self.now

    def go(self, **much):
        self.now += timedelta(**much)


@pytest.fixture
def row():
    Exchange.objects.exclude(name="sandbox").update(is_active=False)
    Exchange.objects.filter(name="sandbox").update(wanted="running")
    return Exchange.objects.get(name="sandbox")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def past(redis, row, clock):
    return PastWatch(redis, now=clock)


@pytest.fixture
def lease(redis, row):
    """The exchange's lock, held by somebody whose heartbeat writes nothing by itself."""
    lease = ExchangeLock(redis, row.pk).acquire()
    lease.report(State.ACTIVE, "streaming", obeys=True, connections=1, framesPerSecond=9)
    yield lease
    lease.release()


def told(kind="state"):
    """Return the episodes of a kind, the oldest first: what, and how it ended; None: it goes on."""
    found = Episode.objects.filter(kind=kind).order_by("began_at", "pk")
    return [(each.text, each.ending if each.ended_at else None) for each in found]


def say(lease, state, phase="", **details):
    lease.report(state, phase, obeys=True, **details)


def test_a_run_and_its_states_are_told_once_each(past, lease, clock):
    past.step()
    clock.go(seconds=2)
    say(lease, State.ACTIVE, "streaming", connections=0, streamTrouble="Connection refused")
    past.step()
    clock.go(seconds=2)
    past.step()
    [(who, ended)] = told("run")
    assert f"process {lease.holder.pid}" in who and ended is None
    (first, over), (second, goes_on) = told()
    assert (first, over) == ("Active: streaming", "")
    assert "no connection, trying again: no stream: Connection refused" in second
    assert goes_on is None


def test_a_run_that_ends_in_order_says_how(past, lease):
    past.step()
    lease.report(State.ERROR, "the exchange is busy")
    lease.release()
    past.step()
    [(_, ended)] = told("run")
    assert ended == "error: the exchange is busy"


def test_a_run_that_dies_ended_without_a_word_when_it_was_seen_last(past, lease, redis, clock, row):
    past.step()
    redis.delete(keys.lock(row.pk))  # as when its time is over, or its agent gives it back
    redis.pexpire(keys.status(row.pk), STATUS_TTL_MS - 30_000)
    clock.go(seconds=30)
    past.step()
    [run] = Episode.objects.filter(kind="run")
    assert run.ending == SILENT
    assert clock.now - run.ended_at > timedelta(seconds=28)
    assert told()[-1] == ("Offline: waits for an agent", None)


def test_a_run_that_another_one_follows_at_once_is_told_too(past, lease, redis, row):
    past.step()
    redis.delete(keys.lock(row.pk))
    with ExchangeLock(redis, row.pk).acquire():
        past.step()
        assert [ended for _, ended in told("run")] == [SILENT, None]


def test_a_take_over_says_by_whom(past, lease, redis, row):
    past.step()
    with ExchangeLock(redis, row.pk).take_over(lease.holder.instance_id, "a test"):
        past.step()
        (_, ended), (_, goes_on) = told("run")
        assert ended.startswith("taken over by ") and goes_on is None


def test_who_begins_to_look_later_goes_on_with_what_is_written(past, lease, redis, clock):
    past.step()
    clock.go(seconds=12)
    PastWatch(redis, now=clock).step()
    assert told() == [("Active: streaming", None)]
    assert len(told("run")) == 1


def test_who_begins_to_look_after_a_death_knows_the_last_sign_of_life(redis, lease, row, clock):
    begun = PastWatch(redis, now=clock)
    begun.step()
    written = Episode.objects.get(kind="run").seen_at
    clock.go(seconds=9)
    lease.report(State.ACTIVE, "streaming")  # it lived on, and nobody wrote it down
    redis.delete(keys.lock(row.pk))
    PastWatch(redis, now=clock).step()
    run = Episode.objects.get(kind="run")
    assert run.ending == SILENT
    assert run.ended_at - written > timedelta(seconds=8)


def test_a_short_death_of_all_is_no_time_of_streaming(past, lease, redis, clock):
    past.step()
    clock.go(seconds=40)
    PastWatch(redis, now=clock).step()
    assert told() == [("Active: streaming", UNSEEN), ("Active: streaming", None)]


def test_what_nobody_looked_at_is_not_told_as_if_somebody_had(past, lease, redis, clock):
    past.step()
    seen_at = clock.now
    clock.go(hours=3)
    PastWatch(redis, now=clock).step()
    assert told() == [("Active: streaming", UNSEEN), ("Active: streaming", None)]
    assert Episode.objects.get(kind="state", ending=UNSEEN).ended_at == seen_at
    assert [ended for _, ended in told("run")] == [None]  # the lock is the same: it went on


def test_a_run_that_ended_while_nobody_looked_is_told_so(past, lease, redis, clock, row):
    past.step()
    lease.release()
    redis.delete(keys.status(row.pk))
    clock.go(seconds=GAP_OF_MEASURED.total_seconds() + 60)
    PastWatch(redis, now=clock).step()
    assert [ended for _, ended in told("run")] == [UNSEEN]


def test_a_ban_and_a_pause_are_told(past, redis, row, clock):
    name = keys.pacing("127.0.0.1:8899")
    Exchange.objects.filter(pk=row.pk).update(rest_url="http://127.0.0.1:8899")
    now_ms = int(1000 * clock.now.timestamp())
    redis.hset(name, mapping={"banned_until": now_ms + 600_000, "held_until": now_ms + 5_000})
    past.step()
    [(text, _)] = told("ban")
    assert text.startswith("Banned by the exchange until ")
    assert told("pause") == [("Asked by the exchange to pause (HTTP 429)", None)]
    redis.delete(name)
    past.step()
    assert [ended for _, ended in (*told("ban"), *told("pause"))] == ["", ""]


def test_holes_are_told_with_the_most_that_there_were(past, lease, row, clock, monkeypatch):
    for name in ("BTC-USD", "ETH-USD"):
        row.symbols.create(symbol=name, native_symbol=name, is_monitored=True)
    past.step()  # nothing is cached: all pairs lack all
    [holes] = Episode.objects.filter(kind="holes")
    assert holes.count == 2 * 6
    monkeypatch.setattr(watch, "measure", lambda *_: {})
    past._next_measure_at = 0.0
    clock.go(seconds=60)
    past.step()
    assert told("holes") == [("Pairs with holes", "")]


def test_redis_that_is_away_is_written_down_and_ends_no_run(past, lease, monkeypatch):
    past.step()
    gone = make_client(f"redis://127.0.0.1:{free_port()}/0")
    monkeypatch.setattr(past, "_redis", gone)
    past.step()
    assert told() == [("Active: streaming", ""), ("Stale: Redis does not answer", None)]
    assert [ended for _, ended in told("run")] == [None]


def test_the_oldest_agent_looks_and_no_other(redis, row, clock):
    for agent_id, started_at in (("old", 1), ("young", 2)):
        register(redis, Registration(agent_id, "a", "10.0.0.1", 1, started_at, 0))
    PastWatch(redis, "young", now=clock).step()
    assert told() == []
    PastWatch(redis, "old", now=clock).step()
    assert len(told()) == 1
    redis.hdel(keys.agents(), "old")
    clock.go(seconds=10)
    PastWatch(redis, "young", now=clock).step()
    assert len(told()) == 1


def test_two_that_look_at_once_leave_one_episode(past, redis, lease, clock):
    past._read_rows()
    past._episodes.take_up(dict.fromkeys(past._rows), clock.now)
    PastWatch(redis, now=clock).step()  # meanwhile
    with pytest.raises(DatabaseError):
        past.step()
    past.step()
    assert len(told()) == len(told("run")) == 1


def test_one_that_changes_all_the_time_fills_no_database(past, lease, clock, monkeypatch):
    monkeypatch.setattr(episodes, "MOST_AN_HOUR", 5)
    for number in range(20):
        lease.report(State.ERROR, f"another reason {number}")
        past.step()
        clock.go(seconds=2)
    texts = [text for text, _ in told()]
    assert len(texts) == 6 and texts[-1] == UNSTEADY.text
    clock.go(hours=1)
    past.step()
    assert told()[-1] == ("Error: another reason 19", None)


@pytest.mark.parametrize("again", [True, False])
def test_an_exchange_that_is_switched_off_has_nothing_that_goes_on(
    past, lease, redis, row, clock, again
):
    past.step()
    Exchange.objects.filter(pk=row.pk).update(is_active=False)
    past._rows_read_at = float("-inf")  # ten seconds later
    (PastWatch(redis, now=clock) if again else past).step()
    assert None not in [ended for _, ended in (*told(), *told("run"))]


def test_an_exchange_that_is_deleted_costs_no_other_its_past(past, lease, row, clock):
    Exchange.objects.filter(name="binance").update(is_active=True)
    past.step()
    row.delete()
    clock.go(seconds=2)
    with suppress(DatabaseError):  # it is looked at until the rows are read again
        past.step()
    past._rows_read_at = float("-inf")
    past.step()
    assert told() == [("Idle: an agent is ready", None)]


def test_who_looks_after_one_exchange_leaves_the_others_alone(past, lease, redis, row, clock):
    past.step()
    other = Exchange.objects.get(name="binance")
    Exchange.objects.filter(pk=other.pk).update(is_active=True)
    PastWatch(redis, only=other.pk, now=clock).step()
    assert [ended for _, ended in told("run")] == [None]
    assert {each.exchange_id for each in Episode.objects.filter(ended_at=None)} == {
        row.pk, other.pk,
    }  # fmt: skip
