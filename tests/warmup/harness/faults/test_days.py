"""Candles of days that are not what they should be."""

import re

import orjson
import pytest

from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.symbols import CHEAP, DEFAULT
from exchanges.venues.binance.rest import BinanceRest
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.warmup.harness.conftest import (
    HALF_A_DAY_MS,
    WELL,
    failures,
    results,
    row_of,
    step_of,
)
from tests.warmup.harness.faults.told import lines
from tests.warmup.runners import MIDNIGHT_MS, serve, stored
from warmup.harness.steps import candles

pytestmark = pytest.mark.django_db


def test_a_day_that_the_exchange_tells_otherwise_now_is_found(redis, sandbox, row, checked):
    assert checked(row).passed
    sandbox.faults.add("holes", endpoint="klines", open_times=[newest_day(redis, row)], times=1)
    report = checked(row)  # the cache still holds the day that REST leaves out once
    assert failures(report) == []
    sandbox.faults.add("holes", endpoint="klines", open_times=[newest_day(redis, row)])
    report = checked(row)
    assert failures(report) == ["warmup"]
    assert "the cache holds" in lines(step_of(report, "warmup"))
    assert "./run repair sandbox" in step_of(report, "warmup").remedy


def newest_day(redis, row):
    return stored(redis, row.pk, "BTC-USD", Timeframe.D1)[0][-1][0]


def test_a_market_that_stood_still_yesterday_is_found(redis, sandbox, row, checked):
    assert checked(row).passed
    newest = newest_day(redis, row)
    redis.flushall()
    sandbox.faults.add("holes", endpoint="klines", open_times=[newest])
    report = checked(row)
    assert failures(report) == ["warmup"]
    assert "yesterday was 2026-11-17" in lines(step_of(report, "warmup"))


def test_just_after_midnight_the_day_that_ended_may_still_be_on_its_way(redis, checked):
    with serve(start_ms=MIDNIGHT_MS + 60_000, speed=1, listings=DEFAULT) as sandbox:
        yesterday = MIDNIGHT_MS - Timeframe.D1.ms
        sandbox.faults.add("holes", endpoint="candles", open_times=[yesterday])
        report = checked(row_of(sandbox, "coinbase"))
    assert results(report) == WELL
    assert "the newest 2026-11-17" in step_of(report, "warmup").detail


def test_a_day_that_is_not_over_is_found(redis, sandbox, row, checked):
    today = Timeframe.D1.floor(sandbox.clock.now_ms())
    text = orjson.dumps([today, 1.0, 2.0, 1.0, 2.0, 3.0])
    redis.zadd(keys.candles(row.pk, "BTC-USD", Timeframe.D1), {text: today})
    report = checked(row)
    assert failures(report) == ["warmup"]
    assert "the newest day, 2026-11-18, is not over there" in lines(step_of(report, "warmup"))


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_days_that_rest_leaves_out_are_found(redis, sandbox, checked, name):
    row = row_of(sandbox, name)
    assert checked(row).passed
    redis.flushall()
    endpoint = "klines" if name == "sandbox" else "candles"
    missing = [MIDNIGHT_MS - days * Timeframe.D1.ms for days in (20, 40)]
    sandbox.faults.add("holes", endpoint=endpoint, open_times=missing)
    report = checked(row)
    assert failures(report) == ["warmup"]
    text = lines(step_of(report, "warmup"))
    assert "missing among the newest 100 days: 2, the last of them 2026-10-30, and REST" in text
    assert "--symbol" in text


def test_days_that_the_cache_has_lost_since_are_to_be_repaired(redis, row, checked, monkeypatch):
    assert checked(row).passed
    [hole] = redis.zrange(keys.candles(row.pk, "BTC-USD", Timeframe.D1), 50, 50)
    at = orjson.loads(hole)[0]

    def lose(*arguments):  # after it was written, before it is looked at
        redis.zrem(keys.candles(row.pk, "BTC-USD", Timeframe.D1), hole)
        coverage = [[at - 50 * Timeframe.D1.ms, at], [at + Timeframe.D1.ms, at + 2**40]]
        redis.set(keys.coverage(row.pk, "BTC-USD", Timeframe.D1), orjson.dumps(coverage))

    monkeypatch.setattr(candles, "_refuse_bad", lose)
    report = checked(row)
    assert "warmup" in failures(report)
    assert "./run repair sandbox" in step_of(report, "warmup").remedy


def test_a_newest_day_with_other_numbers_is_found(redis, row, checked, monkeypatch):
    name = keys.candles(row.pk, "BTC-USD", Timeframe.D1)

    def alter(*arguments):  # after it was written, before it is looked at
        [newest] = redis.zrange(name, -1, -1)
        values = orjson.loads(newest)
        redis.zrem(name, newest)
        redis.zadd(name, {orjson.dumps([*values[:5], values[5] + 1]): values[0]})

    monkeypatch.setattr(candles, "_refuse_bad", alter)
    report = checked(row)
    assert failures(report) == ["warmup"]
    assert "the cache holds" in lines(step_of(report, "warmup"))


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_prices_far_below_a_cent_are_told_without_an_exponent(redis, checked, monkeypatch, name):
    with serve(start_ms=MIDNIGHT_MS - HALF_A_DAY_MS, speed=240, listings=(CHEAP,)) as sandbox:
        row = row_of(sandbox, name)
        key = keys.candles(row.pk, CHEAP.symbol, Timeframe.D1)

        def alter(*arguments):
            [newest] = redis.zrange(key, -1, -1)
            values = orjson.loads(newest)
            redis.zrem(key, newest)
            redis.zadd(key, {orjson.dumps([*values[:3], values[3] / 2, *values[4:]]): values[0]})

        monkeypatch.setattr(candles, "_refuse_bad", alter)
        step = step_of(checked(row, CHEAP.symbol), "warmup")
    assert re.search(r"REST tells \[\d+, 0\.000000[1-9]\d+,.* the cache holds", step.detail)
    assert not re.search(r"\de-", step.detail)


def test_days_that_begin_later_than_it_is_are_found(row, checked, monkeypatch):
    real = BinanceRest.get_candles

    def ahead(self, *arguments, **options):
        found = real(self, *arguments, **options)
        found.runs_ahead = True
        return found

    monkeypatch.setattr(BinanceRest, "get_candles", ahead)
    report = checked(row)
    assert failures(report) == ["warmup"]
    assert "its clock disagree" in lines(step_of(report, "warmup"))


def test_too_few_days_are_found_where_there_are_more(row, checked, monkeypatch):
    monkeypatch.setattr(candles, "MIN_CANDLE_THRESHOLD", 101)
    report = checked(row)
    assert failures(report) == ["warmup"]
    assert "100 days are cached, and REST should have more" in lines(step_of(report, "warmup"))


def test_a_market_with_a_short_history_has_all_there_is(redis, checked, short_timeouts):
    day = Timeframe.D1.ms
    young = Listing("BTC-USD", "67012.37", lot=20_000, listed_ms=MIDNIGHT_MS - 20 * day)
    with serve(start_ms=MIDNIGHT_MS - day // 2, listings=(young,)) as sandbox:
        report = checked(row_of(sandbox, "sandbox"))
    assert results(report) == WELL
    assert "19 closed days" in step_of(report, "warmup").detail
