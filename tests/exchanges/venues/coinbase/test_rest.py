from itertools import pairwise

import orjson
import pytest

from exchanges.errors import BadCredentials, BadPayload, UnknownSymbol
from exchanges.rest.base import Known
from exchanges.venues.coinbase import rest as venue
from exchanges.venues.coinbase.rest import read_error
from exchanges.venues.coinbase.symbols import read_listing
from livermore.market.candle import Candle
from livermore.market.timeframe import Timeframe
from tests.exchanges.venues.conftest import LISTINGS, NOW_MS, values

MINUTE_MS = 60_000
NOW_MINUTE_MS = Timeframe.M1.floor(NOW_MS)
HOUR_MS = 1_712_188_800_000  # the older row of the recorded reply
TIME = (
    200,
    {},
    b'{"iso":"2024-04-04T10:00:00Z","epochSeconds":"1712224800","epochMillis":"1712224800000"}',
)


@pytest.fixture
def on_wire(row, adapters, wire):
    """Return a REST side whose exchange first tells its time, then what it is told to."""

    def on_wire(*replies, status=200):
        exchange = row("coinbase", wire)
        exchange.symbols.create(symbol="A-B", native_symbol="A-B", base="A", quote="B")
        wire.answer(TIME, *((status, {}, reply) for reply in replies))
        return adapters(exchange)

    return on_wire


def traded(sandbox, symbol, start_ms, end_ms=NOW_MINUTE_MS):
    return sandbox.market.closed_candles(symbol, Timeframe.M1, start_ms, end_ms, traded_only=True)


def test_a_recorded_reply_is_read_oldest_first(on_wire, wire, payload):
    rest = on_wire(payload("coinbase/http_get_candles"))
    got = rest.get_candles("A-B", "1h", HOUR_MS, HOUR_MS + 2 * 3_600_000)
    assert got == [
        Candle(HOUR_MS, 65984.18, 66387.77, 65857.35, 66314.59, 358.74851052, Timeframe.H1),
        Candle(
            HOUR_MS + 3_600_000, 66312.4, 66331.99, 66055.14, 66181.6, 355.82896243, Timeframe.H1
        ),
    ]
    assert wire.seen[1][0] == (
        "/api/v3/brokerage/market/products/A-B/candles"
        "?start=1712188800&end=1712196000&granularity=ONE_HOUR"
    )


@pytest.mark.parametrize("body", [b"[]", b"{}", b"null", b'{"candles":null}', b'{"candles":{}}'])
def test_an_answer_without_a_list_is_refused(on_wire, body):
    with pytest.raises(BadPayload, match="not in Coinbase's form"):
        on_wire(body).get_candles("A-B", "1h", limit=1)


@pytest.mark.parametrize("bad", [b"null", b"1", b'"abc"', b"[]", b"{}", b'{"start":"1712188800"}'])
def test_a_row_that_is_no_row_is_refused_and_nothing_is_covered(on_wire, bad):
    body = b'{"candles":[%s]}' % bad
    got = on_wire(body).get_candles("A-B", "1h", HOUR_MS, HOUR_MS + 3_600_000)
    assert (list(got), len(got.refused), got.covered) == ([], 1, ())


def test_the_bucket_that_opens_at_the_end_is_dropped_silently(on_wire, payload):
    rest = on_wire(payload("coinbase/http_get_candles"))
    got = rest.get_candles("A-B", "1h", HOUR_MS, HOUR_MS + 3_600_000)
    assert [candle.timestamp for candle in got] == [HOUR_MS]
    assert (got.refused, got.open_candle) == ([], None)
    assert got.covered == ((HOUR_MS, HOUR_MS + 3_600_000),)


def test_a_row_outside_of_the_window_is_refused(on_wire, payload):
    rest = on_wire(payload("coinbase/http_get_candles"))
    start_ms = HOUR_MS - 3_600_000
    got = rest.get_candles("A-B", "1h", start_ms, HOUR_MS)
    assert (list(got), len(got.refused), got.covered) == ([], 1, ())


@pytest.mark.parametrize("start", [1712188800, 1712188800.0, 1712188800.5, True, None])
def test_a_time_that_is_no_string_is_refused(on_wire, start):
    row = dict.fromkeys(("open", "high", "low", "close", "volume"), "1") | {"start": start}
    body = orjson.dumps({"candles": [row]})
    got = on_wire(body).get_candles("A-B", "1h", HOUR_MS, HOUR_MS + 3_600_000)
    assert (list(got), len(got.refused), got.covered) == ([], 1, ())


