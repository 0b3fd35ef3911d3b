import time

import orjson
import pytest

from exchanges.errors import (
    BadPayload,
    Banned,
    Blocked,
    Excessive,
    RateLimited,
    UnknownSymbol,
    Unreachable,
)
from exchanges.rest.base import Known
from exchanges.sandbox.market.listings import Listing
from exchanges.symbols.volumes import names_of
from exchanges.venues.bybit.rest import (
    BAN_SECONDS,
    BybitRest,
    elsewhere,
    read_ban,
    read_error,
)
from livermore.market.candle import Candle
from livermore.market.coverage import missing
from livermore.market.timeframe import MINUTE_MS, Timeframe
from tests.exchanges.venues.bybit.payloads import content_of, recorded
from tests.exchanges.venues.conftest import NOW_MS, values
from tests.exchanges.venues.minutes import AGO_MS, minutes, span, told_newest_first
from warmup.cache.unconfirmed import SECOND_LOOK_MS, Rules, learn

TIME = (200, {}, recorded("http_time"))
RULES = Rules(BybitRest.quiet_bars, BybitRest.lag_ms)
QUIET = Listing("DASH-USDT", "31.2900", lot=9_000_000, quiet=True)
COUNTRY_PAGE = (
    b"<HTML><H1>403 ERROR</H1>The Amazon CloudFront distribution is configured to block access "
    b"from your country.</HTML>"
)


def answer(**result):
    body = {"retCode": 0, "retMsg": "OK", "result": result, "time": NOW_MS}
    return 200, {}, orjson.dumps(body)


def rows_at(*numbers):
    """Return an answer with a row for each minute from AGO_MS on, newest first."""
    return answer(list=told_newest_first(numbers))


@pytest.fixture
def on_wire(row, adapters, wire):
    """Return a REST side whose exchange tells its time first, then what it is told to."""

    def on_wire(*replies, time_first=True):
        exchange = row("bybit", wire)
        exchange.symbols.create(symbol="BTC-USDT", native_symbol="BTCUSDT")
        exchange.symbols.create(symbol="BTC-USDT-PERP", native_symbol="BTCUSDT", kind="perpetual")
        wire.answer(*[TIME] * time_first, *replies)
        return adapters(exchange)

    return on_wire


# Rows


def test_rows_are_read_newest_first_and_asked_for_in_their_category(on_wire, wire):
    rest = on_wire((200, {}, recorded("http_get_klines")))
    got = rest.get_candles("BTC-USDT-PERP", "1m", 1789999980000, 1790000100000, with_open=True)
    assert list(got) == [
        Candle(1789999980000, 84012.3, 84031.0, 84012.3, 84030.0, 4.05, Timeframe.M1),
        Candle(1790000040000, 84030.0, 84044.2, 84021.5, 84041.9, 10.733, Timeframe.M1),
    ]
    assert got.open_candle.close == 84048.0
    path = wire.seen[1][0]
    assert "category=linear&symbol=BTCUSDT&interval=1&limit=1000&start=1789999980000&end=" in path


def test_two_markets_of_one_name_are_asked_for_each_by_its_category(row, adapters, start):
    bitcoin = Listing("BTC-USDT", "67055.19", lot=50_000)
    server = start(listings=(bitcoin,), start_ms=NOW_MS, speed=0)
    server.market.draw("BTC-USDT-PERP", AGO_MS, [70_000.0, 70_001.0])
    exchange = row("bybit", server)
    rest = adapters(exchange)
    for symbol in ("BTC-USDT", "BTC-USDT-PERP"):
        got = rest.get_candles(symbol, "1m", AGO_MS, AGO_MS + 2 * MINUTE_MS)
        true = server.market.closed_candles(symbol, Timeframe.M1, *span(0, 2))
        assert values(got) == true
    assert got[0].close == 70_000.0


@pytest.mark.parametrize("body", [
    b"[]", b"null", b'{"retCode":0}', b'{"retCode":0,"result":{"list":{}}}',
    b'{"retCode":0,"result":[]}', b'{"retCode":"0","result":{"list":[]}}', b'{"retCode":[]}',
])  # fmt: skip
def test_what_is_no_answer_of_its_is_told_as_such(on_wire, body):
    with pytest.raises(BadPayload):
        on_wire((200, {}, body)).get_candles("BTC-USDT", "1m", *span(0, 2))


# Pages


