"""A row of a listing that makes no sense costs itself, over real sockets and for both venues."""

import copy
import json

import pytest

from exchanges.adapters import ExchangeAdapterFactory
from exchanges.errors import BadPayload
from exchanges.models import Exchange
from exchanges.symbols.fetch_listing import fetch_listing
from tests.exchanges.rest.test_client import Server

pytestmark = pytest.mark.django_db

VENUES = ("binance", "coinbase")
GOOD = ("BTC-USD", "ETH-USD", "SOL-USD")
HUGE = 10**400
VALUES = [
    None,
    5,
    1.5,
    HUGE,
    True,
    "",
    " ",
    "A:B",
    "A B",
    "A\x00",
    "A\n",
    "A" * 10_000,
    [],
    ["A"],
    {},
]


def market(venue, base):
    if venue == "binance":
        names = {"symbol": f"{base}USD", "baseAsset": base, "quoteAsset": "USD"}
        return names | {"status": "TRADING", "isSpotTradingAllowed": True}
    names = {"product_id": f"{base}-USD", "base_currency_id": base, "quote_currency_id": "USD"}
    return names | {"product_type": "SPOT", "status": "online", "trading_disabled": False}


def name_of(venue):
    return "symbol" if venue == "binance" else "product_id"


def body(venue, rows):
    key = "symbols" if venue == "binance" else "products"
    return json.dumps({key: rows, "rateLimits": []}).encode()


def rows_of(venue):
    return [market(venue, each.partition("-")[0]) for each in GOOD]


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Let a listing that lacks a lot be doubted for a moment alone."""
    monkeypatch.setattr("exchanges.symbols.fetch_listing.SECONDS_UNTIL_SURE", 0.1)


@pytest.fixture
def server():
    with Server() as server:
        yield server
        server.shutdown()


@pytest.fixture(params=VENUES)
def exchange(request, server, redis):
    """An exchange with three symbols that trade and are monitored."""
    row = Exchange.objects.create(
        name="somewhere", venue=request.param, rest_url=server.url, batch_delay_ms=0
    )
    server.answer((200, {}, body(row.venue, rows_of(row.venue))))
    fetch_listing(row)
    row.symbols.update(is_monitored=True)
    return row


def statuses(exchange):
    return dict(exchange.symbols.filter(symbol__in=GOOD).values_list("symbol", "status"))


def fetch(exchange, server, rows):
    server.answer((200, {}, body(exchange.venue, rows)))
    return fetch_listing(exchange)


ALL_TRADE = dict.fromkeys(GOOD, "trading")


@pytest.mark.parametrize("odd", [*VALUES, [None], {"a": None}], ids=lambda value: repr(value)[:12])
def test_a_row_that_is_none_costs_nothing_else(exchange, server, odd):
    fetch(exchange, server, [odd, *rows_of(exchange.venue), odd])
    assert statuses(exchange) == ALL_TRADE
    assert set(exchange.symbols.values_list("symbol", flat=True)) == set(GOOD)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:12])
def test_a_value_that_makes_no_sense_costs_its_row_and_delists_nothing(exchange, server, value):
    for field in market(exchange.venue, "BTC"):
        if field in ("product_type", "status"):
            continue  # what these say is theirs to say
        if field == "trading_disabled" and value is True:
            continue
        rows = rows_of(exchange.venue)
        rows[0][field] = copy.copy(value)
        fetch(exchange, server, rows)
        assert statuses(exchange) == ALL_TRADE, field
        del rows[0][field]
        fetch(exchange, server, rows)
        assert statuses(exchange) == ALL_TRADE, field


def test_what_is_monitored_is_kept_although_its_row_is_refused_again_and_again(exchange, server):
    rows = rows_of(exchange.venue)
    rows[0] = None
    for _ in range(3):
        fetch(exchange, server, rows)
        assert statuses(exchange) == ALL_TRADE


def test_what_is_gone_is_delisted_although_other_rows_are_refused(exchange, server):
    rows = [market(exchange.venue, "NEW") | {name_of(exchange.venue): "A:B"}]
    fetch(exchange, server, [*rows_of(exchange.venue)[:2], *rows])
    assert statuses(exchange) == ALL_TRADE | {"SOL-USD": "delisted"}


def test_more_that_is_gone_than_rows_were_refused_is_delisted(exchange, server):
    fetch(exchange, server, [*rows_of(exchange.venue)[:1], None])
    assert set(statuses(exchange).values()) == {"trading", "delisted"}


def test_the_same_row_again_and_a_name_that_clashes_change_nothing(exchange, server):
    twin = market(exchange.venue, "BTC") | {name_of(exchange.venue): "OTHER"}
    fetch(exchange, server, [twin, *rows_of(exchange.venue), *rows_of(exchange.venue)])
    natives = dict(exchange.symbols.values_list("symbol", "native_symbol"))
    assert natives["BTC-USD"] != "OTHER"
    assert statuses(exchange) == ALL_TRADE


def test_one_line_counts_what_was_refused_and_names_a_few(exchange, server, caplog):
    field = name_of(exchange.venue)
    odd = [{field: f"N{number}" + "x" * 1000} for number in range(7)] + [None]
    fetch(exchange, server, [*odd, *rows_of(exchange.venue)])
    (line,) = [each for each in caplog.messages if "listing.rows_unreadable" in each]
    assert "count=8" in line
    assert "names=" in line
    assert len(line) < 700


@pytest.mark.parametrize("rows", [None, 5, "x", {}, {"a": 1}, [], [None, 5], [{}]])
def test_a_listing_that_is_none_changes_nothing(exchange, server, rows):
    with pytest.raises(BadPayload):
        fetch(exchange, server, rows)
    assert statuses(exchange) == ALL_TRADE


def test_names_are_known_although_a_row_does_not_say_whether_it_trades(exchange, server, redis):
    rows = rows_of(exchange.venue)
    rows[0]["status"] = None
    exchange.symbols.all().delete()
    server.answer((200, {}, body(exchange.venue, rows)))
    rest = ExchangeAdapterFactory(redis).rest(exchange)
    assert rest._native("BTC-USD") == rows[0][name_of(exchange.venue)]
    rest.close()
