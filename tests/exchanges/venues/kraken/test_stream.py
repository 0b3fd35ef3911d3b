"""Kraken's frames on those of its documents, on broken ones, and its answers one by one."""

import json
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchanges.errors import BadPayload
from exchanges.stream.events import CandleUpdate, Clock, Concluded, Refused, Revised
from exchanges.venues.kraken.stream import KrakenStream, read_time_ms
from livermore.market.candle import Candle, Ticker
from livermore.market.pair import Pair
from livermore.market.timeframe import LONGEST_FIRST, MINUTE_MS, Timeframe
from tests.exchanges.venues.binance.test_stream import ANYTHING, damaged, mutated
from tests.exchanges.venues.kraken.payloads import recorded

NAMES = {"BTC-USD": "BTC/USD", "ETH-USD": "ETH/USD"}
OHLC, SNAPSHOT, TICKER = (recorded(f"ws_{name}") for name in ("ohlc", "ohlc_snapshot", "ticker"))
SUBSCRIBED, REFUSED, PONG = (recorded(f"ws_{name}") for name in ("subscribed", "refused", "pong"))
M1 = Timeframe.M1
MINUTE = 1_790_358_480_000  # 2026-09-25 17:48
BTC, BTC_TICKER, ETH = "ohlc:BTC/USD", "ticker:BTC/USD", "ohlc:ETH/USD"


def new_stream(names=NAMES):
    return KrakenStream("wss://ws.kraken.com/v2/", names)


def new_session():
    return new_stream().session()


def parse(frame):
    return new_session().parse(frame)


def changed(frame, **fields):
    """Return a frame with fields of its first row changed."""
    content = orjson.loads(frame)
    content["data"][0] |= fields
    return orjson.dumps(content)


def update(minute, seconds=30, **fields):
    """Return the frame of a bar so many minutes later, and when it was sent in that minute."""
    content = orjson.loads(changed(OHLC, interval_begin=iso(MINUTE + minute * MINUTE_MS), **fields))
    content["timestamp"] = iso(MINUTE + minute * MINUTE_MS + seconds * 1000)
    return orjson.dumps(content)


def iso(time_ms):
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}000000Z"


def pong(time_ms):
    return orjson.dumps({"method": "pong", "time_out": iso(time_ms)})


def answered(topic, request_id=None, error=None, method="subscribe"):
    """Return the answer to one symbol of a message."""
    channel, _, native = topic.partition(":")
    told = {"method": method, "success": error is None}
    told |= {"error": error, "symbol": native} if error else {}
    told |= {} if error else {"result": {"channel": channel, "symbol": native}}
    return orjson.dumps(told | ({} if request_id is None else {"req_id": request_id}))


# What is asked for


def test_minutes_feed_all_timeframes_of_a_symbol_on_one_topic():
    stream = new_stream()
    assert stream.topics(["BTC-USD"]) == {
        BTC: [Pair("BTC-USD", each) for each in LONGEST_FIRST],
        BTC_TICKER: [],
    }
    assert (stream.url, stream.market_in(BTC)) == ("wss://ws.kraken.com/v2", "BTC/USD")
    assert (stream.marks_closed_bars, stream.rolls_up_from) == (False, M1)


def test_a_message_has_one_channel_and_an_interval_where_that_has_one():
    session = new_session()
    candles, tickers = map(json.loads, session.subscribe([BTC, BTC_TICKER, ETH]))
    assert candles["params"] == {
        "channel": "ohlc", "symbol": ["BTC/USD", "ETH/USD"], "interval": 1, "snapshot": True,
    }  # fmt: skip
    assert tickers["params"] == {"channel": "ticker", "symbol": ["BTC/USD"], "snapshot": True}
    assert candles["req_id"] != tickers["req_id"]
    (gone,) = map(json.loads, session.unsubscribe([BTC]))
    assert gone["params"] == {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 1}
    assert session.wanted == {BTC_TICKER, ETH}


def test_messages_stay_within_their_limits():
    names = {f"S{at}-USD": f"S{at}/USD" for at in range(350)}
    stream = new_stream(names)
    batches = stream.session().batches(stream.topics(names))
    assert max(map(len, batches)) == stream.limits.topics_per_message
    assert {len({topic.partition(":")[0] for topic in batch}) for batch in batches} == {1}
    for message in stream.session().subscribe(stream.topics(names)):
        assert len(message) <= stream.limits.bytes_per_message


# What is answered


def test_a_message_is_answered_with_the_last_of_its_symbols():
    session = new_session()
    (message,) = map(json.loads, session.subscribe([BTC, ETH]))
    assert session.parse(answered(BTC, message["req_id"])) == []
    assert (session.confirmed, session.answered) == ({BTC}, 0)
    assert session.parse(answered(ETH, message["req_id"])) == []
    assert (session.confirmed, session.answered) == ({BTC, ETH}, 1)


