import threading

import orjson
import pytest
import requests

from exchanges.errors import (
    BadCredentials,
    BadPayload,
    Paused,
    Temporary,
    UnknownSymbol,
    Unreachable,
    shape_of,
)
from exchanges.klines.limits import read_limits
from exchanges.klines.replies import used_weight
from exchanges.models import Exchange
from exchanges.rest.base import LOOKS, Known
from exchanges.rest.client import ATTEMPTS
from exchanges.rest.pacing.budget import Limits
from exchanges.rest.pacing.memory import HostMemory
from exchanges.rest.pacing.pacer import Pacer
from exchanges.venues.binance.rest import read_error
from exchanges.venues.binance.symbols import read_listing
from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.timeframe import Timeframe
from tests.exchanges.venues.conftest import NOW_MS, values

MINUTE_MS = 60_000
NOW_MINUTE_MS = Timeframe.M1.floor(NOW_MS)
WEIGHT = Exchange.Pacing.WEIGHT
OPEN_MS = 1_500_000_000_000
TIME = (200, {}, b'{"serverTime":1500000030000}')  # half of the minute OPEN_MS is over
PAST_MS = OPEN_MS - 3000 * MINUTE_MS
DAY_MS = 1_499_040_000_000


@pytest.fixture
def on_wire(row, adapters, wire):
    """Return a REST side whose exchange first tells its time, then what it is told to."""

    def on_wire(*replies, status=200, **settings):
        exchange = row("binance", wire, **settings)
        exchange.symbols.create(symbol="A-B", native_symbol="AB", base="A", quote="B")
        wire.answer(TIME, *((status, {}, reply) for reply in replies))
        return adapters(exchange)

    return on_wire


def kline(open_ms, *, step_ms=MINUTE_MS, volume="10"):
    """Return a row as Binance writes it."""
    return [open_ms, "1", "2", "0.5", "1.5", volume, open_ms + step_ms - 1, "1", 1, "1", "1", "0"]


def klines(first, last=None, **changes):
    """Return a reply of rows from the minute `first` to `last`, both counted from PAST_MS."""
    rows = [kline(PAST_MS + n * MINUTE_MS, **changes) for n in range(first, (last or first) + 1)]
    return orjson.dumps(rows)


def minute_of(time_ms):
    return (time_ms - PAST_MS) // MINUTE_MS


def minutes(candles):
    return [minute_of(candle.timestamp) for candle in candles]


def test_a_recorded_row_is_read(on_wire, wire, payload):
    # The document's example is a week's bar: its last millisecond is made that of its first day.
    day = payload("binance/http_get_klines").replace(b"1499644799999", b"1499126399999")
    rest = on_wire(day)
    (candle,) = rest.get_candles("A-B", "1d", DAY_MS, DAY_MS + 86_400_000)
    assert candle == Candle(
        DAY_MS, 0.0163479, 0.8, 0.015758, 0.015771, 148976.11427815, Timeframe.D1
    )
    assert wire.seen[1][0] == (
        "/api/v3/klines?symbol=AB&interval=1d&startTime=1499040000000&endTime=1499126399999&limit=1000"
    )


def test_the_four_columns_of_a_row_are_kept(on_wire, payload):
    rest = on_wire(payload("binance/http_get_klines").replace(b"1499644799999", b"1499126399999"))
    (candle,) = rest.get_candles("A-B", "1d", DAY_MS, DAY_MS + 86_400_000)
    assert candle.columns == (2434.19055334, 308, 1756.87402397, 28.46694368)


@pytest.mark.parametrize("column", range(7, 11))
@pytest.mark.parametrize("told", [None, "n/a", "-1"])
def test_a_column_that_is_no_number_leaves_a_candle_of_six(on_wire, column, told):
    row = kline(PAST_MS)
    row[column] = told
    rows = orjson.dumps([row, kline(PAST_MS + MINUTE_MS)])
    got = on_wire(rows).get_candles("A-B", "1m", PAST_MS, PAST_MS + 2 * MINUTE_MS)
    assert [len(candle.row()) for candle in got] == [6, 10]
    assert (got.refused, got.covered) == ([], ((PAST_MS, PAST_MS + 2 * MINUTE_MS),))


