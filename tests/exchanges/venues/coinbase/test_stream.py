"""Coinbase's frames on recorded ones, on broken ones, and on trades in pieces."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchanges.errors import BadPayload
from exchanges.stream.events import CandleUpdate, Clock, Lost, Refused, Traded
from exchanges.venues.coinbase.stream import CoinbaseStream
from livermore.market.candle import Candle, Ticker
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from tests.exchanges.venues.binance.test_stream import ANYTHING, damaged, mutated

NAMES = {name: name for name in ("BTC-USD", "ETH-USD", "ZEC-USD", "DOGE-USD", "BTC-PERP-INTX")}
M1, M5 = Timeframe.M1, Timeframe.M5


def recorded(name):
    return (
        (Path(__file__).parents[1] / "payloads" / f"ws_coinbase_{name}.json").read_bytes().strip()
    )


def envelope(channel, *events, number=0, at="2026-01-22T14:52:05.123456789Z"):
    """Return a frame around events; of candle updates the scrape recorded the event alone."""
    told = b'{"channel":"%s","timestamp":"%s","sequence_num":%d,"events":[%s]}'
    return told % (channel.encode(), at.encode(), number, b",".join(events))


SUBSCRIPTIONS, HEARTBEATS = recorded("subscriptions"), recorded("heartbeats")
ERROR = recorded("error")
CANDLES = envelope("candles", recorded("candles_event"))
SNAPSHOT = recorded("candles_snapshot")
TRADES = recorded("market_trades")
TICKER, TICKER_BATCH = recorded("ticker"), recorded("ticker_batch")


def new_session(names=NAMES):
    return CoinbaseStream("wss://advanced-trade-ws.coinbase.com", names).session()


def parse(frame):
    return new_session().parse(frame)


def trades_frame(*trades, number=0, kind="update"):
    """Return a frame of trades, each `(id, time, price, size)`."""
    names = ("trade_id", "time", "price", "size")
    rows = [dict(zip(names, trade, strict=True)) | {"product_id": "ETH-USD"} for trade in trades]
    event = json.dumps({"type": kind, "trades": rows}, separators=(",", ":")).encode()
    return envelope("market_trades", event, number=number)


def three_minutes(*sizes):
    """Return trades of which the second alone makes a whole minute."""
    times = ("2026-01-22T14:49:59.9Z", "2026-01-22T14:50:00.000000001Z", "2026-01-22T14:51:30Z")
    return [
        (str(n), time, "10.5", size)
        for n, (time, size) in enumerate(zip(times, sizes, strict=True))
    ]


WHOLE = trades_frame(*three_minutes("1", "2.5", "3"))


def test_the_recorded_update_is_a_five_minute_bar_that_is_open():
    bar = Candle(1769093400000, 356.22, 358.5, 355.79, 358.16, 202.20420079, M5)
    assert parse(CANDLES) == [Clock(1769093525123), CandleUpdate("ZEC-USD", bar, closed=False)]


def test_nothing_is_built_on_a_snapshot_of_candles():
    assert parse(SNAPSHOT) == [Clock(1686341975396)]


def test_a_heartbeat_tells_the_time():
    assert parse(HEARTBEATS) == [Clock(1788646230260)]


def test_an_error_has_no_number_and_says_why():
    assert parse(ERROR) == [Refused("authentication failure")]


@pytest.mark.parametrize(
    ("written", "time_ms"),
    [
        ("2026-09-05T22:10:29.563180868Z", 1788646229563),
        ("2026-09-05T22:10:29.999999999Z", 1788646229999),
        ("2026-09-05T22:10:29.5Z", 1788646229500),
        ("2026-09-05T22:10:29.05Z", 1788646229050),
        ("2026-09-05T22:10:29Z", 1788646229000),
    ],
)
def test_times_are_cut_to_milliseconds_however_many_digits_they_have(written, time_ms):
    assert parse(envelope("heartbeats", at=written)) == [Clock(time_ms)]


def test_tickers_tell_the_change_from_its_percentage():
    clock, ticker = parse(TICKER)
    assert (clock, ticker.timestamp) == (Clock(1675974637167), 1675974637167)
    assert (ticker.symbol, ticker.price, ticker.volume_24h) == ("BTC-USD", 21932.98, 16038.28770938)
    assert (ticker.high_24h, ticker.low_24h) == (23011.18, 21835.29)
    assert ticker.change_percent_24h == -4.15775596190603
    before = ticker.price - ticker.change_24h
    assert 100 * ticker.change_24h / before == pytest.approx(-4.15775596190603)


def test_a_batched_ticker_is_a_ticker():
    found = [(e.symbol, e.price) for e in parse(TICKER_BATCH) if isinstance(e, Ticker)]
    assert found == [("DOGE-USD", 0.08212)]


def test_the_answer_is_all_that_is_subscribed_and_not_what_was_added():
    session = new_session()
    session.subscribe(["ticker:BTC-PERP-INTX", "ticker:ZEC-USD", "candles:ZEC-USD"])
    session.parse(SUBSCRIPTIONS)
    assert session.unacknowledged() == {"ticker:ZEC-USD", "candles:ZEC-USD"}
    session.parse(SUBSCRIPTIONS.replace(b'"BTC-PERP-INTX"', b'"ZEC-USD"'))
    assert session.unacknowledged() == {"ticker:BTC-PERP-INTX", "candles:ZEC-USD"}


def test_what_was_ended_need_not_be_confirmed():
    session = new_session()
    session.subscribe(["ticker:BTC-PERP-INTX", "ticker:ZEC-USD"])
    session.unsubscribe(["ticker:ZEC-USD"])
    session.parse(SUBSCRIPTIONS)
    assert session.unacknowledged() == set()


@pytest.mark.parametrize(
    ("number", "expected"),
    [(5, []), (7, [Lost(2)]), (0, [Lost(None)]), (4, [Lost(None)])],
)
def test_a_number_that_does_not_follow_tells_of_lost_frames(number, expected):
    session = new_session()
    session.parse(HEARTBEATS)  # number 4
    events = session.parse(envelope("heartbeats", number=number))
    assert [event for event in events if isinstance(event, Lost)] == expected


def test_numbers_run_over_all_channels_and_begin_anywhere():
    session = new_session()
    frames = [SUBSCRIPTIONS, HEARTBEATS, envelope("status", b'{"products":[]}', number=5)]
    frames += [envelope("candles", number=6), ERROR, envelope("ticker", number=7)]
    assert not [e for frame in frames for e in session.parse(frame) if isinstance(e, Lost)]
    assert session.unknown == 1  # the status channel


def test_a_frame_that_cannot_be_read_still_has_its_number():
    session = new_session()
    with pytest.raises(BadPayload):
        session.parse(envelope("candles", b'{"type":"update"}', number=0))
    assert session.parse(envelope("candles", number=1)) == [Clock(1769093525123)]


def test_a_product_that_an_alias_led_to_is_known_by_the_name_it_is_labelled_with():
    session = new_session({"BTC-USDC": "BTC-USD"})
    (ticker,) = [event for event in session.parse(TICKER) if isinstance(event, Ticker)]
    assert ticker.symbol == "BTC-USDC"


def test_a_product_that_nobody_asked_for_is_counted_and_skipped():
    session = new_session({"BTC-USDC": "BTC-USDC"})
    assert session.parse(TICKER) == [Clock(1675974637167)]
    assert session.unknown == 1


def test_the_recorded_trade_tells_nothing_of_a_minute_that_was_joined_in_the_middle():
    assert parse(TRADES) == [Clock(1675973975396), Traded("ETH-USD", 1565815347265)]


def test_the_first_trades_of_a_later_minute_may_close_the_one_before_and_nothing_else_may():
    session = new_session()
    older, newer = three_minutes("1", "2.5", "3")[:2], three_minutes("1", "2.5", "3")[2:]
    frames = [trades_frame(*older), trades_frame(*older), trades_frame(*newer), CANDLES, TICKER]
    assert list(map(session.may_close, frames)) == [False, False, True, False, False]
    assert new_session({}).may_close(WHOLE) is False


def test_a_frame_that_holds_two_minutes_may_close_the_first():
    session = new_session()
    frames = [trades_frame(*three_minutes("1", "2.5", "3")[:1]), WHOLE]
    assert list(map(session.may_close, frames)) == [False, True]
    session = new_session()
    frames = [frames[0], trades_frame(*reversed(three_minutes("1", "2.5", "3")))]
    assert list(map(session.may_close, frames)) == [False, True]


@pytest.mark.parametrize(
    "frame", [b"", b'"market_trades"', b'"market_trades""product_id":"ETH-USD', b"\xff" * 300]
)
def test_a_frame_that_cannot_be_read_closes_nothing(frame):
    assert new_session().may_close(frame) is False


def test_trades_make_minutes_in_whichever_order_a_frame_has_them():
    frame = trades_frame(*reversed(three_minutes("1", "2.5", "3")))
    minute = Candle(1769093400000, 10.5, 10.5, 10.5, 10.5, 2.5, M1)
    closed = [e for e in parse(frame) if isinstance(e, CandleUpdate) and e.closed]
    assert closed == [CandleUpdate("ETH-USD", minute, closed=True)]
    assert parse(frame) == parse(WHOLE)


def test_a_snapshot_that_overlaps_the_updates_is_not_counted_twice():
    session = new_session()
    first, second, third = three_minutes("1", "2.5", "3")
    session.parse(trades_frame(second, first, kind="snapshot", number=0))
    session.parse(trades_frame(second, number=1))
    events = session.parse(trades_frame(third, second, number=2))
    assert [e.candle.volume for e in events if isinstance(e, CandleUpdate)] == [2.5, 3.0]


def test_a_product_that_is_subscribed_anew_is_joined_in_the_middle_again():
    session = new_session()
    first, second, third = three_minutes("1", "2.5", "3")
    session.subscribe(["market_trades:ETH-USD"])
    session.parse(trades_frame(first, second, number=0))
    session.unsubscribe(["market_trades:ETH-USD"])
    session.subscribe(["market_trades:ETH-USD"])
    events = session.parse(trades_frame(third, number=1))
    assert events == [Clock(1769093525123), Traded("ETH-USD", 1769093490000)]


@pytest.mark.parametrize(
    ("frame", "valid", "broken"),
    [
        (CANDLES, b'"358.16"', b"358.16"),
        (CANDLES, b'"358.16"', b'"358.6"'),  # above the high
        (CANDLES, b'"358.16"', b'"inf"'),
        (CANDLES, b'"202.20420079"', b'"-1"'),
        (CANDLES, b'"1769093400"', b'"1769093400000"'),
        (CANDLES, b'"1769093400"', b'"1769093401"'),
        (CANDLES, b'"start":"1769093400",', b""),
        (CANDLES, b'"candles":', b'"candle":'),
        (CANDLES, b'"sequence_num":0,', b""),
        (CANDLES, b'"timestamp":"2026-01-22T', b'"timestamp":"2026-13-22T'),
        (TICKER, b'"21932.98"', b'""'),
        (TICKER, b'"-4.15775596190603"', b'"-100"'),  # it would have cost infinitely much
        (WHOLE, b'"10.5"', b'"1_0"'),
        (WHOLE, b'"2.5"', b'"many"'),
        (WHOLE, b'"trade_id":"1"', b'"trade_id":"x"'),
        (SUBSCRIPTIONS, b'{"subscriptions":', b'{"subscription":'),
    ],
)
def test_a_broken_frame_is_refused_with_a_copy_of_it(frame, valid, broken):
    spoiled = frame.replace(valid, broken, 1)
    assert spoiled != frame
    with pytest.raises(BadPayload, match="channel"):
        parse(spoiled)


@pytest.mark.parametrize("frame", [b"", b"\xff", b"null", b"[]", b"{}", b'{"channel":[]}', b"{"])
def test_a_frame_that_is_no_message_is_a_bad_payload(frame):
    with pytest.raises(BadPayload):
        parse(frame)


def milliseconds(text):
    whole, _, rest = text.rstrip("Z").partition(".")
    at = datetime.fromisoformat(whole).replace(tzinfo=UTC)
    return round(at.timestamp()) * 1000 + int((rest + "000")[:3])


def candles_in(frame):
    """Return the bars of a frame, read without our parser: rows, or whole minutes of trades."""
    for event in json.loads(frame)["events"]:
        for row in event.get("candles", []):
            names = ("open", "high", "low", "close", "volume")
            yield (row["product_id"], int(row["start"]) * 1000, *(float(row[n]) for n in names))
        by_product = {}
        for row in event.get("trades", []):
            by_product.setdefault(row["product_id"], {})[int(row["trade_id"])] = row
        for product, rows in by_product.items():
            trades = [rows[number] for number in sorted(rows)]
            for opened, minute in groupby(trades, lambda row: M1.floor(milliseconds(row["time"]))):
                yield from parts_of(product, opened, list(minute))


def parts_of(product, opened, trades):
    """Return a minute as it stood after each of its trades."""
    for count in range(1, len(trades) + 1):
        prices = [float(row["price"]) for row in trades[:count]]
        volume = float(sum(Decimal(row["size"]) for row in trades[:count]))
        yield product, opened, prices[0], max(prices), min(prices), prices[-1], volume


def assert_honest(frame):
    try:
        events = parse(frame)
    except BadPayload:
        return
    for event in events:
        if isinstance(event, CandleUpdate):
            assert (event.symbol, *event.candle.values()) in list(candles_in(frame))


FRAMES = [CANDLES, SNAPSHOT, SUBSCRIPTIONS, HEARTBEATS, ERROR, TRADES, TICKER, TICKER_BATCH, WHOLE]


@given(st.binary(max_size=80) | ANYTHING.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_a_bad_payload(frame):
    assert_honest(frame)


@settings(max_examples=300)
@given(mutated(FRAMES) | damaged(FRAMES))
def test_a_spoiled_frame_never_gives_a_candle_that_is_not_in_it(frame):
    assert_honest(frame)


def test_the_topics_of_a_symbol_feed_all_its_timeframes():
    stream = CoinbaseStream("wss://advanced-trade-ws.coinbase.com/", {"BTC-USDC": "BTC-USD"})
    topics = stream.topics(["BTC-USDC"])
    assert stream.url == "wss://advanced-trade-ws.coinbase.com"
    assert set(topics) == {"candles:BTC-USD", "market_trades:BTC-USD", "ticker_batch:BTC-USD"}
    assert {pair for pairs in topics.values() for pair in pairs} == {
        Pair("BTC-USDC", timeframe) for timeframe in Timeframe
    }


def test_heartbeats_come_first_and_once():
    session = new_session()
    messages = session.subscribe(["candles:BTC-USD"]) + session.subscribe(["candles:ETH-USD"])
    assert [json.loads(message) for message in messages] == [
        {"type": "subscribe", "channel": "heartbeats"},
        {"type": "subscribe", "channel": "candles", "product_ids": ["BTC-USD"]},
        {"type": "subscribe", "channel": "candles", "product_ids": ["ETH-USD"]},
    ]


@pytest.mark.parametrize("verb", ["subscribe", "unsubscribe"])
@given(products=st.lists(st.text("AZ09-é", min_size=1, max_size=30), unique=True, max_size=120))
def test_a_message_has_one_channel_and_a_hundred_products_at_the_most(verb, products):
    stream = CoinbaseStream("ws://x", {product: product for product in products})
    topics = list(stream.topics(products))
    messages = getattr(stream.session(), verb)(topics)
    sent = [json.loads(message) for message in messages]
    sent = [message for message in sent if message["channel"] != "heartbeats"]
    named = [f"{each['channel']}:{name}" for each in sent for name in each["product_ids"]]
    assert sorted(named) == sorted(topics)
    assert all(len(message["product_ids"]) <= 100 for message in sent)
    assert all(len(message.encode()) <= stream.limits.bytes_per_message for message in messages)
    assert {message["type"] for message in sent} <= {verb}
