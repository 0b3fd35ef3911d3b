"""A whole check: what it tells, what it leaves, and that it may run anywhere."""

import re
import threading
import time
from functools import partial
from io import StringIO

import orjson
import pytest
import redis as redis_client
from django.core.management import call_command
from django.db import connections

from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.status import STATUS_TTL_MS, State, Status, read_status
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.warmup.harness.conftest import (
    WELL,
    everything,
    failures,
    move,
    results,
    row_of,
    step_of,
)
from tests.warmup.harness.faults.told import TICKER
from tests.warmup.runners import ROOT, running, stored, true_rows, wait_until
from warmup.harness import ExchangeCheck
from warmup.harness.check import KINDS
from warmup.harness.facts import Facts
from warmup.harness.report import CheckReport, Result, Step
from warmup.harness.steps.lock import check_lock
from warmup.harness.steps.stored import PreservedStatus
from warmup.harness.terminal import print_check

pytestmark = pytest.mark.django_db
D1 = Timeframe.D1


@pytest.fixture(scope="module")
def in_real_time():
    with SandboxServer(SandboxConfig(coinbase_rate=10**6)) as server:
        yield server


@pytest.mark.parametrize("name", ["sandbox", "coinbase", "kraken", "okx"])
def test_all_is_well_on_both_protocols(redis, sandbox, checked, name):
    row = row_of(sandbox, name)
    report = checked(row)
    assert results(report) == WELL, report.as_json()
    assert report.passed
    assert report.symbol == "BTC-USD"
    rows, coverage = stored(redis, row.pk, "BTC-USD", D1)
    assert rows == true_rows(sandbox, row, "BTC-USD", D1, *coverage[0])
    assert len(rows) == 100


def test_in_real_time_and_with_its_usual_timeouts_it_passes_too(redis, in_real_time):
    row = row_of(in_real_time, "coinbase")  # which tells the last trades at once
    assert results(ExchangeCheck(redis, row, seconds=1).run()) == WELL


def test_a_clock_that_is_wrong_fails_and_stops_nothing_else(redis, in_real_time):
    row = row_of(in_real_time, "coinbase")
    in_real_time.scenarios.add("skew", ms=-5000)
    in_real_time.send_due()
    try:
        report = ExchangeCheck(redis, row, seconds=1).run()
    finally:
        in_real_time.scenarios.clear()
        in_real_time.send_due()
    assert failures(report) == ["clock"]
    step = step_of(report, "clock")
    assert re.search(r"clock is (4\.[5-9]|5\.[0-5])\d s ahead of the exchange's", step.detail)
    assert "timedatectl" in step.remedy


def test_it_leaves_nothing_but_candles(redis, row, checked, sandbox):
    call_command("warmup", "sandbox", "--symbols", "ETH-USD", "--json", stdout=StringIO())
    lease = ExchangeLock(redis, row.pk).acquire()
    lease.report(State.ERROR, "what it ended of")
    lease.release()
    redis.set(keys.ticker(row.pk, "BTC-USD"), orjson.dumps(TICKER.as_json()), px=30_000)
    before = everything(redis, row)
    assert checked(row).passed
    assert everything(redis, row) == before
    assert {keys.warmup_stats(row.pk), keys.warmup_schedule(row.pk)} <= before[0].keys()
    assert redis.exists(keys.candles(row.pk, "BTC-USD", D1), keys.coverage(row.pk, "BTC-USD", D1))
    wait_until(lambda: not sandbox.streams["binance"].open)


def test_the_status_of_whoever_came_since_is_left_alone(redis, row):
    with PreservedStatus(redis, row.pk) as kept:
        lease = ExchangeLock(redis, row.pk).acquire()
        kept.ours(lease.epoch)
        lease.release()
        other = ExchangeLock(redis, row.pk).acquire()
        other.report(State.STARTING)
    assert read_status(redis, row.pk).holder == other.holder


def test_where_nothing_was_there_nothing_is_there_afterwards(redis, coinbase, checked, sandbox):
    redis.flushall()
    before = everything(redis, coinbase)
    assert checked(coinbase).passed
    assert everything(redis, coinbase) == before
    wait_until(lambda: not sandbox.streams["coinbase"].open)