def test_a_row_of_another_length_than_asked_for_is_refused(on_wire, payload):
    rest = on_wire(payload("binance/http_get_klines"))  # a week's
    got = rest.get_candles("A-B", "1d", DAY_MS, DAY_MS + 86_400_000)
    assert (list(got), len(got.refused), got.covered) == ([], 1, ())
    assert got.refused[0].startswith("not a 1d row")


@pytest.mark.parametrize("column", range(1, 6))
@pytest.mark.parametrize("told", [True, 1.5, 1, None, "1_000"])
def test_a_value_that_is_no_decimal_string_is_refused(on_wire, column, told):
    row = kline(PAST_MS)
    row[column] = told
    got = on_wire(orjson.dumps([row])).get_candles("A-B", "1m", PAST_MS, PAST_MS + MINUTE_MS)
    assert (list(got), len(got.refused), got.covered) == ([], 1, ())


@pytest.mark.parametrize("columns", [11, 13])
def test_a_row_of_more_or_fewer_columns_is_refused(on_wire, columns):
    row = [*kline(PAST_MS), "0"][:columns]
    got = on_wire(orjson.dumps([row])).get_candles("A-B", "1m", PAST_MS, PAST_MS + MINUTE_MS)
    assert (list(got), len(got.refused), got.covered) == ([], 1, ())


def test_rows_outside_of_a_past_range_are_refused_and_none_is_the_open_candle(on_wire):
    got = on_wire(klines(0, 2)).get_candles("A-B", "1m", PAST_MS, PAST_MS + MINUTE_MS)
    assert minutes(got) == [0]
    assert len(got.refused) == 2
    assert got.open_candle is None


def test_a_row_from_the_far_future_is_refused_and_is_not_the_open_candle(on_wire):
    now = minute_of(OPEN_MS)
    rows = klines(now - 3, now)[:-1] + b"," + orjson.dumps([kline(4_000_000_020_000)])[1:]
    got = on_wire(rows, TIME[2], rows).get_candles("A-B", "1m", limit=2)
    assert minutes(got) == [now - 2, now - 1]
    assert minutes([got.open_candle]) == [now]
    assert [line.partition(":")[0] for line in got.refused] == ["opens in the future"]


def test_an_exchange_that_ignores_the_window_overwrites_and_covers_nothing(on_wire):
    rest = on_wire(klines(0, 999), klines(0, 999, volume="99"))
    got = rest.get_candles("A-B", "1m", PAST_MS, PAST_MS + 2000 * MINUTE_MS)
    assert {candle.volume for candle in got} == {10.0}
    assert got.covered == ((PAST_MS, PAST_MS + 1000 * MINUTE_MS),)
    assert len(got.refused) == 1000


@pytest.mark.parametrize("body", [b"{}", b"null", b'"x"', b"1"])
def test_an_answer_that_is_no_list_is_refused(on_wire, body):
    with pytest.raises(BadPayload, match="not in Binance's form"):
        on_wire(body).get_candles("A-B", "1d", limit=1)


@pytest.mark.parametrize(
    "bad", [b"null", b"1", b'"abc"', b"[]", b"{}", b"[[]]", b"[1499040000000]"]
)
def test_a_row_that_is_no_row_is_refused_and_nothing_is_covered(on_wire, bad):
    got = on_wire(b"[%s]" % bad).get_candles("A-B", "1d", DAY_MS, DAY_MS + 86_400_000)
    assert (list(got), len(got.refused), got.covered) == ([], 1, ())


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"serverTime":null}', b'{"serverTime":"x"}'])
def test_a_time_that_is_none_is_refused(row, adapters, wire, body):
    wire.answer((200, {}, body))
    with pytest.raises(BadPayload, match="the time is not in Binance's form"):
        adapters(row("binance", wire)).server_time_ms()


def test_an_unknown_symbol_is_told_with_the_exchanges_words(on_wire, payload):
    rest = on_wire(payload("binance/http_unknown_symbol"), status=400)
    with pytest.raises(UnknownSymbol, match=r"Invalid symbol\."):
        rest.get_candles("A-B", "1d", limit=1)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"code": -1121, "msg": "Invalid symbol."}, UnknownSymbol),
        (400, {"code": -1001, "msg": "Internal error"}, Unreachable),
        (408, {"code": -1007, "msg": "Timeout waiting"}, Unreachable),
        (400, {"code": -1008, "msg": "Server is currently overloaded"}, Unreachable),
        (400, {"code": -2014, "msg": "API-key format invalid."}, BadCredentials),
        (401, {"code": -2015, "msg": "Invalid API-key"}, BadCredentials),
        (401, None, BadCredentials),
        (400, {"code": -1100, "msg": "Illegal characters"}, type(None)),
        (403, None, type(None)),
        (400, {"code": "-1121"}, UnknownSymbol),
        (400, {"code": [1]}, type(None)),
        (400, {"code": {"a": 1}}, type(None)),
        (400, {"code": None}, type(None)),
        (400, {}, type(None)),
        (400, None, type(None)),
        (400, [], type(None)),
        (400, "text", type(None)),
    ],
)
def test_codes_are_named_by_what_to_do(status, body, kind):
    assert type(read_error(status, body)) is kind


