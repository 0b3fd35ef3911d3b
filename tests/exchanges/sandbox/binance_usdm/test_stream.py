"""The WebSockets of Binance's USD-M futures, whose routes are not all the same."""

import pytest

from livermore.market.timeframe import Timeframe
from tests.exchanges.sandbox.conftest import NOW_MS

MIDNIGHT_MS = 1_790_035_200_000  # 2026-09-22 00:00 UTC: all six timeframes close
ROUTED = "/market/stream"
KLINES = [f"btcusdt@kline_{timeframe}" for timeframe in Timeframe]


def closing(frame):
    return frame.get("data", {}).get("e") == "kline" and frame["data"]["k"]["x"]


def test_the_closing_frames_of_all_timeframes_equal_rest(start, connect, get):
    server = start(start_ms=MIDNIGHT_MS - 1000)
    client = connect(server, ROUTED)
    assert client.ask("SUBSCRIBE", KLINES) == {"result": None, "id": 1}
    server.clock.advance(1500)
    for frame in [client.first(closing) for _ in Timeframe]:
        told = frame["data"]["k"]
        query = {"symbol": "BTCUSDT", "interval": told["i"], "startTime": told["t"], "limit": 1}
        (row,) = get(server, "/fapi/v1/klines", **query).json()
        assert [told[name] for name in "tohlcvTqnVQB"] == row


@pytest.mark.parametrize("path", ["/public/stream", "/private/stream", "/public/ws"])
def test_another_route_acknowledges_and_stays_silent(start, connect, path):
    server = start(start_ms=MIDNIGHT_MS - 1000)
    client = connect(server, path)
    assert client.ask("SUBSCRIBE", KLINES) == {"result": None, "id": 1}
    assert client.ask("LIST_SUBSCRIPTIONS")["result"] == KLINES
    server.clock.advance(1500)
    assert client.is_silent()


def test_all_tickers_hold_rows_of_another_exchange(start, connect):
    server = start()
    client = connect(server, ROUTED)
    client.ask("SUBSCRIBE", ["!miniTicker@arr"])
    server.clock.advance(60_000)
    rows = client.first(lambda frame: "data" in frame)["data"]
    kinds = {row["s"]: row["st"] for row in rows}
    assert kinds["BTCUSDT"] == 1
    assert kinds["BTCUSD_PERP"] == 2
    assert "BNXUSDT" not in kinds


def test_ten_messages_a_second_are_taken_and_one_more_ends_the_connection(start, connect):
    client = connect(start(), ROUTED)
    for number in range(1, 11):
        client.ask("LIST_SUBSCRIPTIONS", request_id=number)
    client.send({"method": "LIST_SUBSCRIPTIONS", "id": 11})
    assert client.closed() == 1008


def test_an_end_comes_without_a_word(start, connect):
    client = connect(start(usdm_lifetime_seconds=0.3), ROUTED)
    assert client.closed() == 1001


def test_the_clock_stands_where_a_test_puts_it(start, get):
    assert get(start(), "/fapi/v1/time").json() == {"serverTime": NOW_MS}
