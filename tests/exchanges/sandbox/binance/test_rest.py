import json

import pytest

from exchanges.sandbox.market.listings import Listing
from livermore.market.timeframe import Timeframe
from tests.exchanges.sandbox.conftest import NOW_MS

MINUTE_MS = NOW_MS - NOW_MS % 60_000  # when the current minute opened


def opens(reply):
    return [row[0] for row in reply.json()]


def minutes(first, last):
    """Return open times, counted in minutes from the current one."""
    return [MINUTE_MS + 60_000 * number for number in range(first, last + 1)]


def test_a_row_has_twelve_elements_and_the_text_of_the_true_candle(sandbox, klines):
    row = klines(sandbox, "BTCUSD", "1h", endTime=NOW_MS - 3_600_000, limit=1).json()[0]
    timestamp, *numbers = sandbox.market.candle("BTC-USD", Timeframe.H1, row[0])
    assert len(row) == 12
    assert timestamp == row[0] == NOW_MS // 3_600_000 * 3_600_000 - 3_600_000
    assert [float(text) for text in row[1:6]] == numbers
    assert row[6] == row[0] + 3_599_999
    assert all(isinstance(text, str) and len(text.split(".")[1]) == 8 for text in row[1:6])
    assert float(row[3]) * float(row[5]) <= float(row[7]) <= float(row[2]) * float(row[5])
    assert isinstance(row[8], int)
    assert float(row[9]) <= float(row[5])
    assert row[11] == "0"


@pytest.mark.parametrize("symbol", ["BTC-USD", "DASH-USD"])
def test_the_other_columns_are_sums_of_the_rows_trades(sandbox, klines, symbol):
    rows = klines(sandbox, symbol.replace("-", ""), "1m", endTime=MINUTE_MS - 1, limit=20).json()
    true = sandbox.market.closed_rows(symbol, Timeframe.M1, rows[0][0], MINUTE_MS)
    assert [[row[0], *map(float, [*row[1:6], row[7], *row[8:11]])] for row in rows] == true
    taken = [
        sum(trade.size for trade in sandbox.market.trades(symbol, row[0]) if trade.buyer_took)
        for row in rows
    ]
    assert [row[9] for row in rows] == [f"{size / 10**8:.8f}" for size in taken]
    assert any(taken)


@pytest.mark.parametrize("interval", [str(timeframe) for timeframe in Timeframe])
def test_all_six_intervals_end_with_the_open_candle(sandbox, klines, interval):
    timeframe = Timeframe(interval)
    reply = klines(sandbox, interval=interval, limit=3)
    last = timeframe.floor(NOW_MS)
    assert opens(reply) == [last - 2 * timeframe.ms, last - timeframe.ms, last]


def test_the_open_candle_holds_the_trades_so_far(sandbox, klines):
    row = klines(sandbox, limit=1).json()[0]
    trades = sandbox.market.trades("BTC-USD", MINUTE_MS)
    assert row[8] == sum(trade.time_ms <= NOW_MS for trade in trades)
    sandbox.clock.advance(60_000)
    assert klines(sandbox, limit=2).json()[0][8] == len(trades)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ({}, minutes(-499, 0)),
        ({"limit": 1000}, minutes(-999, 0)),
        ({"limit": 5000}, minutes(-999, 0)),
        ({"startTime": MINUTE_MS - 600_000, "limit": 3}, minutes(-10, -8)),
        ({"startTime": MINUTE_MS - 599_999, "limit": 3}, minutes(-9, -7)),
        ({"startTime": MINUTE_MS - 120_000}, minutes(-2, 0)),
        ({"endTime": MINUTE_MS - 600_000, "limit": 3}, minutes(-12, -10)),
        ({"endTime": MINUTE_MS - 600_001, "limit": 3}, minutes(-13, -11)),
        ({"endTime": NOW_MS + 10**9, "limit": 2}, minutes(-1, 0)),
        ({"startTime": MINUTE_MS - 300_000, "endTime": MINUTE_MS - 180_000}, minutes(-5, -3)),
        ({"startTime": MINUTE_MS - 300_000, "endTime": NOW_MS, "limit": 2}, minutes(-5, -4)),
        ({"startTime": MINUTE_MS, "endTime": MINUTE_MS}, minutes(0, 0)),
        ({"startTime": MINUTE_MS + 60_000}, []),
        ({"startTime": MINUTE_MS, "endTime": MINUTE_MS - 1}, []),
    ],
)
def test_the_window_decides_which_rows_come(sandbox, klines, window, expected):
    assert opens(klines(sandbox, **window)) == expected