@pytest.mark.parametrize(
    ("headers", "weight"),
    [
        ({"X-MBX-USED-WEIGHT-1M": "120"}, 120),
        ({"X-MBX-USED-WEIGHT-1M": "-1"}, None),
        ({"X-MBX-USED-WEIGHT-1M": "²"}, None),
        ({"X-MBX-USED-WEIGHT-1M": "many"}, None),
        ({"X-MBX-USED-WEIGHT": "120"}, None),
        ({}, None),
    ],
)
def test_used_weight_is_read_where_it_is_told(headers, weight):
    assert used_weight(headers) == weight


# Candles


@pytest.mark.parametrize(("count", "limits"), [(1, [3]), (998, [1000]), (1000, [1000, 3])])
def test_the_newest_take_two_rows_more_than_wanted(binance, sandbox, count, limits):
    got = binance.get_candles("BTC-USD", "1m", limit=count)
    assert len(got) == count
    assert [request.limit for request in sandbox.requests.candles] == limits


def test_a_symbol_of_another_script_is_fetched(binance, sandbox):
    got = binance.get_candles("币安人生-USDT", "1m", limit=5)
    start_ms = NOW_MINUTE_MS - 5 * MINUTE_MS
    truth = sandbox.market.closed_rows("币安人生-USDT", Timeframe.M1, start_ms, NOW_MINUTE_MS)
    assert [candle.row() for candle in got] == truth


def test_a_minute_without_trades_is_a_candle_here(binance):
    got = binance.get_candles("AERO-USD", "1m", limit=500)
    quiet = [candle for candle in got if not candle.volume]
    assert len(got) == 500
    assert quiet
    assert all(candle.open == candle.close for candle in quiet)


def test_a_hole_in_the_middle_is_not_believed_at_once(binance, sandbox):
    start_ms, end_ms = NOW_MINUTE_MS - 30 * MINUTE_MS, NOW_MINUTE_MS - 20 * MINUTE_MS
    sandbox.faults.add("holes", open_times=[start_ms + 3 * MINUTE_MS, start_ms + 4 * MINUTE_MS])
    got = binance.get_candles("BTC-USD", "1m", start_ms, end_ms)
    hole = (start_ms + 3 * MINUTE_MS, start_ms + 5 * MINUTE_MS)
    assert len(got) == 8
    assert got.covered == ((start_ms, hole[0]), (hole[1], end_ms))
    assert got.empty == (hole,)


def test_a_hole_is_asked_for_with_the_rows_beside_it(binance, sandbox):
    start_ms = NOW_MINUTE_MS - 30 * MINUTE_MS
    known = Known(start_ms - MINUTE_MS, start_ms + MINUTE_MS)
    sandbox.faults.add("holes", open_times=[start_ms])
    got = binance.get_candles("BTC-USD", "1m", start_ms, start_ms + MINUTE_MS, known=known)
    assert (list(got), got.contradicts) == ([], False)
    assert got.empty == got.asked == ((start_ms, start_ms + MINUTE_MS),)
    sandbox.faults.replace([{"kind": "holes", "open_times": [start_ms, known.after_ms]}])
    assert binance.get_candles(
        "BTC-USD", "1m", start_ms, start_ms + MINUTE_MS, known=known
    ).contradicts


def test_a_newest_bar_that_is_not_there_yet_is_asked_for_again(binance, sandbox):
    start_ms = NOW_MINUTE_MS - 5 * MINUTE_MS
    sandbox.faults.add("holes", open_times=[NOW_MINUTE_MS - MINUTE_MS], symbol="BTC-USD")
    late = binance.get_candles("BTC-USD", "1m", start_ms)
    assert late.covered == ((start_ms, NOW_MINUTE_MS - MINUTE_MS),)
    sandbox.faults.clear()
    assert binance.get_candles("BTC-USD", "1m", start_ms).covered == ((start_ms, NOW_MINUTE_MS),)