def test_of_a_page_that_was_cut_at_its_beginning_the_rest_is_asked_for(on_wire, wire):
    """A window that is wider than the limit gives its newest part, and says no word of it."""
    rest = on_wire(rows_at(*range(200, 300)), rows_at(*range(100, 201)), rows_at(*range(101)))
    got = rest.get_candles("BTC-USDT", "1m", *span(0, 300))
    assert minutes(got) == list(range(300))
    assert got.covered == (span(0, 300),)
    ends = [span(0, 300)[1] - 1, *(span(n, 0)[0] for n in (200, 100))]
    assert [f"end={end}" in seen[0] for end, seen in zip(ends, wire.seen[1:], strict=True)] == [
        True, True, True,
    ]  # fmt: skip


def test_what_is_lacking_at_the_beginning_stays_unknown(on_wire):
    rest = on_wire(rows_at(*range(50, 300)), rows_at(50))
    got = rest.get_candles("BTC-USDT", "1m", *span(0, 300))
    assert got.covered == (span(50, 300),)
    assert got.empty == (span(0, 50),)


def test_rows_that_begin_later_each_time_are_asked_for_no_more(on_wire, wire):
    rest = on_wire(*(rows_at(*range(first, 300)) for first in (50, 60, 70, 80)))
    got = rest.get_candles("BTC-USDT", "1m", *span(0, 300))
    assert len(wire.seen) == 3
    assert got.covered == (span(51, 300),)


# Quiet minutes: nobody knows whether they have rows


def true_rows(server, *window, traded_only=False):
    return server.market.closed_candles("DASH-USDT", Timeframe.M1, *window, traded_only=traded_only)


@pytest.mark.parametrize("fills", [True, False])
def test_of_quiet_minutes_no_hole_stays_unknown_either_way(row, adapters, start, fills):
    server = start(listings=(QUIET,), start_ms=NOW_MS, speed=0, bybit_fills=fills)
    rest = adapters(row("bybit", server))
    window = span(0, 120)
    got = rest.get_candles("DASH-USDT", "1m", *window)
    assert values(got) == true_rows(server, *window, traded_only=not fills)
    quiet = [time for time, *_, volume in true_rows(server, *window) if not volume]
    assert len(quiet) > 5
    unknown = missing(got.covered, *window)
    if fills:
        assert unknown == ()
    else:  # what has no row is no fact after one answer
        assert {time for start, end in unknown for time in range(start, end, MINUTE_MS)} == {*quiet}


def test_minutes_without_a_row_are_proven_quiet_by_a_second_look_alone(row, adapters, start):
    server = start(listings=(QUIET,), start_ms=NOW_MS, speed=0, bybit_fills=False)
    rest, rules = adapters(row("bybit", server)), RULES
    window, known, covered = span(0, 120), (), ()
    for now_ms in (NOW_MS, NOW_MS + SECOND_LOOK_MS):
        got = rest.get_candles("DASH-USDT", "1m", *window)
        known, covered = learn(known, covered, got, Timeframe.M1, rules, now_ms)
        is_first = now_ms == NOW_MS
        assert bool(known) is is_first
        assert bool(missing(covered, *window)) is is_first


def test_a_row_that_was_lost_is_found_by_the_second_look(row, adapters, start):
    server = start(listings=(QUIET,), start_ms=NOW_MS, speed=0)
    rest, rules = adapters(row("bybit", server)), RULES
    window = span(0, 120)
    server.faults.add(
        "holes", open_times=[span(5, 0)[0], span(6, 0)[0]], times=1, symbol="DASH-USDT"
    )
    got = rest.get_candles("DASH-USDT", "1m", *window)
    known, covered = learn((), (), got, Timeframe.M1, rules, NOW_MS)
    assert missing(covered, *window) == (span(5, 7),)
    got = rest.get_candles("DASH-USDT", "1m", *span(5, 7), known=Known(*span(4, 7)))
    known, covered = learn(known, covered, got, Timeframe.M1, rules, NOW_MS + SECOND_LOOK_MS)
    assert (values(got), known) == (true_rows(server, *span(5, 7)), ())


# Listing and volumes


def test_the_listing_comes_in_pages_up_to_an_empty_cursor(on_wire, wire):
    spot, linear = (content_of(f"http_instruments_{name}")["result"] for name in ("spot", "linear"))
    first, second = linear["list"][:3], linear["list"][3:]
    rest = on_wire(
        answer(list=spot["list"]),
        answer(list=first, nextPageCursor="first%3A1"),
        answer(list=second, nextPageCursor=""),
        time_first=False,
    )
    assert len(rest.list_symbols()) == 6
    assert "category=spot" in wire.seen[0][0]
    assert "category=linear&limit=1000&cursor=first%3A1" in wire.seen[2][0]


