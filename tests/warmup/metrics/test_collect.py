"""What Prometheus is told of an exchange, beside what the exchange and its runner really did."""

from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.status import STATUS_TTL_MS, State
from exchanges.models import AuditRun, Exchange
from exchanges.redis.client import make_client, own_client
from exchanges.rest.pacing.budget import Limits
from exchanges.rest.pacing.host import host_of
from exchanges.rest.pacing.weight import WeightPacer
from livermore.market import keys
from livermore.market.naming import Naming, name_as
from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from tests.fixtures.cluster import Cluster
from tests.warmup.runners import (
    SYMBOLS,
    make_row,
    running,
    serve,
    stored,
    wait_until,
)
from warmup.metrics.collect import ExchangeCollector
from warmup.metrics.completeness import Measured
from warmup.processes.report import ProcessReport
from warmup.runner.agents import Registration, register
from warmup.stats import Status as WarmupStatus
from warmup.stats import WarmupStats, WarmupStatsPublisher

STREAM = {
    "frames": 7, "framesPerSecond": 3.5, "connections": 1, "silent": 0, "reconnects": 2,
    "pendingCloses": 4,
    "healing": 5, "polled": 6, "newestClose": 1_790_000_000_000, "exchangeTime": 1_790_000_007_000,
    "historiesWaiting": 6,
}  # fmt: skip
STREAMED = {
    "frames_total", "frames_per_second", "connections", "connections_silent", "reconnects_total",
    "closes_pending",
    "pairs_healing", "pairs_polled", "newest_close_age_seconds", "symbols_unfetched",
}  # fmt: skip


class Scrape:
    """One exchange's values, read as Prometheus does."""

    def __init__(self, redis, name="sandbox"):
        registry = CollectorRegistry(auto_describe=False)
        registry.register(ExchangeCollector(redis, Measured()))
        self._name = name
        self._samples = [
            sample
            for family in text_string_to_metric_families(generate_latest(registry).decode())
            for sample in family.samples
        ]

    def __getitem__(self, name):
        (value,) = self.all(name).values()
        return value

    def all(self, name):
        """Return a metric's values by its other labels."""
        return {
            tuple(
                text for label, text in sample.labels.items() if label != "exchange"
            ): sample.value
            for sample in self._samples
            if sample.name == f"livermore_{name}"
            and sample.labels.get("exchange", self._name) == self._name
        }

    @property
    def told(self):
        """Return the names of the metrics that this exchange has."""
        names = {sample.name.removeprefix("livermore_") for sample in self._samples}
        return {name for name in names if self.all(name)}

    @property
    def state(self):
        (state,) = (name for (name,), value in self.all("exchange_state").items() if value)
        return state


@pytest.fixture
def sandbox():
    with serve() as server:
        yield server


@pytest.fixture
def row(redis, sandbox):
    return make_row(sandbox)


@pytest.fixture
def lease(redis, db):
    """Hold the sandbox's lock without a heartbeat: what is reported is written at once."""
    lease = ExchangeLock(redis, Exchange.objects.get(name="sandbox").pk).acquire()
    yield lease
    lease.release()


@pytest.mark.django_db(transaction=True)
def test_a_live_exchange_is_told_as_it_is(redis, row, sandbox):
    sandbox.scenarios.add("malformed", protocol="binance", way="truncated", chance=0.2)
    with running(redis, row):
        wait_until(lambda: Scrape(redis)["closes_total"] >= 9)
        wait_until(lambda: Scrape(redis).all("frames_refused_total")["not_json",] > 0)
        sandbox.scenarios.clear()
        found = wait_until(
            lambda: (s := Scrape(redis))["closes_total"] > s["closes_healed_total"] and s
        )
        told = redis.xlen(keys.events(row.pk))
        epoch = ExchangeLock(redis, row.pk).holder().epoch
    assert (found.state, found["exchange_up"], found["lock_held"]) == ("active", 1, 1)
    assert found["lock_epoch"] == epoch
    assert 0 <= found["heartbeat_age_seconds"] < 5
    assert (found["connections"], found["reconnects_total"], found["frames_lost_total"]) == (
        1,
        0,
        0,
    )
    assert found["frames_total"] > found["closes_total"]
    assert found["frames_per_second"] > 0
    assert found["closes_total"] <= told
    assert set(found.all("frames_refused_total")) == {
        (reason,) for reason in ("not_json", "missing_field", "wrong_type", "bad_value", "unknown")
    }
    assert found["newest_close_age_seconds"] < 600  # ten minutes of an exchange whose last a second
    assert (found["closes_pending"], found["flush_failures_total"]) == (0, 0)
    assert found["pairs_healing"] >= 0
    assert set(found.all("pairs").items()) == {((each,), len(SYMBOLS)) for each in LONGEST_FIRST}
    assert found.all("coverage_ratio")["1d",] == 1
    assert found["request_weight_used"] > 0
    assert found["request_weight_limit"] == 6000
    assert (found["host_held_seconds"], found["host_banned_seconds"]) == (0, 0)
    assert (found["warmup_percent"], found["warmup_pairs_failed"], found["warmup_error"]) == (
        100,
        0,
        0,
    )