@pytest.mark.parametrize("way", ["missing", "stale"])
@pytest.mark.parametrize("seconds", [10, 61, 250])
def test_an_answer_that_is_late_proves_nothing_it_did_not_know(binance, sandbox, seconds, way):
    sandbox.faults.add("late", seconds=seconds, way=way)
    start_ms = NOW_MINUTE_MS - 20 * MINUTE_MS
    got = binance.get_candles("BTC-USD", "1m", start_ms)
    truth = sandbox.market.closed_candles("BTC-USD", Timeframe.M1, start_ms, NOW_MINUTE_MS)
    ((_, until_ms),) = got.covered
    assert until_ms <= Timeframe.M1.floor(NOW_MS - 1000 * seconds)
    assert values(got) == [row for row in truth if row[0] < until_ms]


def test_a_range_goes_on_behind_a_short_page(on_wire, wire):
    rest = on_wire(klines(0, 499), klines(500, 999), klines(1000, 1199))
    end_ms = PAST_MS + 1200 * MINUTE_MS
    got = rest.get_candles("A-B", "1m", PAST_MS, end_ms)
    assert minutes(got) == list(range(1200))
    assert (got.refused, got.covered) == ([], ((PAST_MS, end_ms),))
    assert len(wire.seen) == 1 + 3


def test_what_a_short_page_left_out_is_asked_for_once_more(on_wire, wire):
    rest = on_wire(klines(0, 6), klines(7, 9))
    got = rest.get_candles("A-B", "1m", PAST_MS, PAST_MS + 10 * MINUTE_MS)
    assert minutes(got) == list(range(10))
    assert f"startTime={PAST_MS + 7 * MINUTE_MS}&" in wire.seen[2][0]


def test_a_short_page_is_not_the_end_of_history(on_wire):
    now = minute_of(OPEN_MS)
    rest = on_wire(klines(now - 40, now), klines(now - 90, now - 40), klines(now - 130, now - 90))
    got = rest.get_candles("A-B", "1m", limit=100)
    assert minutes(got) == list(range(now - 100, now))
    assert got.covered == ((OPEN_MS - 100 * MINUTE_MS, OPEN_MS),)


def test_history_begins_where_its_first_row_is_one_that_is_known(on_wire, wire):
    now = minute_of(OPEN_MS)
    first = klines(now - 40, now - 40)
    got = on_wire(klines(now - 40, now), first, first).get_candles("A-B", "1m", limit=100)
    assert minutes(got) == list(range(now - 40, now))
    assert got.covered == ((OPEN_MS - 1000 * MINUTE_MS, OPEN_MS),)
    assert f"startTime={OPEN_MS - 1000 * MINUTE_MS}&" in wire.seen[-1][0]


def test_where_history_begins_no_empty_answer_tells(on_wire, wire):
    now = minute_of(OPEN_MS)
    got = on_wire(klines(now - 40, now), b"[]").get_candles("A-B", "1m", limit=100)
    assert minutes(got) == list(range(now - 40, now))
    assert got.covered == ((OPEN_MS - 40 * MINUTE_MS, OPEN_MS),)
    assert got.empty == ((OPEN_MS - 1000 * MINUTE_MS, OPEN_MS - 40 * MINUTE_MS),)
    assert len(wire.seen) == 1 + 1 + 2 * LOOKS


# Weight


def test_the_limits_are_learnt_once_from_the_exchange(row, adapters, start, redis):
    server = start(weight_limit=4321, raw_limit=9876)
    for _ in range(2):
        adapters(row("binance", server, pacing=WEIGHT)).get_candles("BTC-USD", "1m", limit=1)
    told = redis.hmget(keys.pacing(server.url[7:]), "weight_limit", "request_limit")
    assert told == [b"4321", b"9876"]


def test_an_exchange_that_tells_no_limit_of_weight_is_asked_once(on_wire, wire):
    rest = on_wire(b'{"rateLimits":[]}', klines(0), pacing=WEIGHT)
    for _ in range(2):
        rest.get_candles("A-B", "1m", PAST_MS, PAST_MS + MINUTE_MS)
    assert [path.partition("?")[0] for path, _ in wire.seen[1:]] == [
        "/api/v3/exchangeInfo",
        *["/api/v3/klines"] * 2,
    ]
    assert rest.client.pacer.limits_known()


