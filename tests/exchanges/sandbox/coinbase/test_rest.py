import jwt
import pytest
import requests

from livermore.market.timeframe import Timeframe
from tests.exchanges.sandbox.conftest import NOW_MS

NOW = NOW_MS // 1000
MINUTE = NOW - NOW % 60
BASE = "/api/v3/brokerage"


def starts(reply):
    return [int(row["start"]) for row in reply.json()["candles"]]


def test_candles_come_newest_first_as_the_true_numbers_in_text(sandbox, candles):
    reply = candles(sandbox, granularity="FOUR_HOUR", start=NOW - 86_400, end=NOW - 14_400)
    rows = reply.json()["candles"]
    assert len(rows) == 5
    assert starts(reply) == sorted(starts(reply), reverse=True)
    for row in rows:
        truth = sandbox.market.candle("BTC-USD", Timeframe.H4, int(row["start"]) * 1000)
        texts = [row[name] for name in ("open", "high", "low", "close", "volume")]
        assert all(isinstance(text, str) for text in row.values())
        assert tuple(float(text) for text in texts) == truth[1:]


def test_start_and_end_are_both_inclusive(sandbox, candles):
    reply = candles(sandbox, start=MINUTE - 600, end=MINUTE - 480)
    assert starts(reply) == [MINUTE - 480, MINUTE - 540, MINUTE - 600]
    assert starts(candles(sandbox, start=MINUTE - 599, end=MINUTE - 481)) == [MINUTE - 540]


def test_the_current_bucket_comes_first_if_the_window_covers_it(sandbox, candles):
    reply = candles(sandbox, start=MINUTE - 60, end=MINUTE + 3600)
    trades = sandbox.market.trades("BTC-USD", MINUTE * 1000)
    so_far = sum(trade.size for trade in trades if trade.time_ms <= NOW_MS)
    assert starts(reply) == [MINUTE, MINUTE - 60]
    assert float(reply.json()["candles"][0]["volume"]) == so_far / 10**8


def test_buckets_without_trades_are_left_out(sandbox, candles):
    window = (MINUTE - 349 * 60, MINUTE - 60)
    reply = candles(sandbox, "DASH-USD", start=window[0], end=window[1])
    truth = sandbox.market.closed_candles(
        "DASH-USD", Timeframe.M1, window[0] * 1000, window[1] * 1000 + 1, traded_only=True
    )
    assert 0 < len(starts(reply)) < 349
    assert starts(reply) == [candle[0] // 1000 for candle in reversed(truth)]


def test_a_window_of_350_buckets_passes_and_351_is_refused(sandbox, candles):
    assert len(starts(candles(sandbox, start=MINUTE - 349 * 60, end=MINUTE))) == 350
    refused = candles(sandbox, start=MINUTE - 350 * 60, end=MINUTE)
    assert refused.status_code == 400
    assert refused.json() == {
        "error": "INVALID_ARGUMENT",
        "message": "number of candles requested should be less than 350",
    }


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"start": NOW - 60},
        {"end": NOW},
        {"start": "yesterday", "end": NOW},
        {"start": NOW - 60, "end": "1.5"},
        {"start": NOW, "end": NOW - 60},
        {"start": NOW - 60, "end": NOW, "granularity": "TEN_MINUTE"},
        {"start": NOW - 60, "end": NOW, "granularity": "1m"},
    ],
)
def test_a_bad_argument_is_refused(sandbox, candles, params):
    reply = candles(sandbox, **params)
    assert reply.status_code == 400
    assert reply.json()["error"] == "INVALID_ARGUMENT"


def test_an_unknown_product_is_not_found(sandbox, get):
    reply = get(sandbox, f"{BASE}/market/products/NOPE-USD")
    assert reply.status_code == 404
    assert reply.json() == {"error": "NOT_FOUND", "message": "Product NOPE-USD not supported"}


def test_replies_claim_to_be_cacheable_for_hours(sandbox, candles):
    reply = candles(sandbox, start=NOW - 60, end=NOW)
    assert reply.headers["cache-control"] == "public, max-age=14400"