@pytest.mark.django_db(transaction=True)
def test_the_delay_of_every_streamed_close_is_counted(redis, row, sandbox):
    with running(redis, row):
        found = wait_until(lambda: (s := Scrape(redis))["close_delay_seconds_count"] >= 6 and s)
    streamed = found["closes_total"] - found["closes_healed_total"]
    buckets = found.all("close_delay_seconds_bucket")
    assert found["close_delay_seconds_count"] == streamed == buckets["+Inf",]
    assert list(buckets.values()) == sorted(buckets.values())
    assert found["close_delay_seconds_sum"] > 0


@pytest.mark.django_db
def test_what_does_not_trade_is_counted_and_lacks_nothing(redis):
    row = Exchange.objects.get(name="sandbox")
    for symbol, status in (("A", "trading"), ("B", "halted"), ("C", "halted"), ("D", "delisted")):
        row.symbols.create(
            symbol=f"{symbol}-USD", native_symbol=symbol, base=symbol, quote="USD",
            status=status, is_monitored=True,
        )  # fmt: skip
    row.symbols.create(symbol="E-USD", native_symbol="E", base="E", quote="USD")
    found = Scrape(redis)
    assert found.all("symbols") == {
        ("trading",): 1, ("halted",): 2, ("delisted",): 1, ("renamed",): 0
    }  # fmt: skip
    assert set(found.all("pairs").values()) == {1}
    assert set(found.all("pairs_holed").values()) == {1}


@pytest.mark.django_db
def test_an_exchange_that_nobody_runs_is_offline(redis):
    found = Scrape(redis)
    assert (found.state, found["exchange_up"], found["lock_held"]) == ("offline", 0, 0)
    assert len(found.all("exchange_state")) == len(State)
    for name in ("heartbeat_age_seconds", "lock_epoch", "frames_total", "warmup_percent"):
        assert found.all(name) == {}


@pytest.mark.parametrize("state", list(State))
def test_an_exchange_is_up_while_its_runner_has_not_ended(redis, lease, state):
    lease.report(state)
    found = Scrape(redis)
    assert found.state == state
    alive = state in (State.STARTING, State.WARMING, State.ACTIVE, State.STOPPING)
    assert found["exchange_up"] == alive


def test_a_runner_that_fell_silent_is_not_up(redis, lease):
    lease.report(State.ACTIVE)
    redis.pexpire(keys.status(lease.exchange_id), STATUS_TTL_MS - 11_000)
    assert Scrape(redis)["exchange_up"] == 1
    redis.pexpire(keys.status(lease.exchange_id), STATUS_TTL_MS - 13_000)
    found = Scrape(redis)
    assert found["exchange_up"] == 0
    assert 13 <= found["heartbeat_age_seconds"] < 15


def test_of_a_runner_that_fell_silent_nothing_is_told_that_was_true_once(redis, lease):
    lease.report(State.ACTIVE, **STREAM)
    assert Scrape(redis).told >= STREAMED
    redis.pexpire(keys.status(lease.exchange_id), STATUS_TTL_MS - 13_000)
    assert not Scrape(redis).told & STREAMED


@pytest.mark.parametrize("state", [State.ERROR, State.STOPPED])
def test_nor_of_one_that_ended(redis, lease, state):
    lease.report(state, **STREAM)
    assert not Scrape(redis).told & STREAMED


def test_the_newest_close_grows_older_by_redis_clock(redis, lease):
    lease.report(State.ACTIVE, newestClose=1_790_000_000_000, exchangeTime=1_790_000_007_000)
    redis.pexpire(keys.status(lease.exchange_id), STATUS_TTL_MS - 10_000)
    assert 17 <= Scrape(redis)["newest_close_age_seconds"] < 19


@pytest.mark.parametrize(
    "details",
    [{"frames": "many"}, {"frames": [1]}, {"refused": [1]}, {"refused": {"a": "b"}},
     {"closeDelays": 5}, {"closeDelays": {"boundsMs": [1], "counts": [1], "sumMs": 0}},
     {"newestClose": "x", "exchangeTime": 4}, {"exchangeTime": "x"}, {"exchangeTime": 10**17}],
    ids=str,
)  # fmt: skip
def test_details_that_nobody_can_read_spoil_nothing_else(redis, lease, details):
    lease.report(State.ACTIVE, **details)
    found = Scrape(redis)
    assert (found["redis_up"], found["exchange_up"], found.state) == (1, 1, "active")
    assert Scrape(redis, "coinbase")["exchange_up"] == 0


