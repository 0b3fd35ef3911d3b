"""What is Binance's USD-M futures' own: what it lists, and what a call weighs."""

import orjson
import pytest

from exchanges.errors import BadPayload, Banned, UnknownSymbol
from exchanges.models import Exchange
from exchanges.rest.pacing.usage import read_usage
from exchanges.venues import VENUES
from exchanges.venues.binance_usdm.rest import read_error
from exchanges.venues.binance_usdm.symbols import read_listing
from livermore.market.coverage import missing
from livermore.market.timeframe import Timeframe
from tests.exchanges.rest.test_client import Handler
from tests.exchanges.venues.conftest import LISTINGS, NOW_MS, values

VENUE = "binance_usdm"
BTC, DASH = "BTC-USDT-PERP", "DASH-USDT-PERP"
M1, MINUTE_MS = Timeframe.M1, 60_000
NOW_MINUTE_MS = M1.floor(NOW_MS)
OPEN_MS = 1_789_689_600_000  # of the first row of the written answer
TIME = (200, {}, b'{"serverTime":1789701000000}')
WEIGHT = Exchange.Pacing.WEIGHT


@pytest.fixture
def usdm(row, adapters, sandbox):
    return adapters(row(VENUE, sandbox))


@pytest.fixture
def on_wire(row, adapters, wire):
    """Return a REST side whose exchange first tells its time, then what it is told to."""

    def on_wire(*replies, native="BTCUSDT", **settings):
        exchange = row(VENUE, wire, **settings)
        exchange.symbols.create(symbol=BTC, native_symbol=native, kind="perpetual")
        wire.answer(TIME, *replies)
        return adapters(exchange)

    return on_wire


# What it lists


def test_perpetuals_alone_are_listed_whatever_else_there_is(payload):
    listed = read_listing(orjson.loads(payload("binance_usdm/http_exchange_info")))
    told = {item.symbol: (item.native_symbol, item.is_trading) for item in listed}
    assert told == {
        "BTC-USDT-PERP": ("BTCUSDT", True),
        "BTC-USDC-PERP": ("BTCUSDC", True),
        "1000PEPE-USDT-PERP": ("1000PEPEUSDT", True),
        "DEFI-USDT-PERP": ("DEFIUSDT", False),
        "SRM-USDT-PERP": ("SRMUSDT", False),
    }
    assert {item.kind for item in listed} == {"perpetual"}
    assert [item.symbol for item in listed if item.is_delisted] == ["SRM-USDT-PERP"]


@pytest.mark.parametrize("name", ["baseAsset", "quoteAsset", "marginAsset", "contractType"])
def test_a_row_that_cannot_be_read_costs_that_row(payload, name):
    body = orjson.loads(payload("binance_usdm/http_exchange_info"))
    del body["symbols"][0][name]
    listed = read_listing(body)
    assert listed.refused == ("BTCUSDT",)
    assert len(listed) == 4


@pytest.mark.parametrize("status", [None, 7, ["TRADING"]])
def test_a_contract_of_which_it_is_not_said_whether_it_trades_may_or_may_not(payload, status):
    body = orjson.loads(payload("binance_usdm/http_exchange_info"))
    body["symbols"][0]["status"] = status
    (one,) = (each for each in read_listing(body) if each.symbol == BTC)
    assert (one.is_trading, one.is_delisted) == (None, False)


@pytest.mark.parametrize("body", [None, [], {}, {"symbols": {}}, {"symbols": [7]}])
def test_a_listing_in_another_form_is_refused(body):
    with pytest.raises(BadPayload):
        read_listing(body)


def test_volumes_are_told_by_native_name_in_the_quote_currency(usdm, sandbox):
    told = usdm.list_volumes()
    day = sandbox.market.of(BTC).day_before(NOW_MS)
    ticks = 10 ** sandbox.market.listings[BTC].decimals
    assert told["BTCUSDT"] == pytest.approx(day.quote / ticks / 1e8)
    assert "BTCUSDT_261225" in told  # which no row of ours has


# What a call weighs


@pytest.mark.parametrize(
    ("periods", "weight"), [(1, 1), (99, 1), (100, 2), (499, 2), (500, 3), (998, 4), (1200, 6)]
)
def test_a_stretch_weighs_what_its_bars_weigh(usdm, sandbox, periods, weight):
    usdm.server_time_ms()
    end_ms = NOW_MINUTE_MS - 600 * MINUTE_MS
    got = usdm.get_candles(BTC, M1, end_ms - periods * MINUTE_MS, end_ms)
    assert len(got) == periods
    asked = [request.limit for request in sandbox.requests.candles]
    assert max(asked) <= 499
    assert sum(1 if rows <= 99 else 2 for rows in asked) == weight


def test_what_we_count_is_what_the_exchange_counts(row, adapters, start, redis):
    server = start(start_ms=NOW_MS, speed=0)
    rest = adapters(row(VENUE, server, pacing=WEIGHT))
    counted = []
    note = rest.client.pacer.observe_weight
    rest.client.pacer.observe_weight = lambda used: (counted.append(used), note(used))
    end_ms = NOW_MINUTE_MS - 600 * MINUTE_MS
    for periods in (3, 99, 100, 700):
        rest.get_candles(BTC, M1, end_ms - periods * MINUTE_MS, end_ms)
    rest.get_candles(BTC, M1, limit=100)
    rest.list_volumes()
    assert read_usage(redis, rest.client.host).weight == counted[-1]
    assert server.requests.counts["binance_usdm.exchangeInfo"] == 1  # names, and limits with them
    assert read_usage(redis, rest.client.host).weight_limit == 2400


