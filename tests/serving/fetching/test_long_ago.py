"""Bars that are older than the cache keeps, of which an exchange has few."""

import time
from dataclasses import replace

from livermore.market.timeframe import Timeframe
from serving.fetching.stretches import Told
from tests.serving.conftest import KLINES, ROW, FixedDirectory, get

H1 = Timeframe.H1


def test_bars_long_ago_that_have_no_candle_are_not_all_there_are(ask, redis, monkeypatch):
    calls = []

    def fetch_once(number, pair, start_ms, end_ms):
        calls.append((start_ms, end_ms))
        return Told([], [], ((start_ms, end_ms),))

    monkeypatch.setattr("serving.fetching.stretches.fetch_once", fetch_once)
    coinbase = FixedDirectory(replace(ROW, venue="coinbase"))
    now_ms = H1.floor(int(time.time() * 1000))
    before, short = (now_ms - hours * H1.ms for hours in (20_000, 1500))
    listed_later, none_at_all = get(
        ask,
        f"{KLINES}&limit=5&startTime={before}",
        f"{KLINES}&limit=5&startTime={short}&endTime={short + 200 * H1.ms}",
        directory=coinbase,
    )
    assert listed_later[0] == 503
    assert "begin later" in listed_later[1]["msg"]
    assert none_at_all == (200, [])
    assert len(calls) == 4  # however long ago


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
    coinbase = FixedDirectory(replace(ROW, venue="coinbase"))
    start_ms = now_ms - 1500 * H1.ms
    ((status, rows),) = get(ask, f"{KLINES}&limit=1000&startTime={start_ms}", directory=coinbase)
    assert (status, len(rows)) == (200, 1000)
    assert last[-1] < now_ms - 100 * H1.ms