def test_threads_that_begin_together_ask_for_the_limits_once(row, adapters, start):
    server = start(latency_ms=5)
    exchange = row("binance", server, pacing=WEIGHT)
    exchange.symbols.create(symbol="BTC-USD", native_symbol="BTCUSD", base="BTC", quote="USD")
    rest = adapters(exchange)
    threads = [threading.Thread(target=rest.get_candles, args=("BTC-USD", "1m")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert server.requests.counts["binance.exchangeInfo"] == 1
    assert server.requests.counts["binance.klines"] == 8


@pytest.fixture
def short_timeouts(monkeypatch):
    """Give up instead of waiting for more weight."""

    def sleep(pacer, seconds):
        if seconds:
            raise Temporary("enough")

    monkeypatch.setattr(Pacer, "sleep", sleep)


def fetch_until_weight_is_used_up(rests):
    given_up = set()
    while len(given_up) < len(rests):
        for number, rest in enumerate(rests):
            try:
                rest.get_candles("BTC-USD", "1m", limit=1)
            except Temporary:
                given_up.add(number)


def test_two_clients_together_stay_at_four_fifths_of_the_limit(
    row, adapters, start, short_timeouts
):
    server = start(speed=0, start_ms=NOW_MS, weight_limit=200)
    rests = [adapters(row("binance", server, pacing=WEIGHT)) for _ in range(2)]
    fetch_until_weight_is_used_up(rests)
    weights = [request.weight for request in server.requests.candles]
    assert 140 <= max(weights) <= 160
    assert {request.status for request in server.requests.candles} == {200}


def test_the_weight_that_another_program_uses_is_left_to_it(row, adapters, start, short_timeouts):
    server = start(speed=0, start_ms=NOW_MS, weight_limit=300)
    rest = adapters(row("binance", server, pacing=WEIGHT))
    rest.get_candles("BTC-USD", "1m", limit=1)
    for _ in range(5):
        requests.get(f"{server.url}/api/v3/exchangeInfo", timeout=5)  # 20 each
    fetch_until_weight_is_used_up([rest])
    assert 200 <= max(request.weight for request in server.requests.candles) <= 240


def test_an_exchange_paced_in_batches_is_not_asked_for_limits(row, adapters, sandbox):
    exchange = row("binance", sandbox)
    exchange.symbols.create(symbol="BTC-USD", native_symbol="BTCUSD", base="BTC", quote="USD")
    adapters(exchange).get_candles("BTC-USD", "1m", limit=1)
    assert sandbox.requests.counts["binance.exchangeInfo"] == 0


# Listing and limits


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_native_names_the_one_that_trades_is_asked_for(row, adapters, wire, order):
    names = [("GOOD", "TRADING"), ("BAD", "BREAK")][::order]
    symbols = [{"symbol": n, "status": s, "baseAsset": "A", "quoteAsset": "B"} for n, s in names]
    listing = orjson.dumps({"rateLimits": [], "symbols": symbols})
    wire.answer((200, {}, listing), TIME, (200, {}, b"[]"))
    adapters(row("binance", wire)).get_candles("A-B", "1m", limit=1)
    assert "symbol=GOOD&" in wire.seen[2][0]


def listed(**changes):
    row = {"symbol": "AB", "status": "TRADING", "baseAsset": "A", "quoteAsset": "B"}
    (item,) = read_listing({"symbols": [row | changes]})
    return item


def test_names_come_from_base_and_quote_and_never_from_splitting():
    item = listed(symbol="BNBUSD", baseAsset="BN", quoteAsset="BUSD")
    assert (item.symbol, item.native_symbol, item.base, item.quote) == (
        "BN-BUSD", "BNBUSD", "BN", "BUSD",
    )  # fmt: skip


def test_only_the_status_trading_trades():
    assert listed().is_trading
    assert listed(permissions=[], permissionSets=[["SPOT"]]).is_trading
    for status in ("BREAK", "HALT", "END_OF_DAY", "CANCEL_ONLY", "SOMETHING_NEW"):
        assert listed(status=status).is_trading is False
    for status in (None, 5, ["TRADING"]):
        assert listed(status=status).is_trading is None, "nobody said"
    assert listed(isSpotTradingAllowed=False).is_trading is False


@pytest.mark.parametrize(
    "bad", [None, 7, "AB", [], {}, {"symbol": "XY"}, {"symbol": "XY", "baseAsset": "X"}]
)
def test_a_row_that_cannot_be_read_costs_that_row(caplog, bad):
    good = {"symbol": "AB", "status": "TRADING", "baseAsset": "A", "quoteAsset": "B"}
    assert [each.symbol for each in read_listing({"symbols": [bad, good, bad]})] == ["A-B"]
    (told,) = caplog.messages
    assert told.startswith("listing.rows_unreadable venue=Binance count=2 first=")


def test_a_market_of_which_it_is_not_said_whether_it_trades_does_not(row, adapters, wire):
    market = {"status": "TRADING", "baseAsset": "A", "isSpotTradingAllowed": None}
    symbols = [market | {"symbol": f"A{quote}", "quoteAsset": quote} for quote in "BC"]
    symbols[1]["isSpotTradingAllowed"] = True
    listing = orjson.dumps({"rateLimits": [], "symbols": symbols})
    wire.answer((200, {}, listing), TIME, (200, {}, b"[]"))
    rest = adapters(row("binance", wire))
    assert list(rest.get_candles("A-C", "1m", limit=1)) == []
    assert not listed(isSpotTradingAllowed=None).is_trading


@pytest.mark.parametrize(
    "body", [None, [], {}, {"symbols": None}, {"symbols": [1]}, {"symbols": [{"symbol": "AB"}]}]
)
def test_a_listing_in_another_form_is_refused(body):
    with pytest.raises(BadPayload, match="the listing is not in Binance's form"):
        read_listing(body)


def limit(kind, interval, number, value):
    return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": value}


def test_the_limits_of_one_address_are_read():
    weight, requests = (
        limit("REQUEST_WEIGHT", "MINUTE", 1, 6000),
        limit("RAW_REQUESTS", "MINUTE", 5, 61_000),
    )
    orders = limit("ORDERS", "SECOND", 10, 100)
    assert read_limits({"rateLimits": [orders, weight, requests]}) == Limits(6000, 61_000)
    assert read_limits({"rateLimits": [weight]}) == Limits(6000, 30_000)
    assert read_limits({"rateLimits": [orders, requests]}) is None
    assert read_limits({"rateLimits": []}) is None


ODD_LIMITS = (0, -1, 19, 10**7 + 1, 10**400, 6000.5, "6000", "x", None, True, [], {})


@pytest.mark.parametrize("value", ODD_LIMITS, ids=lambda value: str(value)[:12])
def test_a_limit_that_is_no_sensible_number_is_none(value):
    weight = limit("REQUEST_WEIGHT", "MINUTE", 1, 6000)
    requests = limit("RAW_REQUESTS", "MINUTE", 5, 61_000)
    assert read_limits({"rateLimits": [weight | {"limit": value}, requests]}) is None
    assert read_limits({"rateLimits": [weight, requests | {"limit": value}]}) is None


@pytest.mark.parametrize("body", [None, [], {}, "text", {"rateLimits": None}, {"rateLimits": 7}])
def test_a_reply_without_limits_has_none(body):
    assert read_limits(body) is None


@pytest.mark.parametrize(
    "row",
    [
        *(None, 1, "REQUEST_WEIGHT", [], {}, {"rateLimitType": "REQUEST_WEIGHT"}),
        {"rateLimitType": "REQUESTS", "interval": "MINUTE", "limit": 1200},  # until 2018
        limit("REQUEST_WEIGHT", "MINUTE", "1", 6000),
        limit("REQUEST_WEIGHT", "SECOND", 1, 6000),
        limit(["REQUEST_WEIGHT"], {}, [], 6000),
    ],
    ids=str,
)
def test_a_row_in_another_form_is_no_limit_and_hides_none(row):
    assert read_limits({"rateLimits": [row]}) is None
    good = limit("REQUEST_WEIGHT", "MINUTE", 1, 6000)
    assert read_limits({"rateLimits": [row, good]}) == Limits(6000, 30_000)


def test_of_two_limits_of_a_kind_the_lower_one_counts():
    rows = [limit("REQUEST_WEIGHT", "MINUTE", 1, value) for value in (1200, 6000)]
    assert read_limits({"rateLimits": rows}) == Limits(1200, 6000)


FORMS = (
    {"rateLimits": [{}]},
    {},
    [],
    {"rateLimits": None},
    {"rateLimits": {"REQUEST_WEIGHT": 6000}},
    {"rateLimits": "6000 a minute"},
    {"rateLimits": ["REQUEST_WEIGHT"]},
    {"rateLimits": [{"rateLimitType": "REQUESTS", "interval": "MINUTE", "limit": 1200}]},
    *({"rateLimits": [limit("REQUEST_WEIGHT", "MINUTE", 1, n)]} for n in (0, -6000, 10**18)),
)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form)[:70])
def test_limits_in_another_form_let_candles_through_with_one_warning(
    on_wire, wire, redis, caplog, form
):
    rest = on_wire(orjson.dumps(form), klines(0), pacing=WEIGHT)
    for _ in range(3):
        assert minutes(rest.get_candles("A-B", "1m", PAST_MS, PAST_MS + MINUTE_MS)) == [0]
    assert [path.partition("?")[0] for path, _ in wire.seen[1:]] == [
        "/api/v3/exchangeInfo",
        *["/api/v3/klines"] * 3,
    ]
    told = redis.hmget(keys.pacing(wire.host), "weight_limit", "request_limit")
    assert told == [b"1200", b"5000"]
    seen = shape_of(form.get("rateLimits") if isinstance(form, dict) else form)
    [warning] = [text for text in caplog.messages if text.startswith("limits.")]
    assert warning == f"limits.not_understood host={wire.host} kept=1200/min seen={seen}"


