import pytest

from exchanges.errors import BadPayload
from exchanges.symbols.listed import PERPETUAL, SPOT, ListedSymbol
from exchanges.venues.bybit.symbols import market_name, read_listing
from tests.exchanges.venues.bybit.payloads import content_of


def rows(name):
    return content_of(name)["result"]["list"]


def test_coins_of_both_categories_are_listed_and_nothing_else():
    listed = read_listing(rows("http_instruments_spot") + rows("http_instruments_linear"))
    assert listed == [
        ListedSymbol("BTC-USDT", "BTCUSDT", "BTC", "USDT", True),
        ListedSymbol("BTC-USDC", "BTCUSDC", "BTC", "USDC", True),
        ListedSymbol("BTC-USDT-PERP", "BTCUSDT", "BTC", "USDT", True, kind=PERPETUAL),
        ListedSymbol("BTC-USDC-PERP", "BTCPERP", "BTC", "USDC", True, kind=PERPETUAL),
        ListedSymbol(
            "1000PEPE-USDT-PERP", "1000PEPEUSDT", "1000PEPE", "USDT", True, kind=PERPETUAL
        ),
        ListedSymbol(
            "SHIB1000-USDT-PERP", "SHIB1000USDT", "SHIB1000", "USDT", False, kind=PERPETUAL
        ),
    ]


@pytest.mark.parametrize("status", [None, 7, []])
def test_of_a_status_that_is_none_nothing_is_said(status):
    (row, *_) = rows("http_instruments_spot")
    (listed,) = read_listing([row | {"status": status}])
    assert listed.is_trading is None


def test_a_row_that_cannot_be_read_costs_itself():
    (row, *_) = rows("http_instruments_spot")
    listed = read_listing([{"symbol": "BADUSDT"}, "BTCUSDT", row])
    assert [each.symbol for each in listed] == ["BTC-USDT"]
    assert listed.refused == ("BADUSDT", "")
    with pytest.raises(BadPayload):
        read_listing([{"symbol": "BADUSDT"}])


def test_one_name_is_two_markets():
    assert market_name("BTCUSDT", SPOT) == "spot BTCUSDT"
    assert market_name("BTCUSDT", PERPETUAL) == "linear BTCUSDT"
