"""Kraken from listing to stream against the sandbox, with what is unsure of it both ways."""

from contextlib import closing

import pytest

from exchanges.adapters import open_rest
from exchanges.stream import connection
from livermore.market import keys
from livermore.market.pair import Pair
from livermore.market.timeframe import MINUTE_MS, Timeframe
from tests.exchanges.venues.kept_live import (
    connected,
    live_beyond_midnight,
    preset_that_waits,
    warm_twice,
)
from tests.warmup.runners import (
    MIDNIGHT_MS,
    Comparison,
    chosen,
    events_of,
    hurry,
    running,
    serve,
    step_often,
    wait_until,
)
from warmup.cache.candles import CandleCache
from warmup.live.pairs import concluded
from warmup.repair import CandleRepair

LIVELY, QUIET = "BTC-USD", "DASH-USD"
SYMBOLS = [LIVELY, QUIET]
LIMITS = {"kraken_calls": 10**6, "kraken_connects_per_10_minutes": 10**3}
DEPTH = 720
M1 = Timeframe.M1
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def speed():
    return 120  # two minutes a second


@pytest.fixture
def server(speed):
    with serve(listings=chosen(SYMBOLS), speed=speed, **LIMITS) as one:
        yield one


@pytest.fixture
def exchange(redis, server):
    return connected("kraken", server, SYMBOLS, "/v2", batch_size=20, batch_delay_ms=0)


def test_the_preset_waits_until_a_person_activates_it():
    row = preset_that_waits("kraken")
    assert row.pacing == "batch"
    assert (row.batch_size, row.batch_delay_ms) == (1, 1112)  # a call a second, and some room
    assert row.depth_rows == DEPTH


@pytest.mark.parametrize("speed", [0])
def test_all_is_warmed_from_nothing_by_a_call_each_and_then_by_none(redis, server, exchange):
    warm_twice(redis, server, exchange, SYMBOLS, least_rows=100)


@pytest.mark.parametrize("speed", [0])
def test_after_a_day_away_what_has_gone_is_known_to_be_lost_and_asked_for_no_more(
    redis, server, exchange
):
    cache = CandleCache(redis, exchange.pk)
    with closing(open_rest(exchange)) as rest:
        repair = CandleRepair(redis, exchange.pk, rest)
        repair.repair([LIVELY], [M1])
        [(_, left_ms)] = cache.coverage(LIVELY, M1)
        server.clock.advance(800 * MINUTE_MS)
        rest.clock.settle()
        told_ms = M1.floor(server.clock.now_ms()) - DEPTH * MINUTE_MS
        for calls in (1, 0):
            before = rest.candle_calls
            report = repair.repair([LIVELY], [M1])
            assert rest.candle_calls - before == calls
            assert [(each["from"], each["to"]) for each in report.too_old] == [(left_ms, told_ms)]
        known = cache.coverage(LIVELY, M1)
    assert [start for start, _ in known] == [known[0][0], told_ms]
    assert cache.unconfirmed() == {}


def test_a_runner_that_was_away_for_longer_than_is_told_goes_on_and_asks_for_nothing_lost(
    redis, server, exchange, monkeypatch
):
    step_often(monkeypatch)
    cache, pair = CandleCache(redis, exchange.pk), Pair(LIVELY, M1)

    def told_ms():
        mark = cache.told([pair]).get(pair)
        return mark.until_ms if mark and not mark.skipped else 0

    def asked():
        calls = server.requests.candles
        return [each.start_ms for each in calls if (each.symbol, each.timeframe) == pair]

    with running(redis, exchange, [LIVELY]):
        wait_until(lambda: told_ms() > server.clock.now_ms() - 3 * MINUTE_MS)
    left_ms = cache.coverage(LIVELY, M1)[-1][1]
    server.clock.advance(900 * MINUTE_MS)
    back_ms = server.clock.now_ms()
    server.requests.reset()
    with running(redis, exchange, [LIVELY]):
        wait_until(lambda: told_ms() > back_ms + 3 * MINUTE_MS)
        count = len(asked())
        wait_until(lambda: told_ms() > back_ms + 8 * MINUTE_MS)
        # Nobody goes on asking for it; of a bar that is late by 40 ms it is asked at this speed.
        assert all(each >= back_ms for each in asked()[count:])
    (_, until_ms), (from_ms, _) = cache.coverage(LIVELY, M1)[-2:]
    assert until_ms == left_ms
    assert back_ms - (DEPTH + 1) * MINUTE_MS < from_ms <= back_ms - (DEPTH - 5) * MINUTE_MS
    assert min(asked()) > back_ms - (DEPTH + 2) * MINUTE_MS


