"""OKX from listing to stream against the sandbox, with all that is unsure of it both ways."""

import pytest

from exchanges.models import Exchange
from exchanges.symbols.fetch_listing import fetch_listing
from livermore.market import keys
from tests.exchanges.venues.kept_live import (
    connected,
    live_beyond_midnight,
    preset_that_waits,
    warm_twice,
)
from tests.warmup.runners import chosen, events_of, hurry, serve, step_often, wait_until

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
    return connected("okx", server, SYMBOLS, "/ws/v5", batch_delay_ms=0)


def test_the_preset_waits_until_a_person_activates_it():
    assert preset_that_waits("okx").pacing == "batch"


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
    warm_twice(redis, server, exchange, SYMBOLS)


def test_all_is_streamed_beyond_midnight_candles_and_tickers_at_two_addresses(
    redis, server, exchange, monkeypatch
):
    step_often(monkeypatch)
    with live_beyond_midnight(redis, server, exchange, SYMBOLS, minutes=4) as faults:
        assert faults() == []
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
    with live_beyond_midnight(redis, server, exchange, SYMBOLS, minutes=3) as faults:
        assert faults() == []
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
    with live_beyond_midnight(redis, server, exchange, SYMBOLS, minutes=5) as faults:
        assert faults() == []
    assert happened.hits