@pytest.mark.parametrize("told", [1, 1.5, True, None, "1_000"])
def test_a_value_that_is_no_decimal_string_is_refused(on_wire, told):
    row = dict.fromkeys(("open", "high", "low", "close"), "1")
    body = orjson.dumps({"candles": [row | {"start": f"{HOUR_MS // 1000}", "volume": told}]})
    got = on_wire(body).get_candles("A-B", "1h", HOUR_MS, HOUR_MS + 3_600_000)
    assert (list(got), len(got.refused), got.covered) == ([], 1, ())


def test_a_row_without_a_field_is_refused_and_its_time_stays_unknown(coinbase, sandbox):
    start_ms, end_ms = NOW_MINUTE_MS - 30 * MINUTE_MS, NOW_MINUTE_MS - 20 * MINUTE_MS
    sandbox.faults.add("bad_rows", way="missing_field", row=4, symbol="BTC-USD")
    got = coinbase.get_candles("BTC-USD", "1m", start_ms, end_ms)
    bad_ms = start_ms + 6 * MINUTE_MS  # the newest row comes first, and is one too many
    assert len(got.refused) == 1
    assert bad_ms not in {candle.timestamp for candle in got}
    assert got.covered == ((start_ms, bad_ms), (bad_ms + MINUTE_MS, end_ms))


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"epochMillis":null}', b'{"epochMillis":"x"}'])
def test_a_time_that_is_none_is_refused(row, adapters, wire, body):
    wire.answer((200, {}, body))
    with pytest.raises(BadPayload, match="the time is not in Coinbase's form"):
        adapters(row("coinbase", wire)).server_time_ms()


def test_an_unknown_symbol_is_told_with_the_exchanges_words(on_wire, payload):
    rest = on_wire(payload("coinbase/http_unknown_symbol"), status=404)
    with pytest.raises(UnknownSymbol, match="Product NOPE-USD not supported"):
        rest.get_candles("A-B", "1h", limit=1)


def test_a_window_that_is_too_wide_would_be_told(on_wire, payload):
    rest = on_wire(payload("coinbase/http_too_many_candles"), status=400)
    with pytest.raises(BadPayload, match="should be less than 350"):
        rest.get_candles("A-B", "1h", limit=1)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, {"error": "NOT_FOUND", "message": "Product A-B not supported"}, UnknownSymbol),
        (404, {"error": "unknown", "message": "no such path"}, type(None)),
        (404, None, type(None)),
        (401, None, BadCredentials),
        (401, {"error": "UNAUTHORIZED", "message": "no"}, BadCredentials),
        (403, {"error": "PERMISSION_DENIED", "message": "Missing required scopes"}, BadCredentials),
        (403, {"error": "PERMISSION_DENIED"}, type(None)),
        (403, None, type(None)),
        (400, [], type(None)),
        (400, {"error": {}, "message": []}, type(None)),
        (404, {"error": [1]}, type(None)),
        (404, "text", type(None)),
        (500, {"error": "INTERNAL"}, type(None)),
    ],
)
def test_errors_are_named_by_what_to_do(status, body, kind):
    assert type(read_error(status, body)) is kind


# Candles