@pytest.mark.django_db
@pytest.mark.parametrize("value", [b"x", b"[]", b"{}", b'{"state":"active"}', b"\xff", ["a list"]])
@pytest.mark.parametrize("name", [keys.status, keys.epoch, keys.warmup_stats, keys.lock])
def test_a_value_that_nobody_can_read_is_missing_alone(redis, caplog, name, value):
    number = Exchange.objects.get(name="sandbox").pk
    redis.set(name(number), value) if isinstance(value, bytes) else redis.rpush(
        name(number), *value
    )
    found, other = Scrape(redis), Scrape(redis, "coinbase")
    assert (found["redis_up"], found["exchange_up"], other["exchange_up"]) == (1, 0, 0)
    assert found.told >= other.told - {"lock_held"}
    assert ("metrics.unreadable exchange=sandbox" in caplog.text) is (name != keys.lock)


@pytest.mark.django_db
def test_pacing_that_nobody_can_read_is_missing_alone(redis):
    redis.set(keys.pacing(host_of(Exchange.objects.get(name="binance").rest_url)), "x")
    found = Scrape(redis, "binance")
    assert (found["redis_up"], found.all("request_weight_used")) == (1, {})
    assert set(found.all("pairs")) == {(each,) for each in LONGEST_FIRST}


def test_a_reason_may_be_called_anything(redis, lease):
    reason = 'a "b"\n\\ é'
    lease.report(State.ACTIVE, refused={reason: 3})
    assert Scrape(redis).all("frames_refused_total") == {(reason,): 3}


def test_the_epoch_rises_with_each_holder(redis, lease):
    before = Scrape(redis)["lock_epoch"]
    with ExchangeLock(redis, lease.exchange_id).take_over(lease.holder.instance_id, "a test"):
        assert Scrape(redis)["lock_epoch"] > before


def test_the_age_of_the_newest_close_is_by_the_exchanges_clock(redis, lease):
    lease.report(State.ACTIVE, newestClose=1_790_000_000_000, exchangeTime=1_790_000_007_000)
    assert 7 <= Scrape(redis)["newest_close_age_seconds"] < 9


@pytest.mark.django_db(transaction=True)
def test_a_hole_is_counted_where_it_is(redis, row):
    symbol, timeframe = SYMBOLS[0], Timeframe.H1
    with running(redis, row):
        pass
    _, coverage = stored(redis, row.pk, symbol, timeframe)
    (start_ms, end_ms), hole_ms = coverage[0], coverage[0][0] + 40 * timeframe.ms
    holed = [[start_ms, hole_ms], [hole_ms + 3 * timeframe.ms, end_ms]]
    redis.set(keys.coverage(row.pk, symbol, timeframe), orjson.dumps(holed))
    redis.set(keys.status(row.pk), _status_at(redis, row, end_ms + 2 * 60_000), px=STATUS_TTL_MS)
    found = Scrape(redis)
    assert found.all("pairs_holed")["1h",] == 1
    assert found.all("pairs_stale")["1h",] == 0
    assert found.all("periods_missing")["1h",] == 3
    assert 0.98 < found.all("coverage_ratio")["1h",] < 1


def _status_at(redis, row, time_ms):
    """Return the status of somebody who says that it is this time at the exchange."""
    status = orjson.loads(redis.get(keys.status(row.pk)))
    return orjson.dumps(status | {"exchangeTime": time_ms})


@pytest.mark.django_db
def test_a_ban_and_the_weight_of_every_process_are_told(redis):
    host = host_of(Exchange.objects.get(name="binance").rest_url)
    pacer = WeightPacer(redis, host, Limits(1200, 6000))
    pacer.observe_weight(77)
    pacer.hold(30)
    pacer.ban(600)
    found = Scrape(redis, "binance")
    assert (found["request_weight_used"], found.all("request_weight_limit")) == (77, {})
    assert 29 < found["host_held_seconds"] <= 30
    assert 599 < found["host_banned_seconds"] <= 600


@pytest.mark.django_db
def test_where_no_weight_is_kept_none_is_told(redis):
    found = Scrape(redis, "coinbase")
    assert found.all("request_weight_used") == found.all("request_weight_limit") == {}


@pytest.mark.django_db
def test_a_warmup_that_ended_in_an_error_is_told(redis):
    stats = WarmupStats(Exchange.objects.get(name="sandbox").pk)
    with WarmupStatsPublisher(redis, stats):
        stats.status, stats.total, stats.completed, stats.failed = WarmupStatus.EXECUTING, 10, 3, 1
        stats.finish("the exchange is gone")
    found = Scrape(redis)
    assert (found["warmup_percent"], found["warmup_pairs_failed"], found["warmup_error"]) == (
        40,
        1,
        1,
    )


