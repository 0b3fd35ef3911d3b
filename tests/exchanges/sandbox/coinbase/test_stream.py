import time

import pytest
from websockets.exceptions import InvalidStatus

from livermore.market.timeframe import MINUTE_MS, Timeframe
from tests.exchanges.sandbox.conftest import NOW_MS

MINUTE = Timeframe.M1.floor(NOW_MS)


def rows(frames, channel, part, kind=None):
    """Return the candles or trades of a channel's frames, in the order they came."""
    return [
        row
        for frame in frames
        if frame.get("channel") == channel
        for event in frame["events"]
        if kind in (None, event["type"])
        for row in event[part]
    ]


def is_update(frame):
    return frame.get("events", [{}])[0].get("type") == "update"


@pytest.mark.parametrize("path", ["", "/", "/coinbase"])
def test_the_answer_is_the_whole_current_set(sandbox, connect, path):
    client = connect(sandbox, path)
    client.subscribe("heartbeats")
    client.subscribe("candles", "BTC-USD")
    frames = client.subscribe("candles", "ETH-USD")
    assert frames[-1]["events"] == [
        {"subscriptions": {"heartbeats": ["heartbeats"], "candles": ["BTC-USD", "ETH-USD"]}}
    ]
    client.send({"type": "unsubscribe", "channel": "candles", "product_ids": ["BTC-USD"]})
    answer = client.first(lambda frame: frame["channel"] == "subscriptions")
    assert answer["events"][0]["subscriptions"]["candles"] == ["ETH-USD"]


def test_products_that_do_not_trade_are_missing_from_the_answer_without_an_error(sandbox, connect):
    frames = connect(sandbox, "/").subscribe("ticker", "BTC-USD", "NOPE-USD", "LUNA-USD", "btc-usd")
    assert frames[-1]["events"][0]["subscriptions"] == {"ticker": ["BTC-USD"]}
    assert all(frame["channel"] in ("ticker", "subscriptions") for frame in frames)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"type": "subscribe", "channel": "weather"}, "authentication failure"),
        ({"type": "subscribe", "channels": ["candles"]}, "failure to parse message"),
        ({"type": "sing", "channel": "candles"}, "failure to parse message"),
        ({"type": "subscribe", "channel": ["candles"]}, "authentication failure"),
        ("{", "failure to parse message"),
        ([1], "failure to parse message"),
    ],
)
def test_errors_have_a_type_and_no_channel(sandbox, connect, sent, message):
    client = connect(sandbox, "/")
    client.send(sent)
    assert client.next() == {"type": "error", "message": message}


def test_one_number_counts_all_frames_of_a_connection(start, connect):
    server = start(speed=60)
    client = connect(server, "/")
    frames = []
    for channel in ("heartbeats", "candles", "market_trades", "ticker", "ticker_batch"):
        frames += client.subscribe(channel, "BTC-USD", "ETH-USD")
    frames += client.until(lambda frame: frame["channel"] == "heartbeats")
    frames += client.until(lambda frame: frame["sequence_num"] > 30)
    assert [frame["sequence_num"] for frame in frames] == list(range(len(frames)))
    assert {frame["channel"] for frame in frames} > {"subscriptions", "candles", "heartbeats"}


