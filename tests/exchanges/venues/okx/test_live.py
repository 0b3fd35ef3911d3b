"""OKX from listing to stream against the sandbox, with all that is unsure of it both ways."""

from contextlib import closing

import pytest

from exchanges.adapters import open_rest
from exchanges.models import Exchange
from exchanges.symbols.fetch_listing import fetch_listing
from exchanges.symbols.monitoring import monitor
from livermore.market import keys
from livermore.market.timeframe import LONGEST_FIRST
from tests.warmup.runners import (
    MIDNIGHT_MS,
    MINUTE_MS,
    Comparison,
    chosen,
    events_of,
    hurry,
    running,
    serve,
    step_often,
    stored,
    wait_until,
)
from warmup.service import SmartWarmupService

SPOT, PERP, QUIET = "BTC-USDT", "BTC-USDT-PERP", "DASH-USD"
SYMBOLS = [SPOT, PERP, QUIET]
LIMITS = {"okx_calls": 10**6, "okx_connects_per_second": 10**3}
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def speed():
    return 120  # two minutes a second


@pytest.fixture
def server(speed):
    with serve(listings=chosen([SPOT, QUIET]), speed=speed, **LIMITS) as one:
        yield one


@pytest.fixture
def exchange(redis, server):
    """Return the row of the preset with the sandbox's addresses and three symbols monitored."""
    row, _ = Exchange.objects.update_or_create(
        name="okx",
        defaults={
            "venue": "okx",
            "rest_url": server.url,
            "ws_url": f"{server.ws_url}/ws/v5",
            "is_active": True,
            "batch_delay_ms": 0,
        },
    )
    fetch_listing(row)
    row.symbols.update(is_monitored=False)
    monitor(row, SYMBOLS)
    return row


def test_the_preset_waits_until_a_person_activates_it():
    row = Exchange.objects.get(name="okx")
    row.full_clean()
    assert (row.is_active, row.wanted, row.pacing) == (False, "stopped", "batch")


def test_the_first_sync_monitors_what_the_preset_names(redis, server, exchange):
    Exchange.objects.filter(pk=exchange.pk).update(listed_at=None)
    exchange.symbols.all().delete()
    fetch_listing(Exchange.objects.get(pk=exchange.pk))
    monitored = exchange.symbols.filter(is_monitored=True).values_list("symbol", "kind")
    assert sorted(monitored) == [(SPOT, "spot"), (PERP, "perpetual")]
    odd = exchange.symbols.filter(symbol__in=["BTC-USD-PERP", "SOON-USDT-PERP", "TSLA-USDT-PERP"])
    assert not odd.exists()


@pytest.mark.parametrize("speed", [0])
def test_spot_and_swaps_are_warmed_from_nothing_and_then_cost_no_call(redis, server, exchange):
    with closing(open_rest(exchange)) as rest:
        SmartWarmupService(redis, exchange.pk, rest).warmup(SYMBOLS)
        assert rest.candle_calls == len(SYMBOLS) * len(LONGEST_FIRST)
    for symbol in SYMBOLS:
        for timeframe in LONGEST_FIRST:
            rows, coverage = stored(redis, exchange.pk, symbol, timeframe)
            assert len(rows) >= 99
            truth = server.market.closed_candles(symbol, timeframe, *coverage[0])
            assert rows == [list(each) for each in truth]
    with closing(open_rest(exchange)) as rest:
        SmartWarmupService(redis, exchange.pk, rest).warmup(SYMBOLS)
        assert rest.candle_calls == 0


def test_all_is_streamed_beyond_midnight_candles_and_tickers_at_two_addresses(
    redis, server, exchange, monkeypatch
):
    step_often(monkeypatch)
    truth = Comparison(redis, server, exchange, SYMBOLS)
    with running(redis, exchange, SYMBOLS):
        live_ms = server.clock.now_ms()
        truth.wait(max(live_ms, MIDNIGHT_MS) + 4 * MINUTE_MS)
        assert truth.faults(since_ms=live_ms) == []
        wait_until(lambda: all(redis.get(keys.ticker(exchange.pk, one)) for one in (SPOT, PERP)))
        assert server.streams["okx"].open == 2
    events = events_of(redis, exchange.pk)
    assert sum(not each["healed"] for each in events[PERP, "1m"]) >= 3
    assert (SPOT, "1d") in events


@pytest.mark.parametrize("scenario", [
    {"kind": "missing_close", "chance": 0.4},  # bars whose end nothing confirms
    {"kind": "no_untraded_close"},  # minutes without trades of which nothing is told
    {"kind": "late_close", "delay": 20, "chance": 0.4},
    {"kind": "early_close", "chance": 0.5},
    {"kind": "malformed", "chance": 0.2},
], ids=lambda one: one["kind"])  # fmt: skip
def test_whatever_frames_come_or_not_the_cache_is_the_truth(
    redis, server, exchange, monkeypatch, scenario
):
    step_often(monkeypatch)
    happened = server.scenarios.add(**scenario, protocol="okx")
    truth = Comparison(redis, server, exchange, SYMBOLS)
    with running(redis, exchange, SYMBOLS):
        live_ms = server.clock.now_ms()
        truth.wait(max(live_ms, MIDNIGHT_MS) + 3 * MINUTE_MS)
        assert truth.faults(since_ms=live_ms) == []
    assert happened.hits


@pytest.mark.parametrize("scenario", [
    {"kind": "drop", "every": 0.6, "times": 2},
    {"kind": "early_cut", "every": 0.6, "times": 1, "delay": 1.0},  # announced by a notice
    {"kind": "silence", "every": 0.6, "times": 1, "seconds": 3, "sockets": "old"},
    {"kind": "refuse_subscription", "symbol": PERP},
], ids=lambda one: one["kind"])  # fmt: skip
def test_whatever_happens_to_connections_the_cache_is_the_truth(
    redis, server, exchange, monkeypatch, scenario
):
    step_often(monkeypatch)
    hurry(monkeypatch)
    happened = server.scenarios.add(**scenario, protocol="okx")
    truth = Comparison(redis, server, exchange, SYMBOLS)
    with running(redis, exchange, SYMBOLS):
        live_ms = server.clock.now_ms()
        truth.wait(max(live_ms, MIDNIGHT_MS) + 5 * MINUTE_MS)
        assert truth.faults(since_ms=live_ms) == []
    assert happened.hits