def test_all_is_streamed_beyond_midnight_by_minutes_alone(redis, server, exchange, monkeypatch):
    step_often(monkeypatch)
    with live_beyond_midnight(redis, server, exchange, SYMBOLS, minutes=4) as faults:
        assert faults() == []
        wait_until(lambda: all(redis.get(keys.ticker(exchange.pk, one)) for one in SYMBOLS))
        assert server.streams["kraken"].open == 1
    events = events_of(redis, exchange.pk)
    assert sum(not each["healed"] for each in events[LIVELY, "1m"]) >= 3
    assert (LIVELY, "1d") in events


@pytest.mark.parametrize("scenario", [
    {"kind": "late_close", "delay": 20, "chance": 0.4},  # what a bar came to, after its end
    {"kind": "malformed", "chance": 0.2},
], ids=lambda one: one["kind"])  # fmt: skip
def test_whatever_frames_come_or_not_the_cache_is_the_truth(
    redis, server, exchange, monkeypatch, scenario
):
    step_often(monkeypatch)
    happened = server.scenarios.add(**scenario, protocol="kraken")
    with live_beyond_midnight(redis, server, exchange, SYMBOLS, minutes=3) as faults:
        server.scenarios.clear()
        # A bar that was told to be closed, and is another one, is told once more: until it is
        # fetched it is not known.
        wait_until(lambda: all("told twice" in each for each in faults()), seconds=20)
    assert happened.hits


def test_what_the_stream_never_told_of_a_bar_is_found_by_holding_it_against_rest(
    redis, server, exchange, monkeypatch
):
    step_often(monkeypatch)
    monkeypatch.setattr(concluded, "CHECK_MS", 2 * MINUTE_MS)
    monkeypatch.setattr(concluded, "FIRST_CHECK_MS", 2 * MINUTE_MS)
    happened = server.scenarios.add("missing_close", chance=0.5, protocol="kraken")
    with live_beyond_midnight(redis, server, exchange, SYMBOLS, minutes=3) as faults:
        wait_until(lambda: happened.hits)
        server.scenarios.clear()
        wait_until(lambda: all("told twice" in each for each in faults()), seconds=20)


@pytest.mark.parametrize("scenario", [
    {"kind": "drop", "every": 0.6, "times": 2},
    {"kind": "silence", "every": 0.6, "times": 1, "seconds": 3, "sockets": "old"},
    {"kind": "refuse_subscription", "symbol": QUIET},
], ids=lambda one: one["kind"])  # fmt: skip
def test_whatever_happens_to_connections_the_cache_is_the_truth(
    redis, server, exchange, monkeypatch, scenario
):
    step_often(monkeypatch)
    hurry(monkeypatch)
    monkeypatch.setattr(connection, "SILENCE_SECONDS", 3)  # its heartbeats are a second apart
    monkeypatch.setattr(connection, "STALL_SECONDS", 2)  # four minutes here
    happened = server.scenarios.add(**scenario, protocol="kraken")
    with live_beyond_midnight(redis, server, exchange, SYMBOLS, minutes=5) as faults:
        assert faults() == []
    assert happened.hits


def test_what_a_deaf_connection_told_is_found_out_by_the_next_one(
    redis, server, exchange, monkeypatch
):
    step_often(monkeypatch)
    hurry(monkeypatch)
    monkeypatch.setattr(connection, "SILENCE_SECONDS", 3)  # its heartbeats are a second apart
    truth = Comparison(redis, server, exchange, SYMBOLS)
    with running(redis, exchange, SYMBOLS):
        live_ms = server.clock.now_ms()
        truth.wait(max(live_ms, MIDNIGHT_MS) + 2 * MINUTE_MS)
        # It answers pings with the time, and sends heartbeats: all seem to lie flat.
        happened = server.scenarios.add("answers_only", sockets="old", protocol="kraken")
        wait_until(lambda: happened.hits)
        wait_until(lambda: server.streams["kraken"].connects > 1)
        truth.wait(server.clock.now_ms() + 2 * MINUTE_MS)

        def faults():
            return [one for one in truth.faults(since_ms=live_ms) if "told twice" not in one]

        wait_until(lambda: not faults(), seconds=10)