@pytest.mark.parametrize("with_id", [True, False])
def test_one_symbol_is_refused_by_itself_whether_its_message_is_named_or_not(with_id):
    session = new_session()
    (message,) = map(json.loads, session.subscribe([BTC, ETH]))
    request_id = message["req_id"] if with_id else None
    refused = session.parse(answered(ETH, request_id, error="Currency pair not supported ETH/USD"))
    assert refused == [Refused("Currency pair not supported ETH/USD")]
    session.parse(answered(BTC, request_id))
    assert (session.confirmed, session.unacknowledged(), session.answered) == ({BTC}, {ETH}, 1)


def test_a_refusal_is_told_by_success_whatever_its_method():
    session = new_session()
    session.subscribe([BTC])
    session.parse(answered(BTC))
    (message,) = map(json.loads, session.unsubscribe([BTC]))
    told = answered(BTC, message["req_id"], error="Subscription Not Found")
    assert session.parse(told) == [Refused("Subscription Not Found")]
    assert (session.confirmed, session.answered) == (set(), 2)


def test_a_refusal_without_a_symbol_is_of_the_whole_message():
    session = new_session()
    (message,) = map(json.loads, session.subscribe([BTC, ETH]))
    told = {"error": "Exceeded msg rate", "success": False, "req_id": message["req_id"]}
    (refusal,) = session.parse(orjson.dumps(told))
    assert (refusal.passing, session.answered) == (True, 1)


def test_recorded_answers_are_understood():
    session = new_session()
    session.subscribe([BTC])
    assert session.parse(SUBSCRIBED) == []
    assert session.confirmed == {BTC}
    assert session.parse(REFUSED) == [Refused("Currency pair not supported XBT/USD")]
    assert session.parse(recorded("ws_status")) == []
    assert session.unknown == 0


def test_a_ping_tells_the_time_and_counts_for_no_answer_but_that_to_a_question():
    session = new_session()
    assert json.loads(session.ping()) == {"method": "ping"}
    assert session.parse(PONG) == [Clock(MINUTE + 65_123)]
    assert session.answered == 0
    question = json.loads(session.question())
    session.parse(orjson.dumps({"method": "pong", "req_id": question["req_id"]}))
    assert (session.answered, session.unknown) == (1, 0)


def test_heartbeats_are_known_and_tell_that_silence_is_none():
    session = new_session()
    assert not session.has_heartbeats
    assert session.parse(b'{"channel":"heartbeat"}') == []
    assert (session.has_heartbeats, session.unknown) == (True, 0)


# Candles


def test_an_update_is_its_bar_as_it_stands_by_when_it_begins():
    clock, shown = parse(OHLC)
    assert clock == Clock(MINUTE + 26_844)
    candle = Candle(MINUTE, 83729.5, 83745.2, 83729.4, 83744.3, 0.21155628, M1)
    assert shown == CandleUpdate("BTC-USD", candle, closed=False)


def test_a_later_bar_closes_the_one_before_and_quiet_minutes_lie_flat():
    session = new_session()
    session.parse(OHLC)
    _, first, *quiet, shown = session.parse(update(3, open=83750.0, high=83750.0))
    assert first == Concluded("BTC-USD", parse(OHLC)[1].candle)
    minutes = [each.candle for each in quiet if each.candle.timeframe is M1]
    assert [(each.timestamp, each.close, each.volume) for each in minutes] == [
        (MINUTE + at * MINUTE_MS, 83744.3, 0.0) for at in (1, 2)
    ]
    assert shown.candle.timestamp == MINUTE + 3 * MINUTE_MS


def test_the_answer_to_a_ping_closes_what_nobody_traded_after():
    session = new_session()
    session.parse(OHLC)
    assert session.parse(pong(MINUTE + MINUTE_MS + 1000)) == [Clock(MINUTE + MINUTE_MS + 1000)]
    _, closed = session.parse(pong(MINUTE + MINUTE_MS + 2000))
    assert closed == Concluded("BTC-USD", parse(OHLC)[1].candle)


def test_a_bar_that_is_shown_as_another_one_after_its_end_is_revised():
    session = new_session()
    session.parse(OHLC)
    session.parse(update(1))
    events = session.parse(changed(OHLC, volume=0.3))
    assert Revised("BTC-USD", MINUTE) in events


def test_a_snapshot_shows_the_open_bar_and_tells_nothing_of_those_before():
    clock, shown = parse(SNAPSHOT)
    assert clock == Clock(MINUTE + 20_000)
    assert (shown.candle.timestamp, shown.candle.close) == (MINUTE, 83735.0)


def test_after_an_unsubscription_nothing_is_closed_until_a_snapshot_comes():
    session = new_session()
    session.subscribe([BTC])
    session.parse(OHLC)
    session.unsubscribe([BTC])
    assert session.parse(pong(MINUTE + 5 * MINUTE_MS)) == [Clock(MINUTE + 5 * MINUTE_MS)]


