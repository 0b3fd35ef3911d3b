"""Bars that are older than the cache keeps, of which an exchange has few."""

import time
from dataclasses import replace

import pytest

from livermore.market.candle import LATEST_MS
from livermore.market.coverage import subtract
from livermore.market.timeframe import Timeframe
from serving.fetching.stretches import Told
from tests.serving.conftest import KLINES, ROW, FixedDirectory, get, opened

H1, D1 = Timeframe.H1, Timeframe.D1
COINBASE = FixedDirectory(replace(ROW, venue="coinbase"))


@pytest.fixture
def listed(monkeypatch):
    """Return a maker of an exchange that has bars from a time on, and says what it was asked."""

    def listed(since_ms, until_ms=LATEST_MS, unknown=()):
        calls = []

        def fetch_once(number, pair, start_ms, end_ms):
            calls.append((pair.timeframe, start_ms, end_ms))
            step = pair.timeframe.ms
            first_ms = max(start_ms, pair.timeframe.floor(since_ms))
            times = list(range(first_ms, min(end_ms, until_ms), step))
            rows = [[each, 1.5, 2.0, 1.0, 1.25, 3.0] for each in times]
            return Told(times, rows, subtract(((start_ms, end_ms),), unknown))

        monkeypatch.setattr("serving.fetching.stretches.fetch_once", fetch_once)
        return calls

    return listed


def ago(hours):
    return H1.floor(int(time.time() * 1000)) - hours * H1.ms


def test_who_begins_years_before_a_symbol_was_listed_is_given_its_first_bars(ask, redis, listed):
    since_ms = ago(30_007)
    calls = listed(since_ms)
    first, again = get(ask, *[f"{KLINES}&limit=5&startTime={ago(100_000)}"] * 2, directory=COINBASE)
    assert (first[0], opened(first[1])) == (200, [since_ms + n * H1.ms for n in range(5)])
    assert again == first
    assert len(calls) <= 2 + 100_000 // 24 // 300 + 2


@pytest.mark.parametrize("start_ms", [0, 946_684_800_000])
def test_who_begins_before_there_was_anything_is_given_the_first_bars(ask, redis, listed, start_ms):
    since_ms = ago(30_007)
    listed(since_ms)
    ((status, rows),) = get(ask, f"{KLINES}&limit=5&startTime={start_ms}", directory=COINBASE)
    assert (status, opened(rows)) == (200, [since_ms + n * H1.ms for n in range(5)])


def test_where_an_exchange_has_nothing_since_it_is_said_that_there_is_none(ask, redis, listed):
    calls = listed(LATEST_MS)
    since, until_end = get(
        ask,
        f"{KLINES}&limit=5&startTime={ago(20_000)}",
        f"{KLINES}&limit=5&startTime={ago(1500)}&endTime={ago(1300)}",
        directory=COINBASE,
    )
    assert since == until_end == (200, [])
    assert {timeframe for timeframe, *_ in calls} == {H1, D1}


def test_where_a_day_is_not_known_it_is_not_said_that_it_is_empty(ask, redis, listed):
    unknown = D1.floor(ago(15_000))
    listed(ago(3000), unknown=((unknown, unknown + D1.ms),))
    ((status, content),) = get(ask, f"{KLINES}&limit=5&startTime={ago(20_000)}", directory=COINBASE)
    assert status == 503
    assert "the exchange did not tell them" in content["msg"]


def test_where_few_bars_have_a_candle_it_is_said_what_to_ask_for(ask, redis, monkeypatch):
    """One a day, so that no day is empty."""

    def fetch_once(number, pair, start_ms, end_ms):
        times = list(range(D1.ceil(start_ms), end_ms, D1.ms))
        rows = [[each, 1.5, 2.0, 1.0, 1.25, 3.0] for each in times]
        return Told(times, rows, ((start_ms, end_ms),))

    monkeypatch.setattr("serving.fetching.stretches.fetch_once", fetch_once)
    start_ms = D1.floor(ago(40_000))
    many, few, up_to_an_end = get(
        ask,
        f"{KLINES}&limit=1000&startTime={start_ms}",
        f"{KLINES}&limit=10&startTime={start_ms}",
        f"{KLINES}&limit=1000&startTime={start_ms}&endTime={start_ms + 20 * D1.ms - 1}",
        directory=COINBASE,
    )
    assert many[0] == 503
    assert "ask for fewer, for a longer interval, or up to an end that is nearer" in many[1]["msg"]
    assert [(status, len(rows)) for status, rows in (few, up_to_an_end)] == [(200, 10), (200, 20)]


def test_who_is_told_late_goes_on_where_the_search_got_to(ask, redis, listed, monkeypatch):
    since_ms = ago(30_007)
    calls = listed(since_ms)
    monkeypatch.setattr("serving.fetching.stretches.STRETCH_HOLDS_SECONDS", 0.0)
    path = f"{KLINES}&limit=5&startTime={ago(100_000)}"
    first, again = get(ask, path, path, directory=COINBASE)
    assert first == again
    days = [start_ms for timeframe, start_ms, _ in calls if timeframe is D1]
    assert len(days) == len(set(days))


def test_in_place_of_a_few_quiet_bars_no_more_are_asked_for_than_may_be_needed(
    ask, redis, monkeypatch
):
    now_ms = H1.floor(int(time.time() * 1000))
    quiet, last = now_ms - 1400 * H1.ms, []

    def fetch_once(number, pair, start_ms, end_ms):
        last.append(end_ms)
        opened = [each for each in range(start_ms, end_ms, H1.ms) if each != quiet]
        rows = [[each, 1.5, 2.0, 1.0, 1.25, 3.0] for each in opened]
        return Told(opened, rows, ((start_ms, end_ms),))

    monkeypatch.setattr("serving.fetching.stretches.fetch_once", fetch_once)
    start_ms = now_ms - 1500 * H1.ms
    ((status, rows),) = get(ask, f"{KLINES}&limit=1000&startTime={start_ms}", directory=COINBASE)
    assert (status, len(rows)) == (200, 1000)
    assert last[-1] < now_ms - 100 * H1.ms