@pytest.mark.django_db
@pytest.mark.parametrize("where", ["measure", "put_status", "read_usage", "put_symbols"])
def test_a_fault_of_ours_costs_one_exchange_alone_and_is_logged_once(
    redis, caplog, monkeypatch, where
):
    import warmup.metrics.collect

    right = getattr(warmup.metrics.collect, where)
    number = Exchange.objects.get(name="sandbox")
    of_sandbox = {number.pk, number.name, number, host_of(number.rest_url)}

    def faulty(*arguments, **named):
        if of_sandbox & {each for each in arguments if isinstance(each, int | str | Exchange)}:
            raise OverflowError("cannot convert float infinity to integer")
        return right(*arguments, **named)

    monkeypatch.setattr(warmup.metrics.collect, where, faulty)
    collector = ExchangeCollector(redis, Measured())
    for _ in range(2):
        families = {family.name: family for family in collector.collect()}
    told = {
        name: {sample.labels.get("exchange") for sample in family.samples}
        for name, family in families.items()
    }
    assert families["livermore_redis_up"].samples[0].value == 1
    of_what = {"measure": "coverage_ratio", "read_usage": "request_weight_limit"}
    lacks = of_what.get(where, "symbols" if where == "put_symbols" else "exchange_up")
    assert "sandbox" not in told[f"livermore_{lacks}"]
    others = Exchange.objects.filter(is_active=True).exclude(name="sandbox")
    if where != "read_usage":
        assert {each.name for each in others} <= told[f"livermore_{lacks}"]
    assert {each.name for each in others} <= told["livermore_exchange_up"]
    [said] = [r for r in caplog.records if "metrics.unreadable" in r.getMessage()]
    assert said.exc_info and "exchange=sandbox" in said.getMessage()


def test_what_the_processes_of_agents_take_is_told(redis, db):
    takes = ProcessReport(8, ("sandbox", "coinbase"), 1.5, 30_000_000, 9)
    idle = ProcessReport(9)
    for started_at in (1, 2):  # of one that was killed, too
        agent = Registration(f"of-{started_at}", "host", "10.0.0.1", 7, started_at, 0)
        register(redis, replace(agent, running=takes.running, processes=(takes, idle)))
    scrape = Scrape(redis)
    labels = ("coinbase,sandbox", "host")
    assert scrape.all("agent_process_memory_bytes") == {labels: 30_000_000}
    assert scrape.all("agent_process_cpu_seconds_total") == {labels: 1.5}
    assert scrape.all("agent_process_threads") == {labels: 9}
    assert scrape.all("agents_alive") == {(): 2}


@pytest.fixture
def tagged():
    """Let an exchange be on one node, as where REDIS_URL names a Cluster."""
    before = name_as(Naming("", True))
    yield
    name_as(before)


def test_of_a_cluster_that_lacks_a_node_the_exchanges_on_others_are_told(db, tagged, tmp_path):
    names = [f"exchange-{number}" for number in range(6)]
    Exchange.objects.update(is_active=False)
    rows = {name: Exchange.objects.create(name=name, venue="sandbox") for name in names}
    with (
        Cluster(tmp_path) as whole,
        own_client(make_client(whole.url), 1.0) as redis,
    ):
        for row in rows.values():
            ExchangeLock(redis, row.pk).acquire()
        assert all(Scrape(redis, name)["lock_held"] == 1 for name in names)
        nodes = {name: whole.owner_of(keys.lock(row.pk)) for name, row in rows.items()}
        dead = nodes[names[0]]
        dead.kill()
        told = Scrape(redis, names[0])
        assert told.all("redis_up") == {(): 0}
        assert told.all("lock_held") == {}
        assert told.all("exchange_state") == {}
        for name in (name for name, node in nodes.items() if node is not dead):
            assert Scrape(redis, name)["lock_held"] == 1


@pytest.mark.django_db
def test_the_last_audit_is_told(redis):
    row = Exchange.objects.get(name="sandbox")
    ended_at = timezone.now() - timedelta(hours=2)
    found = {"compared": 500, "differing": 3, "unknown": 1, "second": row, "second_beyond": 2}
    AuditRun.objects.create(exchange=row, started_at=ended_at, ended_at=ended_at, **found)
    AuditRun.objects.create(exchange=row, started_at=timezone.now())  # is under way
    scrape = Scrape(redis)
    assert 7200 <= scrape["audit_age_seconds"] < 7300
    names = ("compared", "differing", "unknown", "second_beyond")
    assert [scrape[f"audit_{name}"] for name in names] == [500, 3, 1, 2]
    assert Scrape(redis, "binance").all("audit_compared") == {}
