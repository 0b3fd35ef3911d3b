"""A venue that is added by its folder and a line of the registry works from listing to stream."""

import time
from contextlib import closing

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command

from exchanges.adapters import open_rest
from exchanges.credentials import key_of
from exchanges.errors import Misconfigured, UnknownSymbol
from exchanges.models import Exchange
from exchanges.presets import answer_limits, presets
from exchanges.rest.pacing.batch import BatchPacer
from exchanges.rest.reply import QuietBars
from exchanges.symbols.fetch_listing import fetch_listing
from exchanges.symbols.monitoring import monitor
from exchanges.symbols.volumes import fetch_volumes
from exchanges.venues import VENUES
from livermore.market import keys
from livermore.market.timeframe import LONGEST_FIRST
from tests.exchanges.venues.toy import VENUE
from tests.exchanges.venues.toy_server import ToyServer
from tests.warmup.runners import (
    MIDNIGHT_MS,
    MINUTE_MS,
    Comparison,
    events_of,
    running,
    step_often,
    stored,
)
from warmup.harness import ExchangeCheck
from warmup.harness.report import Result
from warmup.service import SmartWarmupService

SYMBOLS = ["BTC-USD", "ETH-USD"]
OF_ONE_NAME = ["BTC-USDT", "BTC-USDT-PERP", "kPEPE-USDT-PERP"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def line_in_the_registry(monkeypatch):
    monkeypatch.setitem(VENUES, VENUE.name, VENUE)


@pytest.fixture
def server():
    with ToyServer(MIDNIGHT_MS - 3 * MINUTE_MS, speed=120) as one:
        yield one


@pytest.fixture
def row(server):
    """Return the row of the toy's preset, with the addresses of the server."""
    preset = presets()["toy_shop"]
    row = Exchange(
        name=preset.name,
        display_name=preset.display_name,
        venue=VENUE.name,
        pacing=preset.pacing,
        rest_url=server.url,
        ws_url=server.ws_url,
        batch_size=20,
        batch_delay_ms=100,
    )
    row.full_clean()
    row.save()
    return row


@pytest.fixture
def listed(redis, row):
    fetch_listing(row)
    return row


def test_its_rows_are_offered_and_held_to_what_it_can(row):
    assert row.get_venue_display() == "Toy"
    row.pacing = Exchange.Pacing.WEIGHT
    with pytest.raises(ValidationError, match="Toy Shop publishes no request weight"):
        row.full_clean()


def test_it_needs_no_migration():
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_its_preset_is_known_with_its_limits():
    assert presets()["toy_shop"].ws_url == "wss://toys.example.com"
    assert answer_limits("toy_shop", "toy") == answer_limits("another", "toy") == VENUE.answers


def test_the_first_sync_monitors_what_its_preset_names(listed):
    assert dict(listed.symbols.values_list("symbol", "status")) == {
        "BTC-USD": "trading",
        "ETH-USD": "trading",
        "DOGE-USD": "halted",
        "BTC-USDT": "trading",
        "BTC-USDT-PERP": "trading",
        "kPEPE-USDT-PERP": "trading",
    }
    monitored = listed.symbols.filter(is_monitored=True).values_list("symbol", flat=True)
    assert sorted(monitored) == SYMBOLS


def test_its_rest_is_made_from_the_row(redis, listed, server):
    with closing(open_rest(listed)) as rest:
        assert isinstance(rest.client.pacer, BatchPacer)
        assert rest.workers == 20
        assert abs(rest.server_time_ms() - server.clock.now_ms()) < MINUTE_MS
        assert rest.list_volumes()["BTC_USD"] == 1000.5
        rest.learn({"GONE-USD": "gone_usd"})
        with pytest.raises(UnknownSymbol):
            rest.get_candles("GONE-USD", "1h")


def test_it_says_of_its_candles_what_its_classes_do():
    assert VENUE.quiet_bars is QuietBars.FILLS
    assert (VENUE.settle_ms, VENUE.lag_ms) == (1000, 5000)
    assert VENUE.marks_closed_bars


def test_its_candles_are_warmed_into_redis_as_the_server_has_them(redis, listed, server):
    with closing(open_rest(listed)) as rest:
        SmartWarmupService(redis, listed.pk, rest).warmup(SYMBOLS)
    for symbol in SYMBOLS:
        for timeframe in LONGEST_FIRST:
            rows, coverage = stored(redis, listed.pk, symbol, timeframe)
            assert len(rows) >= 99
            assert coverage == [[rows[0][0], rows[-1][0] + timeframe.ms]]
            truth = server.market.closed_candles(symbol, timeframe, *coverage[0])
            assert rows == [list(each) for each in truth]


def test_it_is_streamed_live_beyond_midnight(redis, listed, server, monkeypatch):
    step_often(monkeypatch)
    truth = Comparison(redis, server, listed, SYMBOLS)
    with running(redis, listed, SYMBOLS):
        live_ms = server.clock.now_ms()
        truth.wait(max(live_ms, MIDNIGHT_MS) + 6 * MINUTE_MS)
        assert truth.faults(since_ms=live_ms) == []
        assert redis.exists(keys.ticker(listed.pk, "BTC-USD"))
        assert min(server.pings["/feed"], server.pings["/prices"]) > 1
    events = events_of(redis, listed.pk)
    assert len([each for each in events["BTC-USD", "1m"] if not each["healed"]]) >= 3
    assert ("ETH-USD", "1d") in events


def test_two_markets_of_one_name_are_warmed_and_streamed_each_by_itself(
    redis, listed, server, monkeypatch
):
    step_often(monkeypatch)
    monitor(listed, OF_ONE_NAME)
    truth = Comparison(redis, server, listed, OF_ONE_NAME)
    with running(redis, listed, OF_ONE_NAME):
        live_ms = server.clock.now_ms()
        truth.wait(max(live_ms, MIDNIGHT_MS) + 3 * MINUTE_MS)
        assert truth.faults(since_ms=live_ms) == []
        prices = [redis.get(keys.ticker(listed.pk, symbol)) for symbol in OF_ONE_NAME]
    assert all(prices)
    closes = [stored(redis, listed.pk, symbol, "1m")[0][-30:] for symbol in OF_ONE_NAME]
    assert closes[0] != closes[1] != closes[2]
    told = events_of(redis, listed.pk)
    assert {(symbol, "1m") for symbol in OF_ONE_NAME} <= told.keys()


def test_their_volumes_are_told_apart(redis, listed):
    volumes = fetch_volumes(redis, listed).by_symbol
    found = {symbol: volumes[symbol] for symbol in OF_ONE_NAME}
    assert found == {"BTC-USDT": 1000.5, "BTC-USDT-PERP": 3000.5, "kPEPE-USDT-PERP": 2000.5}


def test_a_check_of_it_passes(redis, row):
    with ToyServer(int(time.time() * 1000)) as server:
        row.rest_url, row.ws_url = server.url, server.ws_url
        row.save()
        report = ExchangeCheck(redis, row, symbol="BTC-USD", seconds=1).run()
    assert report.passed, report.as_json()
    limits = next(step for step in report.steps if step.name == "limits")
    assert "it used to be 200 calls a second" in limits.detail
    subscription = next(step for step in report.steps if step.name == "subscription")
    assert subscription.detail.startswith("2 subscriptions confirmed at 2 addresses within ")


def test_where_it_is_taken_out_a_row_of_it_is_told_and_nothing_else_is_touched(
    redis, listed, monkeypatch
):
    monkeypatch.delitem(VENUES, VENUE.name)
    assert "toy_shop" not in presets()
    with pytest.raises(ValidationError, match="'toy' is not a valid choice"):
        listed.full_clean()
    with pytest.raises(Misconfigured, match="toy_shop speaks toy, which is no venue: choose one"):
        open_rest(listed)
    report = ExchangeCheck(redis, listed, symbol=None, seconds=1).run()
    assert [step.name for step in report.steps if step.result is Result.FAIL] == ["row"]
    assert key_of(listed) == (None, "")