@pytest.mark.parametrize("body", [b"[%s1]" % (b"1," * 2_100_000), b'"%s"' % (b"x" * 33_000_000)])
def test_limits_that_come_too_long_let_candles_through(on_wire, wire, body, caplog):
    rest = on_wire(body, klines(0), pacing=WEIGHT)
    assert minutes(rest.get_candles("A-B", "1m", PAST_MS, PAST_MS + MINUTE_MS)) == [0]
    [warning] = [text for text in caplog.messages if text.startswith("limits.")]
    assert warning.startswith(f"limits.not_learnt host={wire.host} error={wire.host}/api/v3/")


def test_limits_in_another_form_leave_the_listing_alone(row, adapters, wire):
    market = {"symbol": "AB", "status": "TRADING", "baseAsset": "A", "quoteAsset": "B"}
    wire.answer((200, {}, orjson.dumps({"rateLimits": [{}], "symbols": [market]})))
    [listed] = adapters(row("binance", wire, pacing=WEIGHT)).list_symbols()
    assert listed.symbol == "A-B"


def test_limits_that_were_understood_outlast_a_reply_that_is_not(row, adapters, wire, redis):
    rest = adapters(row("binance", wire, pacing=WEIGHT))
    good = {"rateLimits": [limit("REQUEST_WEIGHT", "MINUTE", 1, 6000)], "symbols": []}
    wire.answer(*((200, {}, orjson.dumps(body)) for body in (good, {"symbols": []})))
    for _ in range(2):
        rest.list_symbols()
    assert redis.hget(keys.pacing(wire.host), "weight_limit") == b"6000"


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (503, ATTEMPTS)])
def test_an_exchange_that_does_not_tell_its_limits_tells_its_candles(
    on_wire, wire, caplog, status, tries
):
    rest = on_wire(pacing=WEIGHT)
    wire.answer(TIME, *[(status, {}, b"<html>gone</html>")] * tries, (200, {}, klines(0)))
    for _ in range(3):
        assert minutes(rest.get_candles("A-B", "1m", PAST_MS, PAST_MS + MINUTE_MS)) == [0]
    assert len(wire.seen) == 1 + tries + 3
    [warning] = [text for text in caplog.messages if text.startswith("limits.")]
    assert f"HTTP {status}" in warning


