"""Kraken's listing: which of its names are ours, and which pairs are none of ours."""

import orjson
import pytest

from exchanges.errors import BadPayload
from exchanges.venues.kraken.symbols import read_listing
from tests.exchanges.venues.kraken.payloads import recorded


def listed(**changed):
    body = orjson.loads(recorded("asset_pairs"))
    for name, fields in changed.items():
        body["result"][name] |= fields
    return {item.symbol: item for item in read_listing(body)}


def test_names_follow_from_what_the_listing_shows_with_two_coins_renamed():
    names = {symbol: item.native_symbol for symbol, item in listed().items()}
    assert names == {
        "BTC-USD": "BTC/USD",
        "DOGE-USD": "DOGE/USD",
        "ETH-BTC": "ETH/BTC",
        "PYUSD-AUSD": "PYUSD/AUSD",
        "LUNA-USD": "LUNA/USD",
    }
    assert (listed()["PYUSD-AUSD"].base, listed()["PYUSD-AUSD"].quote) == ("PYUSD", "AUSD")


def test_dark_pools_and_shares_in_tokens_are_left_out():
    assert not {"BTC-USD.d", "AAPLx-USD"} & listed().keys()


@pytest.mark.parametrize(
    "status", ["cancel_only", "post_only", "limit_only", "reduce_only", "maintenance", "new"]
)
def test_only_what_is_online_trades(status):
    assert listed()["BTC-USD"].is_trading
    assert listed(XXBTZUSD={"status": status})["BTC-USD"].is_trading is False
    assert listed(XXBTZUSD={"status": None})["BTC-USD"].is_trading is None


@pytest.mark.parametrize("name", ["XBTUSD", "A/B/C", None, 7])
def test_a_row_without_two_names_costs_itself(name):
    assert set(listed()) - set(listed(XXBTZUSD={"wsname": name})) == {"BTC-USD"}


@pytest.mark.parametrize("body", [None, [], {"result": []}, {"result": None}, {"error": []}])
def test_what_is_no_listing_is_refused(body):
    with pytest.raises(BadPayload, match="not in Kraken's form"):
        read_listing(body)