@pytest.mark.parametrize("after", ["symbol", "warmup", "subscription"])
def test_broken_off_it_leaves_nothing_either(redis, row, checked, sandbox, after):
    def interrupt(step):
        if step.name == after:
            raise KeyboardInterrupt

    before = everything(redis, row)
    with pytest.raises(KeyboardInterrupt):
        checked(row, on_step=interrupt)
    assert everything(redis, row) == before
    wait_until(lambda: not sandbox.streams["binance"].open)


def test_the_json_is_what_the_page_reads(row, checked):
    told = []
    report = checked(row, on_step=told.append)
    found = orjson.loads(orjson.dumps(report.as_json()))
    assert {**found, "steps": []} == {
        "exchange": "sandbox",
        "exchangeId": row.pk,
        "symbol": "BTC-USD",
        "passed": True,
        "steps": [],
    }
    assert [step["name"] for step in found["steps"]] == list(WELL)
    assert told == report.steps
    for step in found["steps"]:
        assert step.keys() == {"name", "title", "result", "seconds", "detail", "remedy"}
        assert step["seconds"] >= 0
        assert step["remedy"] is None


class Pipe(StringIO):
    """A pipe whose reader has seen enough."""

    def write(self, text):
        if text:
            raise BrokenPipeError
        return 0


def test_who_reads_no_longer_ends_it_as_any_command_is_ended():
    with pytest.raises(BrokenPipeError):
        print_check(CheckReport("sandbox", 4), Pipe())


def test_the_table_tells_each_step_and_what_to_do():
    steps = [
        Step("row", "row", Result.PASS, 1, "fine"),
        Step("lock", "lock", Result.FAIL, 1, "a", "b"),
    ]
    out = StringIO()
    print_check(CheckReport("sandbox", 4, "BTC-USD", steps), out)
    assert "\x1b" not in out.getvalue()
    assert out.getvalue().splitlines()[-2:] == [
        "to do: lock: b",
        "sandbox with BTC-USD: 1 passed, 1 failed, 0 skipped in 2.0 s",
    ]


@pytest.mark.django_db(transaction=True)
def test_several_run_in_threads_at_once(redis, sandbox, checked):
    rows = [row_of(sandbox, "sandbox"), row_of(sandbox, "coinbase")]
    reports = []

    def run(row):
        try:
            reports.append(checked(row))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=partial(run, row)) for row in [*rows, rows[0]]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [results(report) for report in reports] == [WELL] * 3
    assert not redis.exists(*(keys.lock(row.pk) for row in rows))


@pytest.mark.parametrize("seconds", [0, -1, 301, float("nan")])
def test_seconds_out_of_range_are_refused(redis, seconds):
    with pytest.raises(ValueError, match="1 to 300"):
        ExchangeCheck(redis, None, seconds=seconds)


def test_without_redis_it_says_so_once_and_tries_nothing_more(row, checked, short_timeouts):
    gone = redis_client.Redis(port=1, retry=None)
    report = ExchangeCheck(gone, row, seconds=1).run()
    assert failures(report) == ["clock"]
    assert "Redis does not work" in step_of(report, "clock").detail
    assert results(report)["lock"] == "SKIP"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"is_active": False}, "switched off"),
        ({"rest_url": "https://10.0.0.1"}, "10.0.0.1 is a private"),
        ({"ws_url": "wss://user:geheim@example.com"}, "must not hold a user name"),
        ({"venue": "nowhere"}, "venue: "),
    ],
)
def test_a_row_that_is_not_right_stops_all_that_goes_out(row, checked, sandbox, values, says):
    calls = sandbox.requests.counts.copy()
    report = checked(move(row, **values))
    assert failures(report) == ["row"]
    assert says in step_of(report, "row").detail
    assert "geheim" not in str(report.as_json())
    assert sandbox.requests.counts == calls
    assert sandbox.streams["binance"].connects == 0


def test_a_row_that_was_deleted_meanwhile_is_told(row, checked):
    type(row).objects.filter(pk=row.pk).delete()
    assert failures(checked(row)) == ["row"]


