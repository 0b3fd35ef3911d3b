"""Symbols that stop trading, go, or take another name while the sandbox runs."""

import pytest

from exchanges.sandbox.written_scenarios import parse_scenarios
from livermore.market.timeframe import MINUTE_MS, Timeframe
from tests.exchanges.sandbox.conftest import NOW_MS

MINUTE = NOW_MS - NOW_MS % MINUTE_MS
PRODUCTS = "/api/v3/brokerage/market/products"


@pytest.fixture
def binance_row(get):
    """Return a symbol's row of Binance's listing, None where it is not listed."""

    def row(server, native):
        rows = get(server, "/api/v3/exchangeInfo").json()["symbols"]
        return next((row for row in rows if row["symbol"] == native), None)

    return row


@pytest.fixture
def product(get):
    def product(server, name):
        rows = get(server, PRODUCTS, product_type="SPOT").json()["products"]
        return next((row for row in rows if row["product_id"] == name), None)

    return product


def closed(server, symbol, timeframe=Timeframe.M1, traded_only=False):
    """Return the truth from ten minutes before the test began until now."""
    end_ms = timeframe.floor(server.clock.now_ms())
    return server.market.closed_candles(
        symbol, timeframe, MINUTE - 10 * MINUTE_MS, end_ms, traded_only=traded_only
    )


@pytest.mark.parametrize("state", ["HALT", "BREAK", "END_OF_DAY", "CANCEL_ONLY", "NEVER_HEARD_OF"])
def test_a_halted_symbol_is_listed_as_what_it_is(start, binance_row, product, state):
    server = start()
    server.scenarios.add("halted", symbol="ETH-USD", state=state)
    assert binance_row(server, "ETHUSD")["status"] == state
    assert binance_row(server, "BTCUSD")["status"] == "TRADING"
    row = product(server, "ETH-USD")
    assert row["trading_disabled"]
    assert (row["cancel_only"], row["status"]) == (
        state == "CANCEL_ONLY", "delisted" if state == "BREAK" else "online"
    )  # fmt: skip
    server.scenarios.clear()
    assert binance_row(server, "ETHUSD")["status"] == "TRADING"
    assert not product(server, "ETH-USD")["trading_disabled"]


