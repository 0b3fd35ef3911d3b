"""Binance's USD-M futures from listing to stream, with what is unsure of them both ways."""

from contextlib import closing

import pytest

from exchanges.adapters import open_rest
from exchanges.symbols.fetch_listing import fetch_listing
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.exchanges.venues.kept_live import (
    connected,
    live_beyond_midnight,
    preset_that_waits,
    warm_twice,
)
from tests.warmup.runners import MINUTE_MS, chosen, hurry, serve, step_often, stored, wait_until
from warmup.harness import ExchangeCheck
from warmup.harness.steps import network, subscription
from warmup.repair import CandleRepair
from warmup.service import SmartWarmupService

BTC, QUIET = "BTC-USDT-PERP", "DASH-USDT-PERP"
SYMBOLS = [BTC, QUIET]
M1, HALF_AN_HOUR_MS = Timeframe.M1, 1_860_000
pytestmark = pytest.mark.django_db(transaction=True)


def row_of(server):
    return connected("binance_usdm", server, SYMBOLS, archive_url="")


@pytest.fixture
def server(request):
    pace = getattr(request, "param", {})
    with serve(listings=chosen(["BTC-USDT", "DASH-USD"]), **pace) as one:
        yield one


@pytest.fixture
def exchange(redis, server):
    return row_of(server)


def test_the_preset_waits_until_a_person_activates_it():
    assert preset_that_waits("binance_usdm").pacing == "weight"


def test_the_first_sync_monitors_what_the_preset_names_and_lists_perpetuals_alone(server, exchange):
    exchange.symbols.all().delete()
    fetch_listing(exchange)
    rows = exchange.symbols.values_list("symbol", "kind", "is_monitored")
    assert sorted(rows) == [(BTC, "perpetual", True), (QUIET, "perpetual", False)]


@pytest.mark.parametrize("server", [{"speed": 0}], indirect=True, ids=["at rest"])
def test_all_is_warmed_from_nothing_and_then_costs_no_call(redis, server, exchange):
    warm_twice(redis, server, exchange, SYMBOLS)


def test_all_is_streamed_beyond_midnight_through_cuts(redis, server, exchange, monkeypatch):
    hurry(monkeypatch)
    happened = server.scenarios.add("drop", protocol="binance_usdm", every=0.6, times=2)
    with live_beyond_midnight(redis, server, exchange, SYMBOLS, minutes=5) as faults:
        assert faults() == []
        wait_until(lambda: redis.get(keys.ticker(exchange.pk, BTC)))
    assert happened.hits
    assert redis.get(keys.ticker(exchange.pk, "BTCUSD_PERP")) is None


@pytest.mark.parametrize("frames", [True, False])
def test_a_minute_without_a_trade_is_true_whether_or_not_a_frame_ends_it(
    redis, server, exchange, monkeypatch, frames
):
    step_often(monkeypatch)
    if not frames:
        server.scenarios.add("no_untraded_close", protocol="binance_usdm")
    with live_beyond_midnight(redis, server, exchange, [QUIET], minutes=3) as faults:
        assert faults() == []


def test_minutes_that_rest_has_no_row_of_are_known_once_they_were_told_empty_twice(redis):
    listings = chosen(["BTC-USDT", "DASH-USD"])
    with serve(listings=listings, usdm_fills=False, speed=0) as server:
        exchange = row_of(server)
        with closing(open_rest(exchange)) as rest:
            SmartWarmupService(redis, exchange.pk, rest).warmup([QUIET])
            rows, coverage = stored(redis, exchange.pk, QUIET, M1)
            known = [time for start, end in coverage for time in range(start, end, MINUTE_MS)]
            assert known == [row[0] for row in rows]  # and not one minute more
            truth = server.market.closed_rows(QUIET, M1, known[0], known[-1] + 1)
            assert rows == [row for row in truth if row[5]]
            assert len(rows) < len(truth)
            server.clock.advance(HALF_AN_HOUR_MS)
            rest.clock.forget()
            CandleRepair(redis, exchange.pk, rest).repair([QUIET], [M1])
        again, coverage = stored(redis, exchange.pk, QUIET, M1)
        assert coverage[0][0] == known[0]
        assert coverage[0][1] > known[-1]
        assert again[: len(rows)] == rows


def test_a_check_of_it_passes_and_tells_its_limits(redis, exchange, monkeypatch):
    monkeypatch.setattr(network, "LONGEST_SKEW_MS", 10**15)  # its clock runs much faster
    monkeypatch.setattr(subscription, "LONGEST_LAG_MS", 10**15)
    report = ExchangeCheck(redis, exchange, None, 1.0).run()
    assert {str(step.result) for step in report.steps} <= {"PASS", "SKIP"}, report.as_json()
    told = {step.name: step.detail for step in report.steps}
    assert told["symbol"] == "BTC-USDT-PERP trades, as BTCUSDT; 2 symbols are listed"
    assert told["limits"].startswith("published: 2400 weight in a minute")