def test_a_listing_of_many_pages_is_read(row, adapters, sandbox, monkeypatch):
    monkeypatch.setattr("exchanges.venues.bybit.rest.ROWS_PER_PAGE", 5)
    listed = adapters(row("bybit", sandbox)).list_symbols()
    assert len({each.symbol for each in listed}) == len(listed) > 10


@pytest.mark.parametrize(("replies", "kind"), [
    ([answer(list=[])], BadPayload),  # else all of a category would be taken for delisted
    ([answer(list=[{}], nextPageCursor="x")] * 40, Excessive),
    ([answer(list=[{}], nextPageCursor=7)], BadPayload),
])  # fmt: skip
def test_a_listing_that_makes_no_sense_is_none(on_wire, replies, kind):
    with pytest.raises(kind):
        on_wire(*replies, time_first=False).list_symbols()


def test_volumes_are_told_by_market(row, adapters, sandbox):
    exchange = row("bybit", sandbox)
    exchange.symbols.create(symbol="ETH-USDT", native_symbol="ETHUSDT")
    exchange.symbols.create(symbol="ETH-USDT-PERP", native_symbol="ETHUSDT", kind="perpetual")
    told = adapters(exchange).list_volumes()
    assert {*names_of(exchange)} == {"spot ETHUSDT", "linear ETHUSDT"} <= told.keys()
    assert told["spot ETHUSDT"] > 0


# Refusals


@pytest.mark.parametrize(("code", "message", "kind"), [
    (10001, "Not supported symbols", UnknownSymbol),
    (10001, "params error: symbol invalid", UnknownSymbol),
    (10029, "The requested symbol is invalid.", UnknownSymbol),
    (10001, "Invalid period!", BadPayload),
    (10006, "Too many visits. Exceeded the API Rate Limit.", RateLimited),
    (10429, "System level frequency protection", RateLimited),
    (10016, "Server error", Unreachable),
    (10009, "a restricted region", Blocked),
    (99999, "what nobody knows", BadPayload),
])  # fmt: skip
def test_its_own_codes_are_told_as_what_they_mean(code, message, kind):
    assert type(read_error(200, {"retCode": code, "retMsg": message})) is kind


def test_what_is_good_or_not_its_own_is_no_error():
    for body in (None, [], {"code": 1}, {"retCode": 0}, content_of("http_get_klines")):
        assert read_error(200, body) is None
    assert read_error(500, {"retCode": 99999}) is None  # the general rules know more


@pytest.mark.parametrize("code", [10006, 10016, 10429])
def test_errors_with_status_200_that_pass_cost_a_call(row, adapters, sandbox, monkeypatch, code):
    monkeypatch.setattr("exchanges.rest.client.PAUSE_SECONDS", 0.05)
    rest = adapters(row("bybit", sandbox))
    sandbox.faults.add("status", status=code, times=1, symbol="BTC-USDT-PERP")
    assert len(rest.get_candles("BTC-USDT-PERP", "1m", *span(0, 5))) == 5
    assert len(sandbox.requests.candles) == 2


@pytest.mark.parametrize("body", [
    b"403, access too frequent", b'{"retCode":10006,"retMsg":"Access too frequent."}',
])  # fmt: skip
def test_who_called_too_often_is_banned_for_ten_minutes_at_least(on_wire, wire, body):
    rest = on_wire((403, {}, body))
    for _ in range(2):
        with pytest.raises(Banned) as refusal:
            rest.get_candles("BTC-USDT", "1m", *span(0, 5))
    seconds = refusal.value.until_ms / 1000 - time.time()
    assert 600 < seconds == pytest.approx(BAN_SECONDS, abs=5)
    assert len(wire.seen) == 2


def test_a_country_that_is_not_served_is_no_ban(on_wire):
    rest = on_wire((403, {"Content-Type": "text/html"}, COUNTRY_PAGE))
    with pytest.raises(Blocked, match="Run from a place"):
        rest.get_candles("BTC-USDT", "1m", *span(0, 5))
    assert read_ban(403, COUNTRY_PAGE) is None
    assert read_ban(200, b"access too frequent") is None


def test_who_is_not_served_learns_of_other_hosts_where_there_are_some():
    assert "https://api.bybit.eu" in elsewhere("api.bybit.com")
    assert elsewhere("api.bybit.eu") == ""


def test_a_sandbox_that_bans_is_believed(row, adapters, start):
    server = start(start_ms=NOW_MS, speed=0, bybit_calls=2)
    rest = adapters(row("bybit", server))
    with pytest.raises(Banned):
        for _ in range(3):
            rest.server_time_ms()
    assert sum(server.requests.counts.values()) == 3
