"""A Redis or a database that is not what it should be: told in a line, and no passed check."""

import json

import pytest
from django.db import OperationalError

from exchanges.errors import one_line
from exchanges.rest.pacing.host import host_of
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.warmup.harness.conftest import failures, results, step_of
from tests.warmup.metrics.test_redis_server import configure  # noqa: F401  a fixture
from warmup.harness.steps import symbol

pytestmark = pytest.mark.django_db
D1 = Timeframe.D1
LOCK = {
    "instanceId": "i",
    "epoch": 5,
    "hostname": "else\nwhere",
    "ip": "10.0.0.7",
    "pid": 7,
    "connectedSince": 1_790_000_000_000,
}


def text_of(report, name):
    step = step_of(report, name)
    assert "\n" not in f"{step.detail}{step.remedy}"
    return f"{step.detail} | {step.remedy}"


@pytest.mark.parametrize(
    ("named", "failed"),
    [
        (lambda row: keys.candles(row.pk, "BTC-USD", D1), ["warmup", "keys"]),
        (lambda row: keys.coverage(row.pk, "BTC-USD", D1), ["warmup", "keys"]),
        (lambda row: keys.epoch(row.pk), ["warmup"]),
        (lambda row: keys.lock(row.pk), ["warmup", "lock"]),
        (lambda row: keys.status(row.pk), ["warmup"]),
        (lambda row: keys.ticker(row.pk, "BTC-USD"), ["keys"]),
        (lambda row: keys.pacing(host_of(row.rest_url)), ["clock"]),
    ],
    ids=["candles", "coverage", "epoch", "lock", "status", "ticker", "pacing"],
)
def test_a_key_of_another_type_is_named_where_it_is_in_the_way(redis, row, checked, named, failed):
    name = named(row)
    redis.delete(name)
    redis.rpush(name, "mine")
    report = checked(row)
    assert set(failed) <= set(failures(report))
    assert f"{name} is a list, not a " in text_of(report, failed[0])
    assert "delete" in step_of(report, failed[0]).remedy
    assert redis.lrange(name, 0, -1) == [b"mine"]
    assert not redis.exists(keys.lock(row.pk)) or name == keys.lock(row.pk)


def test_a_status_that_no_livermore_wrote_is_told_and_left_there(redis, row, checked):
    redis.set(keys.status(row.pk), b"mine")
    report = checked(row)
    assert failures(report) == ["lock"]
    assert f"what is in {keys.status(row.pk)} can't be read" in text_of(report, "lock")
    assert redis.get(keys.status(row.pk)) == b"mine"


@pytest.mark.parametrize("text", ["hello", str(2**63 - 1)])
def test_an_epoch_that_is_no_number_is_named(redis, row, checked, text):
    redis.set(keys.epoch(row.pk), text)
    report = checked(row)
    assert "warmup" in failures(report)
    assert f"{keys.epoch(row.pk)} is no number" in text_of(report, "warmup")


@pytest.mark.parametrize(
    "odd",
    [
        {"connectedSince": "x"},
        {"connectedSince": 10**30},
        {"connectedSince": 10**17},
        {"hostname": "a\x1b[31m"},
    ],
)
def test_a_lock_that_no_livermore_wrote_is_told_in_one_line(redis, row, checked, odd):
    redis.set(keys.lock(row.pk), json.dumps(LOCK | odd))
    report = checked(row)
    assert failures(report) == ["warmup", "lock"]
    assert "find out who did" in text_of(report, "lock")
    assert redis.exists(keys.lock(row.pk))


def test_a_lock_that_lasts_longer_than_any_of_ours_is_not_waited_for(redis, row, checked):
    redis.set(keys.lock(row.pk), json.dumps(LOCK), ex=3600)
    report = checked(row)
    assert failures(report) == ["warmup", "lock"]
    assert "held by else where (10.0.0.7)" in text_of(report, "lock")
    assert "lasts 3600 s" in text_of(report, "lock")


