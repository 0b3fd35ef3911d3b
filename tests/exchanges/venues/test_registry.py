import subprocess
import sys
from pathlib import Path

import pytest
import requests

from exchanges.adapters import open_rest
from exchanges.errors import Banned
from exchanges.models import Exchange
from exchanges.rest.key import Credentials
from exchanges.rest.pacing.batch import BatchPacer
from exchanges.rest.pacing.budget import CallLimit, Limits
from exchanges.rest.pacing.weight import WeightPacer
from exchanges.rest.reply import QuietBars
from exchanges.venues import VENUES
from exchanges.venues.binance.rest import BinanceRest
from exchanges.venues.coinbase.rest import CoinbaseRest
from livermore.market import keys

ROOT = Path(__file__).resolve().parents[3]


def test_every_venue_that_a_row_may_name_can_be_made():
    offered = dict(Exchange._meta.get_field("venue").flatchoices)
    assert offered == {name: venue.label for name, venue in VENUES.items()}


@pytest.mark.parametrize(("venue", "kind"), [("binance", BinanceRest), ("coinbase", CoinbaseRest)])
def test_a_row_becomes_its_venue(row, adapters, sandbox, venue, kind):
    exchange = row(venue, sandbox)
    rest = adapters(exchange)
    assert type(rest) is kind
    assert rest.exchange_id == exchange.pk


def test_coinbase_goes_in_batches_whatever_the_row_says(row, adapters, sandbox):
    rest = adapters(row("coinbase", sandbox, pacing="weight"))
    assert isinstance(rest.client.pacer, BatchPacer)


def test_the_row_decides_the_pace(row, adapters, sandbox):
    venue = "binance"
    batches = adapters(row(venue, sandbox, pacing="batch", batch_size=7, batch_delay_ms=900))
    assert isinstance(batches.client.pacer, BatchPacer)
    assert batches.workers == batches.client.pacer.batch_size == 7
    assert batches.client.pacer.seconds_for(8, 1) == pytest.approx(0.9)
    flowing = adapters(row(venue, sandbox, pacing="weight"))
    assert isinstance(flowing.client.pacer, WeightPacer)
    assert flowing.workers > 1


def test_all_rows_of_a_host_are_paced_as_one(row, adapters, sandbox, redis):
    for venue in VENUES:
        adapters(row(venue, sandbox)).server_time_ms()
    assert redis.keys("pacing:*") == [keys.pacing(sandbox.url.removeprefix("http://")).encode()]


def test_a_ban_that_redis_lost_is_known_to_all_rows_of_the_host(row, adapters, sandbox, redis):
    one, other = (adapters(row(venue, sandbox)) for venue in ("binance", "coinbase"))
    one.server_time_ms()
    one.client.pacer.ban(120)
    redis.delete(keys.pacing(one.client.pacer.host))
    with pytest.raises(Banned):
        other.server_time_ms()
    with pytest.raises(Banned):  # who comes later, too
        adapters(row("binance", sandbox)).server_time_ms()


def test_a_host_is_the_same_in_capitals(row, adapters, sandbox, redis, settings):
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["localhost"]
    port = sandbox.url.rpartition(":")[2]
    for host in ("LOCALHOST", "localhost"):
        exchange = row("binance", sandbox)
        exchange.rest_url = f"http://{host}:{port}"
        adapters(exchange).server_time_ms()
    assert redis.keys("pacing:*") == [keys.pacing(f"localhost:{port}").encode()]


def test_native_names_come_from_the_rows_symbols(row, adapters, wire):
    exchange, other = row("binance", wire), row("binance", wire)
    exchange.symbols.create(symbol="BTC-USD", native_symbol="XBTUSD", base="BTC", quote="USD")
    other.symbols.create(symbol="BTC-USD", native_symbol="WRONG", base="BTC", quote="USD")
    wire.answer((200, {}, b'{"serverTime":1700000000000}'), (200, {}, b"[]"))
    adapters(exchange).get_candles("BTC-USD", "1d", limit=1)
    assert "symbol=XBTUSD&" in wire.seen[1][0]


def test_binance_needs_no_keys_and_sends_none(row, adapters, wire, monkeypatch):
    monkeypatch.setattr(
        "exchanges.credentials.find_credentials", lambda exchange: Credentials("key", "secret")
    )
    wire.answer((200, {}, b'{"serverTime":1700000000000}'))
    adapters(row("binance", wire)).server_time_ms()
    assert not {"Authorization", "X-MBX-APIKEY"} & set(wire.seen[0][1])


def test_an_exchange_is_opened_on_the_configured_redis(row, sandbox, redis):
    rest = open_rest(row("binance", sandbox))
    try:
        rest.server_time_ms()
    finally:
        rest.close()
    assert redis.exists(keys.pacing(sandbox.url.removeprefix("http://")))


def test_what_is_known_of_the_venues():
    binance, coinbase = VENUES["binance"], VENUES["coinbase"]
    assert (binance.quiet_bars, coinbase.quiet_bars) == (QuietBars.FILLS, QuietBars.OMITS)
    assert (binance.settle_ms, coinbase.settle_ms) == (2_000, 5_000)
    assert (binance.lag_ms, coinbase.lag_ms) == (300_000, 600_000)
    assert (binance.marks_closed_bars, coinbase.marks_closed_bars) == (True, False)
    assert binance.weight
    assert binance.weight.until_known == Limits(1200, 5000)
    assert (coinbase.weight, coinbase.calls) == (None, CallLimit(10, 1, is_published=False))
    assert binance.load_key is None
    assert coinbase.load_key


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("binance", "/api/v3/exchangeInfo"),
        ("coinbase", "/api/v3/brokerage/market/products"),
    ],
)
def test_a_listing_is_read_as_it_comes(sandbox, name, path):
    body = requests.get(f"{sandbox.url}{path}", timeout=10).json()
    listed = VENUES[name].read_listing(body if name == "binance" else body["products"])
    assert {"BTC-USD", "DASH-USD"} <= {item.symbol for item in listed if item.is_trading}


def test_which_venues_there_are_is_known_without_a_model():
    code = "import sys, exchanges.venues; assert 'exchanges.models' not in sys.modules"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