def test_products_tell_what_can_be_traded_and_what_is_an_alias(sandbox, get):
    reply = get(sandbox, f"{BASE}/market/products", product_type="SPOT").json()
    found = {product["product_id"]: product for product in reply["products"]}
    assert reply["num_products"] == len(found)
    assert found["BTC-USDC"]["alias"] == "BTC-USD"
    assert found["BTC-USD"]["alias_to"] == ["BTC-USDC"]
    assert (found["BNB-USD"]["base_currency_id"], found["BNB-USD"]["status"]) == ("BNB", "online")
    assert found["LUNA-USD"]["status"] == "delisted"
    assert found["MATIC-USD"]["cancel_only"]
    assert found["MATIC-USD"]["trading_disabled"]
    assert "币安人生-USDT" not in found
    assert found["BTC-USD"]["mid_market_price"] == ""
    assert float(found["BTC-USD"]["price"]) > 0


def test_products_can_be_paged_and_picked(sandbox, get):
    def ids(**params):
        reply = get(sandbox, f"{BASE}/market/products", **params).json()
        return [product["product_id"] for product in reply["products"]]

    every = ids()
    assert ids(limit=3, offset=2) == every[2:5]
    assert ids(product_ids=["ETH-USD", "BTC-USD"]) == ["BTC-USD", "ETH-USD"]
    assert ids(product_type="FUTURE") == []
    assert ids(get_all_products="true", limit=1) == every


def test_an_alias_shows_the_same_market(sandbox, candles):
    window = {"start": MINUTE - 600, "end": MINUTE}
    assert candles(sandbox, "BTC-USDC", **window).json() == candles(sandbox, **window).json()


def test_the_ticker_lists_the_newest_trades_first(sandbox, get):
    reply = get(sandbox, f"{BASE}/market/products/DASH-USD/ticker", limit=20).json()
    ids = [int(trade["trade_id"]) for trade in reply["trades"]]
    assert ids == list(range(ids[0], ids[0] - 20, -1))
    assert reply["trades"][0]["time"] <= "2026-09-21T14:15:23.456Z"
    assert set(reply["trades"][0]) == {"trade_id", "product_id", "price", "size", "time", "side"}
    assert float(reply["best_bid"]) < float(reply["best_ask"])
    assert get(sandbox, f"{BASE}/market/products/BTC-USD/ticker", limit=1001).status_code == 500


def test_the_time_comes_in_three_forms(sandbox, get):
    assert get(sandbox, f"{BASE}/time").json() == {
        "iso": "2026-09-21T14:15:23.456Z",
        "epochSeconds": str(NOW),
        "epochMillis": str(NOW_MS),
    }


def token(uri, **claims):
    content = {"iss": "cdp", "sub": "key", "nbf": NOW, "exp": NOW + 120, "uri": uri} | claims
    return jwt.encode(content, "a secret that is long enough for the algorithm", algorithm="HS256")


@pytest.mark.parametrize("own_host", [True, False])
def test_private_paths_take_a_token_for_exactly_that_path(sandbox, own_host):
    path = f"{BASE}/products/BTC-USD/candles"
    host = sandbox.url.removeprefix("http://") if own_host else "api.coinbase.com"
    headers = {"Authorization": f"Bearer {token(f'GET {host}{path}')}"}
    query = f"?start={NOW - 60}&end={NOW}&granularity=ONE_MINUTE"
    assert requests.get(sandbox.url + path + query, headers=headers, timeout=5).status_code == 200
    other = requests.get(f"{sandbox.url}{BASE}/products/ETH-USD", headers=headers, timeout=5)
    assert (other.status_code, other.text) == (401, "Unauthorized")


@pytest.mark.parametrize("header", [None, "Bearer x", "Bearer a.b.c", "Basic a.b.c"])
def test_private_paths_refuse_anything_else(sandbox, header):
    headers = {"Authorization": header} if header else {}
    reply = requests.get(f"{sandbox.url}{BASE}/products", headers=headers, timeout=5)
    assert (reply.status_code, reply.text) == (401, "Unauthorized")


def test_the_eleventh_call_in_a_second_is_one_too_many(start, get):
    sandbox = start()
    statuses = [get(sandbox, f"{BASE}/time").status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]
    assert "Retry-After" not in get(sandbox, f"{BASE}/time").headers
    sandbox.clock.advance(1000)
    assert get(sandbox, f"{BASE}/time").status_code == 200