@pytest.mark.parametrize(
    ("name_of", "says"),
    [
        (keys.candles, "was warmed a moment ago, and is gone"),
        (keys.coverage, "there is no coverage beside the candles"),
    ],
    ids=["candles", "coverage"],
)
def test_what_is_deleted_behind_our_back_is_no_passed_check(redis, row, checked, name_of, says):
    def interfere(step):
        if step.name == "warmup":
            redis.delete(name_of(row.pk, "BTC-USD", D1))

    report = checked(row, on_step=interfere)
    assert failures(report) == ["keys"]
    assert says in text_of(report, "keys")


@pytest.mark.parametrize(
    ("policy", "result"), [("allkeys-lru", "FAIL"), ("volatile-lru", "PASS"), ("noeviction", None)]
)
def test_a_redis_that_drops_keys_is_told(redis, row, checked, configure, policy, result):  # noqa: F811
    configure(maxmemory="1gb", maxmemory_policy=policy)
    report = checked(row)
    step = step_of(report, "keys")
    assert step.result == (result or "PASS")
    assert report.passed == (result != "FAIL")
    assert bool(step.remedy) == bool(result)
    assert not result or "noeviction" in step.remedy


def test_a_redis_that_is_full_is_told(row, checked, configure):  # noqa: F811
    configure(maxmemory=1, maxmemory_policy="noeviction")
    report = checked(row)
    assert failures(report) == ["clock"]
    assert "maxmemory" in step_of(report, "clock").remedy
    assert results(report)["lock"] == "SKIP"


def test_a_replica_is_told(redis, row, checked):
    redis.replicaof("127.0.0.1", "1")
    try:
        report = checked(row)
    finally:
        redis.replicaof("no", "one")
    assert failures(report) == ["clock"]
    assert "it is a replica" in step_of(report, "clock").remedy


def test_names_that_are_no_text_are_told(redis, row, checked):
    redis.set(b"candles:\xff:BTC-USD:1d", b"")
    report = checked(row)
    assert failures(report) == ["keys"]
    assert r"candles:\xff:BTC-USD:1d holds more than" in text_of(report, "keys")


def test_candles_whose_rows_were_refused_lack_coverage_by_right(redis, sandbox, row, checked):
    def refuse(step):
        if step.name == "symbol":
            redis.zadd(keys.candles(row.pk, "BTC-USD", D1), {b"[1795046400000,1,2,1,2,3]": 0})
            redis.zremrangebyscore(keys.candles(row.pk, "BTC-USD", D1), 0, 0)
            sandbox.faults.add("status", status=404, endpoint="klines")

    redis.zadd(
        keys.candles(row.pk, "BTC-USD", D1), {b"[1794873600000,1,2,1,2,3]": 1_794_873_600_000}
    )
    assert failures(checked(row, on_step=refuse)) == ["warmup"]


def test_a_database_that_goes_away_is_told(row, checked, monkeypatch):
    def gone(*_arguments):
        raise OperationalError('connection to server at "db" failed\nIs it running?')

    monkeypatch.setattr(symbol, "_is_known", gone)
    report = checked(row)
    assert failures(report) == ["symbol"]
    assert "the database does not work: connection to" in text_of(report, "symbol")
    assert "DATABASE_URL" in step_of(report, "symbol").remedy
    assert results(report)["warmup"] == "SKIP"


def test_a_fault_of_our_own_is_told_without_what_may_be_a_secret(row, checked, monkeypatch):
    def broken(*_arguments):
        raise RuntimeError("geheim")

    monkeypatch.setattr(symbol, "_is_known", broken)
    report = checked(row)
    assert failures(report) == ["symbol"]
    assert "a fault of Livermore's own: RuntimeError" in text_of(report, "symbol")
    assert "geheim" not in str(report.as_json())


def test_whatever_others_wrote_is_shown_on_one_line():
    assert one_line("a\nb\x1b[31m\tc") == "a b?[31m c"