def test_other_intervals_and_symbols_are_left_out():
    assert parse(changed(OHLC, interval=5)) == [Clock(MINUTE + 26_844)]
    session = new_session()
    assert session.parse(changed(OHLC, symbol="NOPE/USD")) == [Clock(MINUTE + 26_844)]
    assert session.unknown == 1


def test_an_update_without_the_time_of_its_frame_is_read_too():
    content = orjson.loads(OHLC)
    del content["timestamp"]
    (shown,) = parse(orjson.dumps(content))
    assert shown.candle.timestamp == MINUTE


def test_only_what_may_close_a_bar_is_read_at_once():
    session = new_session()
    frames = [OHLC, update(0, 40), update(1), update(1, 40), TICKER, PONG]
    assert [session.may_close(frame) for frame in frames] == [False, False, True] + [False] * 3


def test_of_tickers_alone_the_newest_will_do_and_of_bars_all_are_read():
    session = new_session()
    assert session.superseded_by(TICKER) == b"tickerBTC/USD"
    two = orjson.loads(TICKER)
    two["data"] *= 2
    for frame in (OHLC, SNAPSHOT, SUBSCRIBED, PONG, orjson.dumps(two)):
        assert session.superseded_by(frame) is None


def test_a_ticker_tells_24_hours():
    clock, ticker = parse(TICKER)
    assert clock == Clock(MINUTE + 26_844)
    assert ticker == Ticker(
        "BTC-USD", 83744.3, -429.3, -0.51, 85247.4, 83163.6, 3156.8478211, MINUTE + 26_844
    )


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-09-25T17:48:00Z", 0),
        ("2026-09-25T17:48:00.5Z", 500),
        ("2026-09-25T17:48:00.012345Z", 12),
        ("2026-09-25T17:48:00.999999999Z", 999),
    ],
)
def test_times_have_up_to_nine_digits(text, ms):
    assert read_time_ms(text) == MINUTE + ms


@pytest.mark.parametrize("text", ["", "2026-09-25", "2026-09-25T17:48:00", "2026-13-25T17:48:00Z"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match=r"time|month"):
        read_time_ms(text)


# Whatever comes


@pytest.mark.parametrize("value", ["83744.3", None, True, [], float("1e400")])
@pytest.mark.parametrize("field", ["open", "volume"])
def test_numbers_that_are_none_are_refused(field, value):
    frame = OHLC.replace(
        b'"%s":' % field.encode(), b'"%s":%s,"x":' % (field.encode(), json.dumps(value).encode())
    )
    with pytest.raises(BadPayload):
        parse(frame)


FRAMES = [OHLC, SNAPSHOT, TICKER, SUBSCRIBED, REFUSED, PONG, recorded("ws_status")]


def assert_honest(frame):
    """Assert that a frame is read, as what is in it and no more, or a bad payload."""
    session = new_session()
    session.subscribe([BTC])
    session.may_close(frame)
    session.superseded_by(frame)
    try:
        events = session.parse(frame)
    except BadPayload:
        return
    for event in events:
        if isinstance(event, CandleUpdate):
            assert event.symbol in NAMES
            assert iso(event.candle.timestamp)[:16].encode() in frame or b"\\u" in frame
        else:
            assert isinstance(event, Clock | Ticker | Refused)


@settings(max_examples=60)
@given(st.binary(max_size=80) | ANYTHING.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_a_bad_payload(frame):
    assert_honest(frame)


@settings(max_examples=150)
@given(mutated(FRAMES) | damaged(FRAMES))
def test_a_spoiled_frame_never_gives_a_candle_that_is_not_in_it(frame):
    assert_honest(frame)


@pytest.mark.parametrize(("frame", "left"), [
    (changed(TICKER, last=None), ["BTC-USD", "ETH-USD"]),  # it says nothing of bars
    (update(0, symbol="ETH/USD", high=0.1), ["BTC-USD"]),
    (update(0, symbol="NOPE/USD", high=None), []),
    (b'{"channel":"ohlc","data":[{"symbol":"BTC/', []),
])  # fmt: skip
def test_what_can_not_be_read_costs_the_bars_of_those_whom_it_may_be_about(frame, left):
    session = new_session()
    for name in NAMES.values():
        session.parse(update(0, symbol=name))
    session.lost_frame(frame)
    events = session.parse(pong(MINUTE + MINUTE_MS + 2_000))
    assert [each.symbol for each in events if isinstance(each, Concluded)] == left


@pytest.mark.parametrize("frame", [b"[%s,null,7]" % OHLC, b"7", b'"channel"', b"null"])
def test_what_is_no_object_may_have_told_of_a_trade_and_is_no_frame(frame):
    with pytest.raises(BadPayload):
        parse(frame)