def test_history_begins_at_the_listing(start, klines):
    new = Listing("NEW-USD", "1.00000", listed_ms=MINUTE_MS - 180_000)
    sandbox = start(listings=(new,))
    assert opens(klines(sandbox, "NEWUSD")) == minutes(-3, 0)
    assert opens(klines(sandbox, "NEWUSD", startTime=0, limit=2)) == minutes(-3, -2)
    assert len(opens(klines(sandbox, "NEWUSD", "1d"))) == 1


def test_a_minute_without_trades_is_a_row_of_zero_volume(sandbox, klines):
    rows = klines(sandbox, "DASHUSD", limit=1000).json()
    empty = [at for at, row in enumerate(rows) if row[8] == 0 and at]
    assert len(rows) == 1000
    assert empty
    for at in empty:
        assert rows[at][5] == rows[at][7] == "0.00000000"
        assert set(rows[at][1:5]) == {rows[at - 1][4]}


@pytest.mark.parametrize(
    ("params", "code", "text"),
    [
        ({"symbol": "NOPE", "interval": "1m"}, -1121, "Invalid symbol."),
        ({"symbol": "BTC-USD", "interval": "1m"}, -1121, "Invalid symbol."),
        ({"symbol": "btcusd", "interval": "1m"}, -1100, "in parameter 'symbol'"),
        ({"symbol": "BTC USD", "interval": "1m"}, -1100, "in parameter 'symbol'"),
        ({"symbol": "BTCUSD", "interval": "7m"}, -1120, "Invalid interval."),
        ({"symbol": "BTCUSD", "interval": "1M"}, -1120, "Invalid interval."),
        ({"interval": "1m"}, -1102, "Mandatory parameter 'symbol' was not sent"),
        ({"symbol": "BTCUSD"}, -1102, "Mandatory parameter 'interval' was not sent"),
        ({"symbol": "", "interval": "1m"}, -1105, "Parameter 'symbol' was empty."),
        ({"symbol": "BTCUSD", "interval": "1m", "limit": "x"}, -1100, "'^[0-9]{1,20}$'"),
        ({"symbol": "BTCUSD", "interval": "1m", "startTime": "-1"}, -1100, "'startTime'"),
        ({"symbol": "BTCUSD", "interval": "1m", "limit": "0"}, -1102, "parameter 'limit'"),
        ({"symbol": ["BTCUSD", "ETHUSD"], "interval": "1m"}, -1101, "Duplicate values"),
        (
            {"symbol": "BTCUSD", "interval": "1m", "start": "1", "end": "2"},
            -1104,
            "Not all sent parameters were read; read '2' parameter(s) but was sent '4'.",
        ),
    ],
)
def test_a_bad_request_gets_its_code(sandbox, get, params, code, text):
    reply = get(sandbox, "/api/v3/klines", **params)
    assert reply.status_code == 400
    assert reply.json()["code"] == code
    assert text in reply.json()["msg"]


def test_symbols_of_any_script_and_symbols_that_stopped_trading_have_history(sandbox, klines):
    assert len(klines(sandbox, "币安人生USDT", limit=5).json()) == 5
    assert len(klines(sandbox, "LUNAUSD", limit=5).json()) == 5


