"""Agents, rows, Redis, absence and the digest: what each source tells."""

import time
from datetime import UTC, datetime

import pytest
from django.utils import timezone

from alerts.events.absent import Absent
from alerts.events.agents import Agents
from alerts.events.digest import Digest
from alerts.events.rows import Rows
from alerts.events.server import Server
from alerts.events.source import Look
from alerts.models import Alert, AlertRule
from exchanges.models import AuditRun, Symbol
from exchanges.redis.client import make_client
from exchanges.symbols.renaming import rename
from livermore.market import keys
from tests.warmup.runner.test_agents import age, registration
from warmup.runner.agents import deregister, register

pytestmark = pytest.mark.django_db

MINUTE_MS = 60_000


def test_an_agent_that_falls_silent_is_told_once(redis, seen):
    agents = Agents()
    register(redis, registration("a", running=("sandbox",)))
    register(redis, registration("b", pid=8))
    (none,) = seen(agents)["agent_died"]
    assert none.subjects == {}
    age(redis, "a", 11_000)
    died, none = seen(agents)["agent_died"]
    assert died.text == "the agent of host (process 7), which ran sandbox, fell silent"
    assert len(seen(agents)["agent_died"]) == 1
    deregister(redis, "b")  # in order
    (none,) = seen(agents)["agent_died"]
    assert none.subjects[""].startswith(
        "no agent is alive, and 1 exchange shall run: the agent of "
    )


def test_symbols_that_do_not_trade(row, seen):
    Symbol.objects.filter(symbol="BTC-USD").update(status="halted")
    Symbol.objects.filter(is_monitored=False).update(status="delisted")
    found = {kind: event.subjects for kind, (event,) in seen(Rows()).items()}
    assert found == {
        "halted": {"BTC-USD": "it is halted"},
        "delisted": {},
    }


def test_a_symbol_that_is_renamed_is_told_once(row, seen):
    rows = Rows()
    assert "renamed" not in seen(rows)
    rename(row, "ETH-USD", "SOL-USD")  # after which ETH-USD is monitored no more
    (moment,) = seen(rows)["renamed"]
    assert (moment.subject, moment.text) == ("ETH-USD", "it is renamed to SOL-USD")
    assert "renamed" not in seen(rows)
    rename(row, "SOL-USD", "BTC-USD")  # which the first one leads to by now, too
    assert [each.subject for each in seen(rows)["renamed"]] == ["SOL-USD"]


def test_an_audit_that_found_something_until_one_does_not(row, seen):
    now = timezone.now()
    AuditRun.objects.create(exchange=row, started_at=now, ended_at=now, compared=9, differing=2)
    (event,) = seen(Rows())["audit_failed"]
    assert event.subjects == {"": "its audit: of 9 candles 2 differ from what the exchange tells"}
    AuditRun.objects.create(exchange=row, started_at=timezone.now(), ended_at=now, compared=9)
    (event,) = seen(Rows())["audit_failed"]
    assert event.subjects == {}


def test_a_redis_that_is_full_evicts_or_is_away(redis, seen, row):
    def found(name):
        (event,) = seen(Server())[name]
        return event.subjects

    try:
        redis.config_set("maxmemory", 1)
        assert found("redis_writes")[""].startswith("Redis refuses writes: it is full")
        redis.config_set("maxmemory-policy", "allkeys-lru")
        assert "allkeys-lru" in found("redis_evicts")[""]
    finally:
        redis.config_set("maxmemory-policy", "noeviction")
        redis.config_set("maxmemory", 0)
    assert (found("redis_writes"), found("redis_evicts"), found("redis_away")) == ({}, {}, {})


def test_a_redis_that_is_away_is_told_and_nothing_else(row):
    with make_client("redis://127.0.0.1:1") as gone:
        (event,) = Server().look(Look(gone, 0, [row], []))
    assert event.kind == "redis_away" and "does not answer" in event.subjects[""]


def test_an_exchange_of_which_nothing_is_seen(redis, row, seen, no_rules):
    assert seen(Absent())["absent"][0].subjects == {}  # nobody asked
    AlertRule.objects.create(what="absent", exchange=row)
    long_ago_ms = int(1000 * time.time()) - 12 * MINUTE_MS
    redis.xadd(keys.events(row.pk), {"event": "{}"}, id=f"{long_ago_ms}-0")
    (event,) = seen(absent := Absent())["absent"]
    assert event.amounts == {"": pytest.approx(0, abs=0.1)}  # from when on it is looked at
    redis.xadd(keys.events(row.pk), {"event": "{}"})
    (event,) = seen(absent)["absent"]
    assert event.amounts == {"": pytest.approx(0, abs=0.1)}