def test_a_symbol_that_is_gone_does_not_keep_the_limits_from_being_learnt(on_wire, wire, redis):
    rest = on_wire(pacing=WEIGHT)
    unknown = b'{"code":-1121,"msg":"Invalid symbol."}'
    wire.answer(TIME, (400, {}, unknown), (200, {}, klines(0)))
    assert minutes(rest.get_candles("A-B", "1m", PAST_MS, PAST_MS + MINUTE_MS)) == [0]
    assert redis.hget(keys.pacing(wire.host), "weight_limit") is None


# Limits that were lost


@pytest.fixture
def hurried(monkeypatch):
    """Fail where anybody would wait for longer than a second."""
    sleep = Pacer.sleep

    def sleep_shortly(pacer, seconds):
        assert seconds < 1
        sleep(pacer, seconds)

    monkeypatch.setattr(Pacer, "sleep", sleep_shortly)


def use_up(server, calls):
    for _ in range(calls):
        requests.get(f"{server.url}/api/v3/exchangeInfo", timeout=5)  # 20 each


def in_other_processes(rests):
    """Let these know of the host what they learn themselves, as if each were in its process."""
    for rest in rests:
        rest.client.pacer._memory = HostMemory()
    return rests


def without_memory(pacer):
    """Return what takes a call as a process does that has just begun."""

    def reply(take, arguments):
        return take(keys=[pacer._key], args=arguments)

    return reply