def test_a_halted_symbols_candles_end_with_its_minute_on_both_protocols(start, klines, candles):
    server = start()
    server.scenarios.add("halted", symbol="ETH-USD")
    server.clock.advance(5 * MINUTE_MS)
    assert [row[0] for row in klines(server, "ETHUSD", limit=2).json()] == [
        MINUTE - MINUTE_MS, MINUTE
    ]  # fmt: skip
    assert klines(server, "ETHUSD", startTime=MINUTE + MINUTE_MS).json() == []
    window = {"start": MINUTE // 1000, "end": MINUTE // 1000 + 300}
    rows = candles(server, "ETH-USD", **window).json()["candles"]
    assert [int(row["start"]) for row in rows] == [MINUTE // 1000]
    assert len(candles(server, "BTC-USD", **window).json()["candles"]) == 6


def test_in_halted_minutes_nothing_was_traded_and_after_them_it_goes_on(start, klines):
    server = start()
    before = server.market.closed_candles("ETH-USD", Timeframe.M1, MINUTE, MINUTE + 9 * MINUTE_MS)
    server.scenarios.add("halted", symbol="ETH-USD")
    server.clock.advance(3 * MINUTE_MS)
    server.scenarios.clear()
    server.clock.advance(5 * MINUTE_MS)
    after = server.market.closed_candles("ETH-USD", Timeframe.M1, MINUTE, MINUTE + 9 * MINUTE_MS)
    assert (after[0], after[4:]) == (before[0], before[4:])
    last = after[0][4]
    assert [row[1:] for row in after[1:4]] == [(last, last, last, last, 0.0)] * 3
    told = klines(server, "ETHUSD", startTime=MINUTE, limit=5).json()
    assert [(row[0], float(row[4]), float(row[5])) for row in told] == [
        (row[0], row[4], row[5]) for row in after[:5]
    ]
    hour = Timeframe.H1.floor(MINUTE)
    (long,) = server.market.closed_candles("ETH-USD", Timeframe.H1, hour, hour + 1)
    minutes = server.market.closed_candles("ETH-USD", Timeframe.M1, hour, hour + Timeframe.H1.ms)
    assert long[5] == pytest.approx(sum(row[5] for row in minutes))
    assert (long[2], long[4]) == (max(row[2] for row in minutes), minutes[-1][4])


def test_of_a_halted_symbol_the_streams_say_nothing(start, connect):
    server = start()
    client = connect(server, "/ws/ethusd@kline_1m/btcusd@kline_1m").ready()
    server.scenarios.add("halted", symbol="ETH-USD")
    for _ in range(4):
        server.clock.advance(MINUTE_MS)
        server.send_due()
    client.send({"method": "LIST_SUBSCRIPTIONS", "id": "end"})
    frames = [one for one in client.until(lambda frame: frame.get("id") == "end") if "k" in one]
    closing = [(one["s"], one["k"]["t"]) for one in frames if one["k"]["x"]]
    assert [time for name, time in closing if name == "ETHUSD"] == [MINUTE]
    assert len([time for name, time in closing if name == "BTCUSD"]) == 4


def test_a_delisted_symbol_is_in_no_listing_of_binance_and_refused_by_both(
    start, klines, candles, binance_row, product
):
    server = start()
    server.scenarios.add("delisted", symbol="ETH-USD")
    assert binance_row(server, "ETHUSD") is None
    assert klines(server, "ETHUSD").json()["code"] == -1121
    assert product(server, "ETH-USD")["status"] == "delisted"
    assert candles(server, "ETH-USD", start=0, end=60).status_code == 404


def test_a_renamed_symbol_goes_on_under_its_new_name(start, klines, binance_row, product, connect):
    server = start()
    expected = server.market.closed_candles("ETH-USD", Timeframe.M1, MINUTE, MINUTE + 9 * MINUTE_MS)
    server.scenarios.add("renamed", symbol="ETH-USD", to="POL-USD")
    client = connect(server, "/ws/polusd@kline_1m").ready()
    assert binance_row(server, "ETHUSD") is None
    assert binance_row(server, "POLUSD")["status"] == "TRADING"
    assert product(server, "POL-USD")["base_currency_id"] == "POL"
    for _ in range(3):
        server.clock.advance(MINUTE_MS)
        server.send_due()
    assert client.first(lambda frame: "k" in frame)["s"] == "POLUSD"
    rows = klines(server, "POLUSD").json()
    assert [row[0] for row in rows] == [MINUTE + at * MINUTE_MS for at in (1, 2, 3)]
    assert [float(row[4]) for row in rows[:2]] == [row[4] for row in expected[1:3]]
    server.scenarios.clear()
    assert binance_row(server, "POLUSD") is None
    assert binance_row(server, "ETHUSD")["status"] == "TRADING"


def test_a_listing_can_say_that_nothing_trades_or_lack_most(start, get):
    server = start()

    def told():
        binance = get(server, "/api/v3/exchangeInfo").json()["symbols"]
        return binance, get(server, PRODUCTS).json()["products"]

    whole = [len(rows) for rows in told()]
    server.scenarios.add("listing_halted")
    binance, coinbase = told()
    assert {row["status"] for row in binance} == {"BREAK"}
    assert all(row["trading_disabled"] for row in coinbase)
    server.scenarios.replace([{"kind": "listing_short"}])
    assert all(0 < len(rows) < full / 2 for rows, full in zip(told(), whole, strict=True))
    server.scenarios.replace([{"kind": "listing_bad_row", "symbol": "SOL-USD"}])
    assert [len([row for row in rows if "status" not in row]) for rows in told()] == [1, 1]


def test_they_are_named_on_the_command_line():
    text = "halted:symbol=ETH-USD:state=BREAK:every=5,renamed:symbol=MATIC-USD:to=POL-USD:every=9"
    assert parse_scenarios(text) == [
        {"kind": "halted", "symbol": "ETH-USD", "state": "BREAK", "every": 5},
        {"kind": "renamed", "symbol": "MATIC-USD", "to": "POL-USD", "every": 9},
    ]
    with pytest.raises(ValueError, match="new name"):
        parse_scenarios("renamed:to=POL")