def test_an_exchange_whose_last_close_is_long_ago(redis, row, no_rules):
    rule = AlertRule.objects.create(what="absent", exchange=row)
    now_ms = int(1000 * time.time())
    redis.xadd(keys.events(row.pk), {"event": "{}"}, id=f"{now_ms - 12 * MINUTE_MS}-0")
    since = {"absent": {str(row.pk): now_ms - 60 * MINUTE_MS}}
    (event,) = Absent().look(Look(redis, now_ms, [row], [rule], since))
    assert event.amounts == {"": pytest.approx(12, abs=0.1)}
    assert event.subjects[""].startswith("nothing was seen for 12 min")


def test_a_pair_of_which_nothing_is_seen(redis, row, no_rules):
    rule = AlertRule.objects.create(
        what="absent", exchange=row, symbols=["BTC-USD"], timeframes=["1m"]
    )
    now_ms = int(1000 * time.time())
    open_ms = now_ms // MINUTE_MS * MINUTE_MS - 20 * MINUTE_MS
    candle = f"[{open_ms},1,1,1,1,1]"
    redis.zadd(keys.candles(row.pk, "BTC-USD", "1m"), {candle: open_ms})
    since = {"absent": {f"{row.pk} BTC-USD 1m": now_ms - 60 * MINUTE_MS}}
    (event,) = Absent().look(Look(redis, now_ms, [row], [rule], since))
    assert event.amounts == {"BTC-USD 1m": pytest.approx(18.5, abs=1)}


@pytest.mark.parametrize("symbols", [[], ["BTC-USD"]], ids=["the whole", "a pair"])
def test_an_exchange_that_is_looked_at_again_after_weeks_is_given_time(
    redis, row, no_rules, symbols
):
    rule = AlertRule.objects.create(what="absent", symbols=symbols, timeframes=["1m"])
    then_ms = int(1000 * time.time()) - 30_000 * MINUTE_MS
    redis.xadd(keys.events(row.pk), {"event": "{}"}, id=f"{then_ms}-0")
    open_ms = then_ms // MINUTE_MS * MINUTE_MS
    redis.zadd(keys.candles(row.pk, "BTC-USD", "1m"), {f"[{open_ms},1,1,1,1,1]": open_ms})
    subject = "BTC-USD 1m" if symbols else ""
    positions = {"absent": {f"{row.pk} {subject}".strip(): then_ms}}
    row.wanted = row.Wanted.STOPPED
    list(Absent().look(Look(redis, then_ms, [row], [rule], positions)))
    row.wanted = row.Wanted.RUNNING
    (event,) = Absent().look(Look(redis, 0, [row], [rule], positions))
    assert event.amounts == {subject: pytest.approx(0, abs=0.1)}


def test_a_digest_is_told_once_a_day_at_its_hour(row, seen, no_rules):
    AlertRule.objects.create(what="digest", threshold=7)
    at = datetime(2026, 11, 29, 6, 0, tzinfo=UTC)
    digests, hours = [], (0, 2, 3, 25, 26)
    for hour in hours:
        found = seen(Digest(), int(1000 * at.timestamp()) + hour * 60 * MINUTE_MS)
        digests.append([event.text for event in found.get("digest", [])])
    assert [len(each) for each in digests] == [0, 1, 0, 1, 0]
    assert digests[1] == ["0 of 1 exchange live; 0 alerts in 24 hours"]


def test_a_digest_names_what_happened_and_what_is_open(row, seen, no_rules):
    AlertRule.objects.create(what="digest", threshold=0)
    now = timezone.now()
    Alert.objects.create(what="ban", text="sandbox: banned", first_seen=now, last_seen=now)
    now_ms = int(1000 * now.timestamp())
    seen(Digest(), now_ms - 24 * 60 * MINUTE_MS)
    ((event,),) = seen(Digest(), now_ms).values()
    assert "1 alert in 24 hours: 1 x an exchange bans this address" in event.text
    assert event.text.endswith("open: sandbox: banned")
