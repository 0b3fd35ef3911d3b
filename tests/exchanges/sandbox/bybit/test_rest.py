from urllib.parse import unquote

import pytest

from exchanges.sandbox.market.listings import Listing
from livermore.market.timeframe import Timeframe
from tests.exchanges.sandbox.conftest import NOW_MS

MINUTE_MS = NOW_MS - NOW_MS % 60_000  # when the current minute opened
QUIET = Listing("DASH-USDT", "31.2900", lot=9_000_000, quiet=True)
BITCOIN = Listing("BTC-USDT", "67055.19", lot=50_000)


@pytest.fixture
def kline(get):
    def kline(server, **params):
        params = {"category": "spot", "symbol": "BTCUSDT", "interval": "1"} | params
        return get(server, "/v5/market/kline", **params)

    return kline


@pytest.fixture
def instruments(get):
    def instruments(server, category="linear", **params):
        reply = get(server, "/v5/market/instruments-info", category=category, **params)
        return reply.json()

    return instruments


def rows(reply):
    assert reply.status_code == 200
    assert reply.json()["retCode"] == 0
    return reply.json()["result"]["list"]


def opens(reply):
    return [int(row[0]) for row in rows(reply)]


def minutes(newest, oldest):
    """Return open times, counted in minutes from the current one."""
    return [MINUTE_MS + 60_000 * number for number in range(newest, oldest - 1, -1)]


def test_a_row_is_seven_texts_of_the_true_candle(sandbox, kline):
    (row,) = rows(kline(sandbox, interval="60", end=NOW_MS - 3_600_000, limit=1))
    true = sandbox.market.closed_rows("BTC-USDT", Timeframe.H1, int(row[0]), int(row[0]) + 1)[0]
    assert [int(row[0]), *map(float, row[1:])] == true[:7]
    assert all(isinstance(text, str) for text in row)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ({}, minutes(0, -199)),  # 200 unless told otherwise, the open one first
        ({"limit": 1000}, minutes(0, -999)),
        ({"start": MINUTE_MS - 600_000, "end": MINUTE_MS - 480_000}, minutes(-8, -10)),
        # A window wider than the limit gives its newest part.
        ({"start": MINUTE_MS - 600_000, "end": NOW_MS, "limit": 2}, minutes(0, -1)),
        ({"start": MINUTE_MS - 600_000, "limit": 3}, minutes(-8, -10)),
        ({"start": MINUTE_MS - 599_999, "end": MINUTE_MS - 480_001}, minutes(-9, -9)),
        ({"end": MINUTE_MS - 600_000, "limit": 3}, minutes(-10, -12)),
        ({"start": NOW_MS + 60_000}, []),
    ],
)
def test_the_window_decides_which_rows_come(sandbox, kline, window, expected):
    assert opens(kline(sandbox, **window)) == expected


def test_one_name_stands_for_a_market_in_each_category_and_linear_is_the_usual_one(start, kline):
    server = start(listings=(BITCOIN,))
    server.market.draw("BTC-USDT-PERP", MINUTE_MS - 120_000, [70_000.0])
    window = {"start": MINUTE_MS - 120_000, "end": MINUTE_MS - 120_000}
    spot, linear = (rows(kline(server, category=one, **window)) for one in ("spot", "linear"))
    assert float(linear[0][4]) == 70_000.0 != float(spot[0][4])
    usual = rows(kline(server, category=[], **window))
    assert usual == linear


@pytest.mark.parametrize("fills", [True, False])
def test_whether_quiet_minutes_have_rows_is_a_setting(start, kline, fills):
    server = start(listings=(QUIET,), bybit_fills=fills)
    window = {"start": MINUTE_MS - 7_200_000, "end": MINUTE_MS - 60_000}
    found = rows(kline(server, symbol="DASHUSDT", limit=1000, **window))
    true = server.market.closed_candles("DASH-USDT", Timeframe.M1, window["start"], MINUTE_MS)
    assert len(found) == (120 if fills else sum(row[5] > 0 for row in true)) > 5
    assert fills == any(row[5] == "0" for row in found)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"symbol": "NOPE"}, "Not supported symbols"),
        ({"symbol": "BTCPERP"}, "Not supported symbols"),  # linear alone has it
        ({"interval": "7"}, "Invalid period!"),
        ({"category": "futures"}, "params error: Category is invalid"),
        ({"limit": "1001"}, "params error: limit invalid"),
        ({"start": "now"}, "params error: start invalid"),
    ],
)
def test_bad_requests_are_errors_with_status_200(sandbox, kline, params, message):
    reply = kline(sandbox, **params)
    assert reply.status_code == 200
    assert (reply.json()["retCode"], reply.json()["retMsg"]) == (10001, message)