def test_every_step_is_explained_in_the_documents():
    text = (ROOT / "docs/check-exchange.md").read_text().partition("## First contact")[0]
    assert re.findall(r"^\| `([a-z]+)` \| .+ \| .+ \|$", text, re.M) == [
        each.name for each in KINDS
    ]
    assert list(WELL) == [each.name for each in KINDS]


# -- Who has the exchange


@pytest.mark.django_db(transaction=True)
def test_a_live_runner_fetches_for_us_and_goes_on(redis, sandbox, checked):
    row = row_of(sandbox, "sandbox")
    with running(redis, row):
        holder = ExchangeLock(redis, row.pk).holder()
        redis.delete(keys.candles(row.pk, "BTC-USD", D1), keys.coverage(row.pk, "BTC-USD", D1))
        stats = redis.get(keys.warmup_stats(row.pk))
        report = checked(row)
        assert results(report) == WELL, report.as_json()
        assert "by the runner" in step_of(report, "warmup").detail
        assert f"ticker at {keys.ticker(row.pk, 'BTC-USD')}" in step_of(report, "keys").detail
        assert f"held by {holder}: active" in step_of(report, "lock").detail
        assert redis.get(keys.warmup_stats(row.pk)) == stats
        assert ExchangeLock(redis, row.pk).holder() == holder


def test_another_process_keeps_its_lock(redis, row, checked):
    redis.flushall()
    with ExchangeLock(redis, row.pk, ttl_ms=1500, renew_ms=300).acquire() as lease:
        lease.report(State.WARMING, "warmup")
        report = checked(row)
        assert failures(report) == ["warmup"]
        assert str(lease.holder) in step_of(report, "warmup").detail
        assert "start sandbox --take-over" in step_of(report, "warmup").remedy
        assert str(lease.holder) in step_of(report, "lock").detail
        assert lease.may_write()
    assert results(report)["keys"] == "SKIP"


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_holder_whose_clock_is_off_shows_that_it_lives(redis, row, hours):
    with ExchangeLock(redis, row.pk).acquire() as lease:
        told_ms = int((time.time() + hours * 3600) * 1000)
        said = Status(State.ACTIVE, "streaming", None, told_ms, lease.holder)
        redis.set(keys.status(row.pk), orjson.dumps(said.as_json()), px=STATUS_TTL_MS - 7_000)
        found = check_lock(Facts(redis, row, None, 1))
    assert found.detail.endswith("active, streaming, last heard of 7 s ago")


def test_a_holder_without_a_sign_of_life_is_told_and_left_alone(redis, row, checked):
    with ExchangeLock(redis, row.pk, ttl_ms=1500, renew_ms=300).acquire() as lease:
        step = step_of(checked(row), "lock")
        assert step.result == "PASS"
        assert "no sign of life for 45 s" in step.detail
        assert "--take-over" in step.remedy
        assert lease.may_write()


def test_a_lock_that_runs_out_is_waited_for(redis, row, checked):
    ExchangeLock(redis, row.pk, ttl_ms=400, renew_ms=100).acquire()  # and then it died
    assert results(checked(row)) == WELL
    assert not redis.exists(keys.status(row.pk))


@pytest.mark.parametrize("text", [b"mine", b"{}", b"[1]"])
def test_what_is_no_lock_is_told_and_not_waited_for(redis, row, checked, text):
    redis.set(keys.lock(row.pk), text)
    report = checked(row)
    assert failures(report) == ["warmup", "lock"]
    assert keys.lock(row.pk) in step_of(report, "lock").remedy
    assert redis.get(keys.lock(row.pk)) == text


def test_what_is_no_status_is_told(redis, row, checked):
    with ExchangeLock(redis, row.pk, ttl_ms=1500, renew_ms=300).acquire():
        redis.set(keys.status(row.pk), b"{}")
        report = checked(row)
    assert failures(report) == ["warmup", "lock"]
    assert keys.status(row.pk) in step_of(report, "lock").detail


def test_a_lock_without_an_end_is_told_and_not_waited_for(redis, row, checked):
    ExchangeLock(redis, row.pk).acquire()
    redis.persist(keys.lock(row.pk))
    report = checked(row)
    assert failures(report) == ["warmup", "lock"]
    assert "never ends" in step_of(report, "warmup").detail
