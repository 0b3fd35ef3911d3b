"""How an exchange is: left alone, banned, away, nobody's, badly warmed, by another clock."""

import time

import orjson
import pytest

from alerts.events.exchanges import Exchanges
from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.status import State
from exchanges.models import Exchange
from exchanges.rest.pacing.host import host_of
from livermore.market import keys
from warmup.runner.trouble import Trouble
from warmup.stats import WarmupStats

pytestmark = pytest.mark.django_db


@pytest.fixture
def told(seen):
    """Return what is told of each kind, all together."""

    def look():
        found = seen(Exchanges())
        return {kind: event.subjects.get("", "") for kind, (event,) in found.items()}

    return look


@pytest.fixture
def lease(redis, row):
    with ExchangeLock(redis, row.pk).acquire() as lease:
        lease.report(State.ACTIVE)
        yield lease


def hold(redis, row, field, seconds):
    until_ms = int(1000 * (time.time() + seconds))
    redis.hset(keys.pacing(host_of(row.rest_url)), field, until_ms)


def test_all_is_well_while_somebody_has_it(told, lease):
    assert set(told().values()) == {""}


def test_nobody_has_it(told):
    assert told()["lock_lost"] == "it shall run, and nobody has it: does an agent live?"


def test_a_hold_and_a_ban_are_no_trouble_beside(redis, told, row, lease):
    trouble = Trouble("banned", "wait", "host")
    redis.set(keys.trouble(row.pk), orjson.dumps(trouble.as_json()))
    assert told()["unreachable"] == "banned. wait"
    hold(redis, row, "held_until", 60)
    found = told()
    assert found["hold"].startswith("it asks to be left alone for ")
    assert (found["ban"], found["unreachable"]) == ("", "")
    hold(redis, row, "banned_until", 600)
    found = told()
    assert found["ban"].startswith("it banned this address until ")
    assert (found["hold"], found["unreachable"]) == ("", "")


def test_a_stream_that_is_not_connected(told, lease):
    lease.report(State.ACTIVE, connections=0, symbols=2, streamTrouble="refused")
    lease._status.write()
    assert told()["unreachable"] == "its stream is not connected: refused"


def test_a_warmup_that_failed_until_one_does_not(redis, told, row, lease):
    def write(**values):
        stats = WarmupStats(row.pk).as_json() | values
        redis.set(keys.warmup_stats(row.pk), orjson.dumps(stats))

    write(status="executing")
    assert "warmup_failed" not in told()
    write(status="complete", failedPairs=2)
    assert told()["warmup_failed"].startswith("its warmup could not fetch 2 pairs; ")
    write(status="error", error="the listing is gone")
    assert told()["warmup_failed"] == "its warmup ended: the listing is gone"
    write(status="complete")
    assert told()["warmup_failed"] == ""


def test_clocks_that_differ(seen, lease):
    lease.report(State.ACTIVE, exchangeTime=int(1000 * time.time()) - 90_000)
    lease._status.write()
    (event,) = seen(Exchanges())["clock_skew"]
    assert event.amounts[""] == pytest.approx(90, abs=5)
    assert "s ahead of the exchange's" in event.subjects[""]


def test_what_shall_not_run_is_not_missed(told, row):
    Exchange.objects.filter(pk=row.pk).update(wanted="stopped")
    assert set(told().values()) == {""}
