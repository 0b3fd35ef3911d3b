"""Binance's USD-M futures over REST, as a client that knows nothing of ours sees them."""

import io
import zipfile
from hashlib import sha256

import pytest

from exchanges.sandbox.binance_usdm.listing import OTHERS
from livermore.market.timeframe import MINUTE_MS, Timeframe
from tests.exchanges.sandbox.conftest import NOW_MS

MINUTE = Timeframe.M1.floor(NOW_MS)
WEIGHT = "X-MBX-USED-WEIGHT-1M"


@pytest.fixture
def bars(get):
    def bars(server, native="BTCUSDT", interval="1m", **params):
        return get(server, "/fapi/v1/klines", symbol=native, interval=interval, **params)

    return bars


def test_rows_are_the_truth_oldest_first_with_the_open_one_last(sandbox, bars):
    rows = bars(sandbox, limit=4).json()
    assert [row[0] for row in rows] == [MINUTE + n * MINUTE_MS for n in (-3, -2, -1, 0)]
    truth = sandbox.market.closed_candles(
        "BTC-USDT-PERP", Timeframe.M1, MINUTE - 3 * MINUTE_MS, MINUTE
    )
    assert [(row[0], *map(float, row[1:6])) for row in rows[:-1]] == truth
    assert {(len(row), row[-1]) for row in rows} == {(12, "0")}


def test_both_ends_of_a_window_are_inclusive(sandbox, bars):
    window = {"startTime": MINUTE - 300_000, "endTime": MINUTE - 120_000}
    rows = bars(sandbox, **window).json()
    assert [row[0] for row in rows] == [MINUTE - n * MINUTE_MS for n in (5, 4, 3, 2)]


@pytest.mark.parametrize(
    ("limit", "weight"), [(1, 1), (99, 1), (100, 2), (499, 2), (None, 5), (1000, 5), (1500, 10)]
)
def test_a_call_weighs_by_the_rows_that_it_asks_for(start, bars, limit, weight):
    told = {} if limit is None else {"limit": limit}
    reply = bars(start(), **told)
    assert (len(reply.json()), reply.headers[WEIGHT]) == (limit or 500, str(weight))


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"limit": 1501}, -1130),
        ({"limit": 0}, -1130),
        ({"native": "NOPEUSDT"}, -1121),
        ({"native": "BTCUSDT_261225"}, -1121),
        ({"native": "BNXUSDT"}, -1121),
        ({"interval": "7m"}, -1120),
        ({"interval": ""}, -1102),
    ],
)
def test_what_cannot_be_answered_is_refused(sandbox, bars, params, code):
    reply = bars(sandbox, **params)
    assert (reply.status_code, reply.json()["code"]) == (400, code)


def test_a_minute_without_a_trade_has_a_row_or_none(start, sandbox, bars):
    window = {"startTime": MINUTE - 600 * MINUTE_MS, "endTime": MINUTE - MINUTE_MS, "limit": 1000}
    filled = bars(sandbox, "DASHUSDT", **window).json()
    omitted = bars(start(usdm_fills=False), "DASHUSDT", **window).json()
    assert len(filled) == 600
    assert omitted == [row for row in filled if row[8]]
    assert 0 < len(omitted) < 600
    (newest,) = bars(start(usdm_fills=False), "DASHUSDT", limit=1).json()
    assert newest[8] > 0


@pytest.mark.parametrize("symbol", [None, "BTCUSDT", "NOPEUSDT"])
def test_the_listing_tells_all_whatever_is_asked_for(sandbox, get, symbol):
    params = {"symbol": symbol} if symbol else {}
    body = get(sandbox, "/fapi/v1/exchangeInfo", **params).json()
    rows = {row["symbol"]: (row["contractType"], row["status"]) for row in body["symbols"]}
    assert rows["BTCUSDT"] == rows["1000PEPEUSDT"] == ("PERPETUAL", "TRADING")
    assert rows["BNXUSDT"] == ("PERPETUAL", "SETTLING")
    assert {name: rows[name] for name, *_ in OTHERS} == {
        name: (contract, status) for name, contract, _, _, status in OTHERS
    }
    assert body["serverTime"] == NOW_MS - 37 * Timeframe.H1.ms
    assert {row["rateLimitType"] for row in body["rateLimits"]} == {"REQUEST_WEIGHT", "ORDERS"}


def test_a_contract_that_was_delisted_lingers(sandbox, get, bars):
    sandbox.scenarios.add("delisted", symbol="ETH-USDT-PERP")
    body = get(sandbox, "/fapi/v1/exchangeInfo").json()
    (row,) = (row for row in body["symbols"] if row["symbol"] == "ETHUSDT")
    assert row["status"] == "CLOSE"
    assert bars(sandbox, "ETHUSDT").json()["code"] == -1121


def test_tickers_weigh_by_their_number_and_hold_what_is_no_perpetual(start, get):
    server = start()
    one = get(server, "/fapi/v1/ticker/24hr", symbol="ETHUSDT")
    assert (one.json()["symbol"], one.headers[WEIGHT]) == ("ETHUSDT", "1")
    every = get(server, "/fapi/v1/ticker/24hr")
    assert every.headers[WEIGHT] == "41"
    names = {row["symbol"] for row in every.json()}
    assert {"BTCUSDT", "BTCUSDT_261225", "BNXUSDT"} < names


def test_who_is_too_fast_is_refused_and_then_banned_without_a_header_of_when(start, get):
    server = start(usdm_weight_limit=2, usdm_strikes=1)
    replies = [get(server, "/fapi/v1/time") for _ in range(4)]
    assert [reply.status_code for reply in replies] == [200, 200, 429, 418]
    assert replies[3].json()["msg"].count(str(NOW_MS + 120_000)) == 1
    assert {reply.json()["code"] for reply in replies[2:]} == {-1003}
    assert not any("Retry-After" in reply.headers for reply in replies)
    assert get(server, "/api/v3/time").status_code == 200  # spot is another pool


def test_bulk_files_have_a_header_and_milliseconds(sandbox, get):
    path = "/data/futures/um/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2026-09-18.zip"
    zipped = get(sandbox, path).content
    text = zipfile.ZipFile(io.BytesIO(zipped)).read("BTCUSDT-1h-2026-09-18.csv").decode()
    header, first, *rest = text.splitlines()
    assert header.startswith("open_time,open,high")
    assert (first.split(",")[0], len(rest)) == ("1789689600000", 23)
    told = get(sandbox, f"{path}.CHECKSUM").text
    assert told.split() == [sha256(zipped).hexdigest(), path.rpartition("/")[2]]