def test_a_whole_minutes_trades_make_its_candle(start, connect):
    server = start()
    client = connect(server, "/")
    frames = client.subscribe("market_trades", "BTC-USD")
    for _ in range(2):
        server.clock.advance(MINUTE_MS)
        frames += client.until(is_update)
    trades = {int(row["trade_id"]): row for row in rows(frames, "market_trades", "trades")}
    ids = sorted(trades)
    assert ids == list(range(ids[0], ids[-1] + 1))
    iso = time.strftime("%Y-%m-%dT%H:%M", time.gmtime((MINUTE + MINUTE_MS) // 1000))
    within = [trades[one] for one in ids if trades[one]["time"].startswith(iso)]
    prices = [float(row["price"]) for row in within]
    _, *ohlc, volume = server.market.candle("BTC-USD", Timeframe.M1, MINUTE + MINUTE_MS)
    assert [prices[0], max(prices), min(prices), prices[-1]] == ohlc
    units = sum(round(float(row["size"]) * 10**8) for row in within)
    assert units == round(volume * 10**8)


def test_snapshot_and_updates_of_trades_leave_no_gap(start, connect):
    server = start(speed=120)
    client = connect(server, "/")
    frames = client.subscribe("market_trades", "ETH-USD")
    assert 0 < len(rows(frames, "market_trades", "trades", "snapshot")) <= 100
    frames += [client.first(is_update) for _ in range(2)]
    ids = [int(row["trade_id"]) for row in rows(frames, "market_trades", "trades")]
    assert sorted(set(ids)) == list(range(min(ids), max(ids) + 1))


def test_the_candle_snapshot_has_holes_and_agrees_with_rest(sandbox, connect, candles):
    frames = connect(sandbox, "/").subscribe("candles", "BTC-USD")
    told = rows(frames, "candles", "candles", "snapshot")
    starts = [int(row["start"]) for row in told]
    assert len(told) <= 100
    assert starts == sorted(starts, reverse=True)
    assert starts[0] - starts[-1] > 300 * len(starts)
    rest = candles(
        sandbox, granularity="FIVE_MINUTE", start=starts[-1], end=starts[0]
    ).json()["candles"]  # fmt: skip
    known = {row["start"]: row | {"product_id": "BTC-USD"} for row in rest}
    assert all(row == known[row["start"]] for row in told)


def test_updates_of_candles_agree_with_rest_and_end_with_the_last_state(start, connect, candles):
    server = start()
    client = connect(server, "/")
    client.subscribe("candles", "BTC-USD")
    server.clock.advance(60_000)
    (row,) = rows([client.first(is_update)], "candles", "candles")
    open_s = int(row["start"])
    server.clock.advance(5 * MINUTE_MS)
    newer, finished = rows([client.first(is_update)], "candles", "candles")
    assert (int(newer["start"]), int(finished["start"])) == (open_s + 300, open_s)
    rest = candles(server, granularity="FIVE_MINUTE", start=open_s, end=open_s + 300).json()
    assert [newer, finished] == [row | {"product_id": "BTC-USD"} for row in rest["candles"]]


def test_candles_come_once_a_second_at_most_whatever_the_speed(start, connect):
    server = start(speed=600)
    client = connect(server, "/")
    client.subscribe("candles", "BTC-USD")
    client.first(is_update)
    began = time.monotonic()
    client.first(is_update)
    assert 0.9 < time.monotonic() - began < 1.5


def test_nothing_is_said_while_nothing_trades(sandbox, connect):
    client = connect(sandbox, "/")
    for channel in ("candles", "market_trades", "ticker"):
        client.subscribe(channel, "BTC-USD")
    assert client.is_silent(0.4)


def test_an_alias_is_answered_for_and_labelled_as_the_real_product(start, connect):
    server = start(speed=60)
    client = connect(server, "/")
    frames = client.subscribe("market_trades", "BTC-USDC")
    assert frames[-1]["events"][0]["subscriptions"] == {"market_trades": ["BTC-USD"]}
    frames = client.subscribe("market_trades", "BTC-USDC", "BTC-USD")
    assert frames[-1]["events"][0]["subscriptions"] == {"market_trades": ["BTC-USD"]}
    frames.append(client.first(is_update))
    assert {row["product_id"] for row in rows(frames, "market_trades", "trades")} == {"BTC-USD"}
    client.send({"type": "unsubscribe", "channel": "market_trades", "product_ids": ["BTC-USDC"]})
    answer = client.first(lambda frame: frame["channel"] == "subscriptions")
    assert answer["events"][0]["subscriptions"] == {}


def test_where_aliases_are_off_each_name_is_answered_for(start, connect):
    server = start(speed=60, coinbase_aliases=False)
    client = connect(server, "/")
    frames = client.subscribe("market_trades", "BTC-USDC", "BTC-USD")
    assert frames[-1]["events"][0]["subscriptions"] == {"market_trades": ["BTC-USDC", "BTC-USD"]}
    frames.append(client.first(is_update))
    assert {row["product_id"] for row in rows(frames, "market_trades", "trades")} == {"BTC-USD"}
    client.send({"type": "unsubscribe", "channel": "market_trades", "product_ids": ["BTC-USDC"]})
    client.first(lambda frame: frame["channel"] == "subscriptions")
    assert client.first(is_update)


def test_the_ticker_agrees_with_rest(start, connect, get):
    server = start()
    client = connect(server, "/")
    client.subscribe("ticker", "ETH-USD")
    client.subscribe("ticker_batch", "ETH-USD")
    server.clock.advance(MINUTE_MS)
    frames = client.until(lambda frame: frame["channel"] == "ticker_batch")
    (batch,) = rows(frames, "ticker_batch", "tickers")
    (ticker,) = rows(frames, "ticker", "tickers")
    rest = get(server, "/api/v3/brokerage/market/products/ETH-USD").json()
    assert ticker["price"] == rest["price"]
    assert ticker["volume_24_h"] == rest["volume_24h"]
    assert float(ticker["price_percent_chg_24_h"]) == float(rest["price_percentage_change_24h"])
    assert float(ticker["best_bid"]) < float(ticker["price"]) < float(ticker["best_ask"])
    assert set(ticker) - set(batch) == {
        "best_bid", "best_bid_quantity", "best_ask", "best_ask_quantity"
    }  # fmt: skip


def test_heartbeats_count_up_once_a_second(sandbox, connect):
    client = connect(sandbox, "/")
    client.subscribe("heartbeats")
    one, two = (client.first(lambda frame: frame["channel"] == "heartbeats") for _ in range(2))
    counters = [frame["events"][0]["heartbeat_counter"] for frame in (one, two)]
    assert counters[1] == counters[0] + 1
    assert one["events"][0]["current_time"].endswith(f" m=+{counters[0]}.456")


def test_who_asks_for_nothing_in_time_is_dropped(start, connect):
    server = start(coinbase_subscribe_seconds=0.2)
    assert connect(server, "/").closed() == 1008


def test_an_idle_connection_is_closed_unless_it_has_heartbeats(start, connect):
    server = start(coinbase_idle_seconds=1.1)
    idle, beating = connect(server, "/"), connect(server, "/")
    idle.subscribe("candles", "BTC-USD")
    beating.subscribe("heartbeats")
    assert idle.closed() == 1001
    assert beating.first(lambda frame: frame["channel"] == "heartbeats")


def test_messages_over_the_limit_are_refused_for_the_whole_address(sandbox, connect):
    one, other = connect(sandbox, "/"), connect(sandbox, "/")
    for _ in range(8):
        one.subscribe("heartbeats")
    other.send({"type": "subscribe", "channel": "heartbeats"})
    assert other.next() == {"type": "error", "message": "rate limit exceeded"}


def test_connecting_too_fast_is_refused(start, connect):
    server = start(coinbase_connects_per_second=1)
    connect(server, "/")
    with pytest.raises(InvalidStatus) as refused:
        connect(server, "/")
    assert refused.value.response.status_code == 429
    assert server.streams["coinbase"].refused == 1