def test_linear_contracts_are_listed_in_pages_and_spot_is_not(sandbox, instruments):
    found, cursor, calls = [], "", 0
    while calls == 0 or cursor:
        asked = {"cursor": unquote(cursor)} if cursor else {}
        page = instruments(sandbox, limit=10, **asked)["result"]
        found, cursor, calls = found + page["list"], page["nextPageCursor"], calls + 1
    assert calls > 1
    written_twice = instruments(sandbox, limit=10, cursor="first%3D10")
    assert (written_twice["retCode"], cursor) == (10001, "")
    assert len({row["symbol"] for row in found}) == len(found)
    assert instruments(sandbox, limit=1001)["retCode"] == 10001
    spot = instruments(sandbox, "spot", limit=1)["result"]
    assert len(spot["list"]) > 10
    assert "nextPageCursor" not in spot


def test_what_is_listed_beside_coins_is_told_by_its_row(sandbox, instruments):
    linear = {row["symbol"]: row for row in instruments(sandbox, limit=1000)["result"]["list"]}
    assert (linear["BTCPERP"]["quoteCoin"], linear["BTCUSDT"]["quoteCoin"]) == ("USDC", "USDT")
    kinds = {name: row["contractType"] for name, row in linear.items()}
    assert kinds["BTCUSDT-25DEC26"] == kinds["ESUSDTZ26"] == "LinearFutures"
    assert linear["SHIB1000USDT"]["baseCoin"] == "SHIB1000"
    assert linear["TSLAUSDT"]["symbolType"] == "stock"
    assert linear["PRE03USDT"]["isPreListing"]
    spot = {row["symbol"]: row for row in instruments(sandbox, "spot")["result"]["list"]}
    assert spot["AAPLXUSDT"]["symbolType"] == "xstocks"
    early = instruments(sandbox, status="PreLaunch")["result"]["list"]
    assert [row["status"] for row in early] == ["PreLaunch"]
    assert "LUNAUSD" not in spot  # only what trades is told
    (inverse,) = instruments(sandbox, "inverse")["result"]["list"]
    assert (inverse["symbol"], inverse["contractType"]) == ("BTCUSD", "InversePerpetual")
    assert "BTCUSD" in spot  # one name more for two markets
    assert instruments(sandbox, "option")["result"]["list"] == []


def test_an_unknown_symbol_is_an_error_of_linear_alone(sandbox, instruments):
    told = instruments(sandbox, symbol="NOPE")
    assert (told["retCode"], told["retMsg"]) == (10001, "params error: symbol invalid")
    assert instruments(sandbox, "spot", symbol="NOPE")["result"]["list"] == []


def test_who_calls_too_often_is_banned_for_ten_minutes(start, get):
    server = start(bybit_calls=3)

    def status():
        return get(server, "/v5/market/time").status_code

    assert [status() for _ in range(4)] == [200, 200, 200, 403]
    server.clock.advance(599_000)
    banned = get(server, "/v5/market/time")
    assert (banned.status_code, banned.text) == (403, "403, access too frequent")
    server.clock.advance(2_000)
    assert status() == 200


def test_its_own_codes_can_be_asked_for_as_faults(sandbox, get):
    for code in (10006, 10009, 10016, 10029, 10429):
        sandbox.faults.add("status", status=code, times=1)
        reply = get(sandbox, "/v5/market/time")
        assert (reply.status_code, reply.json()["retCode"]) == (200, code)
    sandbox.faults.add("status", status=429, times=1)
    assert get(sandbox, "/v5/market/time").status_code == 429


def test_tickers_tell_24_hours_in_fractions(sandbox, get):
    reply = get(sandbox, "/v5/market/tickers", category="linear", symbol="ETHUSDT").json()
    (row,) = reply["result"]["list"]
    last, before = float(row["lastPrice"]), float(row["prevPrice24h"])
    assert float(row["price24hPcnt"]) == pytest.approx(last / before - 1, abs=1e-6)
    assert float(row["bid1Price"]) < last < float(row["ask1Price"])


def test_faults_spoil_rows_and_listings_below_result(sandbox, kline, instruments):
    sandbox.faults.add("holes", open_times=[MINUTE_MS - 120_000])
    assert MINUTE_MS - 120_000 not in opens(kline(sandbox, limit=5))
    sandbox.faults.add("listing", way="halted")
    told = instruments(sandbox, "spot")["result"]["list"]
    assert {row["status"] for row in told} == {"Closed"}
    sandbox.faults.replace([{"kind": "listing", "way": "bad_row", "listed": "ETH-USDT-PERP"}])
    listed = instruments(sandbox)["result"]["list"]
    assert [row["symbol"] for row in listed if "status" not in row] == ["ETHUSDT"]