@pytest.mark.parametrize("count", [1, 298, 299, 1000])
def test_no_window_is_wider_than_three_hundred_periods(coinbase, sandbox, count):
    assert len(coinbase.get_candles("BTC-USD", "1m", limit=count)) == count
    calls = sandbox.requests.candles
    assert all((call.end_ms - call.start_ms) // MINUTE_MS <= 300 for call in calls)
    assert {call.status for call in calls} == {200}
    assert len(calls) <= coinbase.calls_for(count + 2)


@pytest.mark.parametrize("symbol", ["AERO-USD", "DASH-USD"])
def test_a_quiet_symbol_is_looked_for_further_back(coinbase, sandbox, symbol):
    got = coinbase.get_candles(symbol, "1m", limit=250)
    truth = traded(sandbox, symbol, NOW_MINUTE_MS - 1000 * MINUTE_MS)
    assert len(truth) > 250
    until_ms = got.covered[-1][1]
    assert NOW_MINUTE_MS - 15 * MINUTE_MS < until_ms < NOW_MINUTE_MS
    assert values(got) == [row for row in truth if row[0] < until_ms][-250:]
    assert got[0].timestamp < NOW_MINUTE_MS - 300 * MINUTE_MS
    assert got.covered == ((got[0].timestamp, until_ms),)


def test_nobody_looks_back_further_than_one_thousand_periods(coinbase, sandbox):
    got = coinbase.get_candles("AERO-USD", "1m", limit=1000)
    earliest = NOW_MINUTE_MS - 1000 * MINUTE_MS
    ((from_ms, until_ms),) = got.covered
    assert earliest <= from_ms < earliest + 10 * MINUTE_MS
    assert values(got) == traded(sandbox, "AERO-USD", earliest, until_ms)
    assert min(call.start_ms for call in sandbox.requests.candles) == earliest
    assert len(sandbox.requests.candles) == 4


def test_a_range_of_a_quiet_symbol_is_covered_though_rows_are_missing(coinbase, sandbox):
    start_ms, end_ms = NOW_MINUTE_MS - 700 * MINUTE_MS, NOW_MINUTE_MS - 50 * MINUTE_MS
    got = coinbase.get_candles("DASH-USD", "1m", start_ms, end_ms)
    truth = traded(sandbox, "DASH-USD", start_ms, end_ms)
    assert values(got) == truth
    assert 0 < len(got) < 650
    # Of what lies behind the last row it tells nothing yet.
    ((from_ms, until_ms),) = got.covered
    assert (from_ms, until_ms) == (truth[0][0], truth[-1][0] + MINUTE_MS)
    assert len(got.quiet) > 50


def test_a_quiet_stretch_is_proven_by_the_rows_on_both_sides_of_it(coinbase, sandbox):
    truth = traded(sandbox, "DASH-USD", NOW_MINUTE_MS - 700 * MINUTE_MS)
    before, after = max(pairwise(truth), key=lambda rows: rows[1][0] - rows[0][0])
    start_ms, end_ms = before[0] + MINUTE_MS, after[0]
    assert end_ms - start_ms > 100 * MINUTE_MS
    alone = coinbase.get_candles("DASH-USD", "1m", start_ms, end_ms)
    assert (list(alone), alone.covered, alone.empty) == ([], (), ((start_ms, end_ms),))
    known = Known(before[0], after[0])
    got = coinbase.get_candles("DASH-USD", "1m", start_ms, end_ms, known=known)
    assert (list(got), got.covered, got.empty) == ([], ((start_ms, end_ms),), ())
    assert got.quiet == got.covered


def test_an_answer_that_lacks_a_row_that_is_known_is_asked_for_again(coinbase, sandbox):
    start_ms = NOW_MINUTE_MS - 700 * MINUTE_MS
    known = Known(start_ms - MINUTE_MS, start_ms + 5 * MINUTE_MS)
    window = ("BTC-USD", "1m", start_ms, start_ms + 5 * MINUTE_MS)
    sandbox.faults.add("empty", times=2, symbol="BTC-USD")
    assert len(coinbase.get_candles(*window, known=known)) == 5
    assert len(sandbox.requests.candles) == 3
    sandbox.faults.add("holes", open_times=[known.before_ms, start_ms], symbol="BTC-USD")
    got = coinbase.get_candles(*window, known=known)
    assert got.contradicts
    assert got.covered == ((start_ms + MINUTE_MS, start_ms + 5 * MINUTE_MS),)


@pytest.mark.parametrize("way", ["missing", "stale"])
@pytest.mark.parametrize(
    ("timeframe", "seconds"), [("1m", 30), ("1m", 200), ("5m", 45), ("1h", 400)]
)
def test_an_answer_that_is_late_proves_nothing_it_did_not_know(
    coinbase, sandbox, timeframe, seconds, way
):
    timeframe = Timeframe(timeframe)
    now_ms = timeframe.ceil(NOW_MS) + 20_000
    sandbox.clock.advance(now_ms - NOW_MS)
    sandbox.faults.add("late", seconds=seconds, way=way)
    got = coinbase.get_candles("ETH-USD", timeframe, limit=20)
    ((from_ms, until_ms),) = got.covered
    assert until_ms <= timeframe.floor(now_ms - 1000 * seconds)
    assert values(got) == sandbox.market.closed_candles(
        "ETH-USD", timeframe, from_ms, until_ms, traded_only=True
    )
    assert len(got) == 20


def test_an_empty_first_page_is_no_reason_to_look_for_old_candles_alone(coinbase, sandbox):
    sandbox.faults.add("empty", times=3, symbol="BTC-USD")
    got = coinbase.get_candles("BTC-USD", "1h", limit=100)
    end_ms = Timeframe.H1.floor(NOW_MS)
    assert got[-1].timestamp < end_ms - 290 * 3_600_000
    assert got.covered[-1][1] == got[-1].close_time_ms
    assert got.empty == ((got[-1].close_time_ms, end_ms),)


def test_another_name_of_a_book_has_its_candles(coinbase):
    other, same = (coinbase.get_candles(name, "5m", limit=9) for name in ("BTC-USDC", "BTC-USD"))
    assert values(other) == values(same)


# Listing


def listed(**changes):
    row = {
        "product_id": "A-B",
        "base_currency_id": "A",
        "quote_currency_id": "B",
        "status": "online",
    }
    return read_listing([row | changes])


def test_a_product_that_shows_anothers_book_names_it():
    (own,) = listed()
    assert own.alias == ""
    assert listed(alias="A-USD")[0].alias == "A-USD"
    for nothing in ({"alias": ""}, {"alias": None}, {"alias": "A-B"}, {"alias": 7}):
        assert listed(**nothing)[0].alias == ""
    for nothing in (None, "A-B", 7, [None, {}], {"A-B": "A-C"}):
        assert listed(alias_to=nothing)[0].alias == ""


def test_what_is_said_on_the_other_side_is_enough():
    rows = [
        {"base_currency_id": "A", "status": "online"}
        | {"product_id": f"A-{quote}", "quote_currency_id": quote, "alias_to": alias_to}
        for quote, alias_to in (("USDC", []), ("USD", ["A-USDC"]), ("EUR", []))
    ]
    assert [one.alias for one in read_listing(rows)] == ["A-USD", "", ""]


def test_a_product_trades_unless_anything_speaks_against_it():
    assert listed()[0].is_trading
    assert listed(limit_only=True, post_only=True, new=True)[0].is_trading
    for change in (
        {"status": "delisted"},
        {"status": "something new"},
        {"trading_disabled": True},
        {"is_disabled": True},
        {"cancel_only": True},
        {"view_only": True},
    ):
        assert not listed(**change)[0].is_trading


def test_only_what_the_exchange_calls_delisted_is_that():
    assert listed(status="delisted", is_disabled=True)[0].is_delisted
    for change in ({"status": "something new"}, {"trading_disabled": True}, {"view_only": True}):
        assert not listed(**change)[0].is_delisted
    for mode in ("limit_only", "post_only", "auction_mode"):
        assert listed(**{mode: True})[0].is_trading, "it makes candles, or soon will"
    for status in (None, 5):
        assert listed(status=status)[0].is_trading is None, "nobody said"


@pytest.mark.parametrize("bad", [{}, {"product_id": "X-Y"}, {"base_currency_id": "X"}])
def test_a_product_that_cannot_be_read_costs_that_product(caplog, bad):
    good = {"product_id": "A-B", "base_currency_id": "A", "quote_currency_id": "B"}
    rows = [bad, good | {"status": "online"}]
    assert [each.symbol for each in read_listing(rows)] == ["A-B"]
    (told,) = caplog.messages
    assert told.startswith("listing.rows_unreadable venue=Coinbase count=1 first=")


def test_names_come_from_base_and_quote():
    (item,) = listed(product_id="X", base_currency_id="1INCH", quote_currency_id="USDC")
    assert (item.symbol, item.native_symbol) == ("1INCH-USDC", "X")


def test_a_future_is_no_symbol():
    assert listed(product_type="FUTURE") == []


@pytest.mark.parametrize("products", [[None], [1], [{}], [{"product_id": "A-B"}], ["A-B"]])
def test_a_listing_in_another_form_is_refused(products):
    with pytest.raises(BadPayload, match="the listing is not in Coinbase's form"):
        read_listing(products)


def test_a_long_listing_is_fetched_in_pages(coinbase, sandbox, monkeypatch):
    monkeypatch.setattr(venue, "PRODUCTS_PER_CALL", 4)
    symbols = [item.symbol for item in coinbase.list_symbols()]
    expected = [one.symbol for one in LISTINGS if one.is_on("coinbase")]
    assert symbols == expected
    assert sandbox.requests.counts["coinbase.products"] == len(expected) // 4 + 1
