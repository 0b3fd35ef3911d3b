import json

import pytest
import requests

from exchanges.errors import BadPayload
from exchanges.venues.okx.symbols import read_listing, rows_of
from tests.exchanges.venues.okx.payloads import recorded


def listed(name):
    return {item.symbol: item for item in read_listing(rows_of(json.loads(recorded(name))))}


def test_spot_markets_are_named_by_their_currencies():
    found = listed("instruments_spot")
    assert {name: item.is_trading for name, item in found.items()} == {
        "BTC-USDT": True,
        "ETH-BTC": True,
        "LUNC-USDT": False,
        "SOON-USDT": False,
        "USDC-EUR": True,
    }
    one = found["ETH-BTC"]
    assert (one.native_symbol, one.base, one.quote, one.kind) == ("ETH-BTC", "ETH", "BTC", "spot")


def test_swaps_have_their_currencies_from_the_family_and_only_linear_ones_are_kept():
    found = listed("instruments_swap")
    assert {name: item.is_trading for name, item in found.items()} == {
        "BTC-USDT-PERP": True,
        "ETH-USDC-PERP": True,
        "PEPE-USDT-PERP": True,
        "OLD-USDT-PERP": False,
    }
    one = found["PEPE-USDT-PERP"]
    told = (one.native_symbol, one.base, one.quote, one.kind)
    assert told == ("PEPE-USDT-SWAP", "PEPE", "USDT", "perpetual")


def test_a_bad_row_costs_itself_and_one_without_a_state_says_nothing():
    rows = rows_of(json.loads(recorded("instruments_swap")))
    del rows[0]["state"], rows[1]["instFamily"]
    rows.append(7)
    found = read_listing(rows)
    assert found.refused == ("ETH-USDC-SWAP", "")
    assert (found[0].symbol, found[0].is_trading) == ("BTC-USDT-PERP", None)


@pytest.mark.parametrize("body", [None, [], {}, {"data": None}, {"data": {"instId": "BTC-USDT"}}])
def test_what_is_no_listing_is_told(body):
    with pytest.raises(BadPayload, match="not in OKX's form"):
        rows_of(body)


def test_what_the_sandbox_lists_is_read_and_its_dated_contracts_are_left_out(sandbox):
    def rows(kind):
        path = f"{sandbox.url}/api/v5/public/instruments"
        return rows_of(requests.get(path, {"instType": kind}, timeout=10).json())

    found = {item.symbol for item in read_listing([*rows("SPOT"), *rows("SWAP")])}
    assert {"BTC-USDT", "OKB-USDT", "BTC-USDT-PERP", "LUNA-USDT-PERP"} <= found
    assert not {"BTC-USD-PERP", "SOON-USDT-PERP", "TSLA-USDT-PERP"} & found
    assert read_listing(rows("FUTURES")) == []