def test_exchange_info_tells_limits_and_listings(sandbox, get):
    info = get(sandbox, "/api/v3/exchangeInfo").json()
    assert info["timezone"] == "UTC"
    assert info["serverTime"] == NOW_MS
    assert [limit["rateLimitType"] for limit in info["rateLimits"]] == [
        "REQUEST_WEIGHT",
        "RAW_REQUESTS",
    ]
    found = {one["symbol"]: one for one in info["symbols"]}
    assert (found["BNBUSD"]["baseAsset"], found["BNBUSD"]["quoteAsset"]) == ("BNB", "USD")
    assert {"BTCUSD", "BTCUSDT", "1INCHUSD", "币安人生USDT"} <= set(found)
    assert "BTCUSDC" not in found
    assert {one["status"] for one in found.values()} == {"TRADING", "BREAK", "CANCEL_ONLY"}
    assert found["BTCUSD"]["permissions"] == []
    assert found["BTCUSD"]["permissionSets"] == [["SPOT"]]
    filters = {one["filterType"]: one for one in found["BTCUSD"]["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert {"LOT_SIZE", "NOTIONAL"} <= set(filters)


def test_exchange_info_can_be_narrowed(sandbox, get):
    def names(**params):
        reply = get(sandbox, "/api/v3/exchangeInfo", **params).json()
        return [one["symbol"] for one in reply["symbols"]]

    assert names(symbol="ETHUSD") == ["ETHUSD"]
    assert names(symbols='["BTCUSD","ETHUSD"]') == ["BTCUSD", "ETHUSD"]
    assert names(symbolStatus="CANCEL_ONLY") == ["MATICUSD"]
    unknown = get(sandbox, "/api/v3/exchangeInfo", symbols='["BTCUSD","NOPE"]')
    assert (unknown.status_code, unknown.json()["code"]) == (400, -1121)
    assert get(sandbox, "/api/v3/exchangeInfo", symbols="BTCUSD").json()["code"] == -1100


def test_the_day_ticker_is_the_last_24_hours(sandbox, get):
    ticker = get(sandbox, "/api/v3/ticker/24hr", symbol="BTCUSD").json()
    bars = sandbox.market.of("BTC-USD").bars_at(
        Timeframe.M1, MINUTE_MS - 1439 * 60_000, MINUTE_MS, NOW_MS
    )
    assert float(ticker["volume"]) == sum(bar.volume for bar in bars) / 10**8
    assert float(ticker["highPrice"]) == max(bar.high for bar in bars) / 100
    assert ticker["closeTime"] - ticker["openTime"] == 86_400_000
    assert ticker["lastId"] - ticker["firstId"] + 1 == ticker["count"]
    price = get(sandbox, "/api/v3/ticker/price", symbol="BTCUSD").json()
    assert price == {"symbol": "BTCUSD", "price": ticker["lastPrice"]}


def test_the_best_prices_lie_around_the_last_one(sandbox, get):
    price = float(get(sandbox, "/api/v3/ticker/price", symbol="BTCUSD").json()["price"])
    one = get(sandbox, "/api/v3/ticker/bookTicker", symbol="BTCUSD").json()
    assert one.keys() == {"symbol", "bidPrice", "bidQty", "askPrice", "askQty"}
    assert float(one["bidPrice"]) < price < float(one["askPrice"])
    assert get(sandbox, "/api/v3/ticker/bookTicker", symbols='["BTCUSD"]').json() == [one]
    assert get(sandbox, "/api/v3/ticker/bookTicker", symbol="NOPE").json()["code"] == -1121


def test_ping_and_time(sandbox, get):
    assert get(sandbox, "/api/v3/ping").json() == {}
    assert get(sandbox, "/api/v3/time").json() == {"serverTime": NOW_MS}


@pytest.mark.parametrize(
    ("path", "params", "weight"),
    [
        ("ping", {}, 1),
        ("time", {}, 1),
        ("klines", {"symbol": "BTCUSD", "interval": "1m"}, 2),
        ("klines", {"symbol": "NOPE", "interval": "1m"}, 2),
        ("exchangeInfo", {}, 20),
        ("ticker/24hr", {"symbol": "BTCUSD"}, 2),
        ("ticker/24hr", {"symbols": json.dumps(["BTCUSD"] * 21, separators=(",", ":"))}, 40),
        ("ticker/24hr", {}, 80),
        ("ticker/price", {"symbol": "BTCUSD"}, 2),
        ("ticker/price", {}, 4),
        ("ticker/bookTicker", {"symbol": "BTCUSD"}, 2),
        ("ticker/bookTicker", {}, 4),
    ],
)
def test_every_reply_tells_the_weight_used(sandbox, get, path, params, weight):
    headers = get(sandbox, f"/api/v3/{path}", **params).headers
    assert headers["X-MBX-USED-WEIGHT-1M"] == headers["x-mbx-used-weight"] == str(weight)


def test_over_the_weight_comes_429_until_the_minute_ends(start, klines):
    sandbox = start(weight_limit=4)
    assert [klines(sandbox, limit=1).status_code for _ in range(3)] == [200, 200, 429]
    refused = klines(sandbox, limit=1)
    assert refused.json()["code"] == -1003
    assert refused.headers["Retry-After"] == "37"  # at 23.456 s of the minute
    assert refused.headers["X-MBX-USED-WEIGHT-1M"] == "8"
    sandbox.clock.advance(37_000)
    assert klines(sandbox, limit=1).status_code == 200


def test_calling_on_during_429_earns_a_ban_and_each_ban_is_longer(start, klines):
    sandbox = start(weight_limit=2, strikes=2, ban_ms=60_000)
    statuses = [klines(sandbox, limit=1).status_code for _ in range(4)]
    assert statuses == [200, 429, 429, 418]
    banned = klines(sandbox, limit=1)
    assert banned.status_code == 418
    assert banned.headers["Retry-After"] == "60"
    assert f"IP banned until {NOW_MS + 60_000}." in banned.json()["msg"]
    sandbox.clock.advance(60_000)
    statuses = [klines(sandbox, limit=1).status_code for _ in range(4)]
    assert statuses == [200, 429, 429, 418]
    assert klines(sandbox, limit=1).headers["Retry-After"] == "120"


def test_a_ban_never_outgrows_its_ceiling(start, klines):
    sandbox = start(weight_limit=0, strikes=0, ban_ms=1000, longest_ban_ms=3000)
    waits = []
    for _ in range(4):
        waits.append(klines(sandbox).headers["Retry-After"])
        sandbox.clock.advance(int(waits[-1]) * 1000)
    assert waits == ["1", "2", "3", "3"]