def test_a_listing_of_three_megabytes_tells_the_limits(on_wire, wire, redis, payload):
    body = orjson.loads(payload("binance_usdm/http_exchange_info"))
    body["symbols"] *= 1500
    rows = (200, {}, payload("binance_usdm/http_get_klines"))
    rest = on_wire((200, {}, orjson.dumps(body)), rows, pacing=WEIGHT)
    rest.get_candles(BTC, "1h", OPEN_MS, OPEN_MS + 2 * Timeframe.H1.ms)
    assert wire.seen[1][0] == "/fapi/v1/exchangeInfo"
    assert read_usage(redis, rest.client.host).weight_limit == 2400


# Rows


def test_written_rows_are_read_with_a_bar_without_a_trade(on_wire, wire, payload):
    rest = on_wire((200, {}, payload("binance_usdm/http_get_klines")))
    traded, quiet = rest.get_candles(BTC, "1h", OPEN_MS, OPEN_MS + 2 * Timeframe.H1.ms)
    assert traded.values() == [OPEN_MS, 70112.4, 70480.0, 69950.1, 70300.2, 9123.457]
    assert traded.columns == (640112233.9122, 151203, 4620.11, 324198222.3011)
    assert quiet.values()[1:] == [70300.2] * 4 + [0.0]
    asked = wire.seen[1][0]
    assert asked == (
        "/fapi/v1/klines?symbol=BTCUSDT&interval=1h&startTime=1789689600000"
        "&endTime=1789696799999&limit=2"
    )


def test_a_name_of_another_script_is_written_as_urls_are(on_wire, wire, payload):
    rest = on_wire((200, {}, payload("binance_usdm/http_get_klines")), native="币安人生USDT")
    rest.get_candles(BTC, "1h", OPEN_MS, OPEN_MS + 2 * Timeframe.H1.ms)
    assert "symbol=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT&" in wire.seen[1][0]


@pytest.mark.parametrize("fills", [True, False])
def test_a_minute_without_a_trade_is_known_by_its_row_and_else_stays_open(
    row, adapters, start, fills
):
    server = start(start_ms=NOW_MS, speed=0, listings=LISTINGS, usdm_fills=fills)
    rest = adapters(row(VENUE, server))
    start_ms, end_ms = NOW_MINUTE_MS - 400 * MINUTE_MS, NOW_MINUTE_MS - 100 * MINUTE_MS
    got = rest.get_candles(DASH, M1, start_ms, end_ms)
    truth = server.market.closed_candles(DASH, M1, start_ms, end_ms, traded_only=not fills)
    assert values(got) == truth
    lacking = missing(got.covered, start_ms, end_ms)
    untraded = [
        each[0] for each in server.market.closed_candles(DASH, M1, start_ms, end_ms) if not each[5]
    ]
    left_open = [time for start, end in lacking for time in range(start, end, MINUTE_MS)]
    if fills:
        assert lacking == ()
    else:
        assert set(left_open) >= set(untraded)
        assert set(left_open) - set(untraded) <= {truth[-1][0]}  # the last row of an answer
        assert {time for start, end in got.empty for time in range(start, end, MINUTE_MS)} >= set(
            untraded
        )


# Refusals


def test_what_it_refuses_is_named(payload):
    unknown = orjson.loads(payload("binance_usdm/http_unknown_symbol"))
    assert type(read_error(400, unknown)) is UnknownSymbol
    assert read_error(400, orjson.loads(payload("binance_usdm/http_too_many_rows"))) is None


@pytest.mark.parametrize("named", [True, False])
def test_a_ban_without_a_header_lasts_as_long_as_its_words_say_or_two_minutes(
    on_wire, payload, redis, monkeypatch, named
):
    date = "Fri, 18 Sep 2026 00:00:00 GMT"  # 400 s before the end that the words name
    monkeypatch.setattr(Handler, "date_time_string", lambda handler: date)
    body = payload("binance_usdm/http_banned") if named else b'{"code":-1003,"msg":"banned"}'
    rest = on_wire((418, {}, body))
    rest.server_time_ms()
    with pytest.raises(Banned):
        rest.server_time_ms()
    banned_ms = read_usage(redis, rest.client.host).banned_ms
    assert banned_ms == pytest.approx(400_000 if named else 120_000, abs=2_000)


def test_who_is_too_fast_waits_a_second_and_goes_on(on_wire, wire, monkeypatch):
    monkeypatch.setattr("exchanges.rest.client.PAUSE_SECONDS", 0.01)
    rest = on_wire((429, {}, b'{"code":-1003,"msg":"Too many requests"}'), TIME)
    rest.server_time_ms()
    assert rest.server_time_ms() == 1_789_701_000_000
    assert len(wire.seen) == 3


# The venue


def test_what_is_known_of_it():
    venue = VENUES[VENUE]
    assert (venue.settle_ms, venue.lag_ms) == (3_000, 300_000)
    assert venue.marks_closed_bars
    assert venue.load_key is None
    assert not venue.seen_live
    path = "/data/futures/um/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2026-09-18.zip"
    assert venue.archive.day("BTCUSDT", Timeframe.H1, "2026-09-18") == path
    assert len({fact.name for fact in venue.unsure}) == len(venue.unsure) > 2