@pytest.mark.parametrize("alone", [True, False])
def test_what_redis_lost_lets_nobody_pass_the_limit(
    row, adapters, start, redis, short_timeouts, alone
):
    server = start(speed=0, start_ms=NOW_MS, weight_limit=300)
    rests = [adapters(row("binance", server, pacing=WEIGHT)) for _ in range(2)]
    in_other_processes(rests)
    for rest in rests:
        for _ in range(30):
            rest.get_candles("BTC-USD", "1m", limit=1)
    redis.flushall()
    fetch_until_weight_is_used_up(rests[:1] if alone else rests)
    weights = [request.weight for request in server.requests.candles]
    assert 200 <= max(weights) <= 240  # four fifths, and all that heals nothing less than that
    assert {request.status for request in server.requests.candles} == {200}


def test_limits_that_redis_lost_are_put_back_at_once(row, adapters, start, redis, hurried):
    server = start(speed=0, start_ms=NOW_MS)
    rest = adapters(row("binance", server, pacing=WEIGHT))
    rest.get_candles("BTC-USD", "1m", limit=1)
    use_up(server, 100)
    redis.flushall()
    before = server.requests.counts["binance.exchangeInfo"]
    for _ in range(3):
        rest.get_candles("BTC-USD", "1m", limit=1)
    assert redis.hget(keys.pacing(server.url[7:]), "weight_limit") == b"6000"
    assert server.requests.counts["binance.exchangeInfo"] == before


@pytest.mark.parametrize("what", ["candles", "time", "listing"])
def test_who_would_wait_without_knowing_the_limits_asks_for_them(
    row, adapters, start, redis, hurried, what
):
    server = start(speed=0, start_ms=NOW_MS)
    rest, other = (adapters(row("binance", server, pacing=WEIGHT)) for _ in range(2))
    rest.client.pacer._reply = without_memory(rest.client.pacer)
    rest.get_candles("BTC-USD", "1m", limit=1)
    redis.flushall()
    use_up(server, 100)
    other.server_time_ms()  # a process that has ended since saw what is used
    if what == "candles":
        rest.get_candles("BTC-USD", "1m", limit=1)
    else:
        {"time": rest.server_time_ms, "listing": rest.list_symbols}[what]()
    assert redis.hget(keys.pacing(server.url[7:]), "weight_limit") == b"6000"


def test_all_who_never_knew_the_limits_ask_for_them_once(row, adapters, start, redis):
    server = start(latency_ms=20)
    rests = [adapters(row("binance", server, pacing=WEIGHT)) for _ in range(4)]
    for rest in rests:
        rest.client.pacer._reply = without_memory(rest.client.pacer)
        rest.get_candles("BTC-USD", "1m", limit=1)
    redis.flushall()
    use_up(server, 100)
    before = server.requests.counts["binance.exchangeInfo"]
    threads = [
        threading.Thread(target=rest.get_candles, args=("BTC-USD", "1m"), kwargs={"limit": 1})
        for rest in rests * 6
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    rests[0].get_candles("BTC-USD", "1m", limit=1)
    assert server.requests.counts["binance.exchangeInfo"] == before + 1


def test_while_it_asks_for_a_pause_nobody_asks_for_the_limits(row, adapters, start, redis):
    server = start(speed=0, start_ms=NOW_MS)
    rest = adapters(row("binance", server, pacing=WEIGHT))
    rest.client.pacer.hold(300)
    with pytest.raises(Paused):
        rest.get_candles("BTC-USD", "1m", limit=1)
    assert not server.requests.counts
