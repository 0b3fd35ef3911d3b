import pytest

from tests.exchanges.sandbox.conftest import NOW_MS


def test_currencies_have_ids_and_crypto_currencies_have_codes(sandbox, get):
    fiat = get(sandbox, "/v2/currencies").json()["data"]
    assert {"id": "USD", "name": "United States Dollar", "min_size": "0.01"} in fiat
    crypto = get(sandbox, "/v2/currencies/crypto").json()["data"]
    assert {"BTC", "ETH"} <= {each["code"] for each in crypto}
    assert {each["type"] for each in crypto} == {"crypto"}
    assert len({each["asset_id"] for each in crypto}) == len(crypto)
    assert not {each["id"] for each in fiat} & {each["code"] for each in crypto}


def test_rates_are_those_of_the_market(sandbox, get):
    price = float(get(sandbox, "/v2/prices/BTC-USD/spot").json()["data"]["amount"])
    product = get(sandbox, "/api/v3/brokerage/market/products/BTC-USD").json()
    rates = get(sandbox, "/v2/exchange-rates").json()["data"]
    assert (rates["currency"], rates["rates"]["USD"]) == ("USD", "1")
    assert 1 / float(rates["rates"]["BTC"]) == pytest.approx(price)
    assert price == pytest.approx(float(product["price"]), 0.01)
    of_bitcoin = get(sandbox, "/v2/exchange-rates", currency="BTC").json()["data"]["rates"]
    assert float(of_bitcoin["USD"]) == pytest.approx(price)


def test_the_time_has_whole_seconds(sandbox, get):
    told = {"iso": "2026-09-21T14:15:23Z", "epoch": NOW_MS // 1000}
    assert get(sandbox, "/v2/time").json() == {"data": told}


def test_what_is_unknown_is_refused_in_a_list_of_errors(sandbox, get):
    refused = get(sandbox, "/v2/exchange-rates", currency="NOPE")
    assert refused.status_code == 400
    said = {"id": "invalid_request", "message": "Invalid currency (NOPE)"}
    assert refused.json() == {"errors": [said]}
    assert get(sandbox, "/v2/prices/NOPE-USD/spot").status_code == 404


def test_the_book_has_prices_on_both_sides_of_the_last_one(sandbox, get):
    path = "/api/v3/brokerage/market/product_book"
    found = get(sandbox, path, product_id="BTC-USD", limit=3).json()
    book = found["pricebook"]
    bids, asks = ([float(each["price"]) for each in book[side]] for side in ("bids", "asks"))
    assert (len(bids), len(asks)) == (3, 3)
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < float(found["last"]) < asks[0]
    assert get(sandbox, path, product_id="NOPE-USD").status_code == 404
