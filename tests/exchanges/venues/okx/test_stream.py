"""OKX's frames on those of its documents, on broken ones, and its acknowledgements one by one."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchanges.errors import BadPayload
from exchanges.stream.events import CandleUpdate, Clock, Refused, Shutdown
from exchanges.stream.inbox import Inbox
from exchanges.venues.okx.stream import OkxStream
from livermore.market.candle import Candle, Ticker
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from tests.exchanges.venues.binance.test_stream import ANYTHING, damaged, mutated
from tests.exchanges.venues.okx.payloads import recorded

NAMES = {"BTC-USDT": "BTC-USDT", "BTC-USDT-PERP": "BTC-USDT-SWAP"}
URL = "wss://ws.okx.com:8443/ws/v5"
OPEN, CLOSED, TWO = (
    recorded(f"ws_candle_{name}") for name in ("open_spot", "closed_swap", "two_rows")
)
SPOT_TICKER, SWAP_TICKER = recorded("ws_ticker_spot"), recorded("ws_ticker_swap")
SUBSCRIBED, REFUSED, NOTICE = (
    recorded(f"ws_{name}") for name in ("subscribed", "refused", "notice")
)
M1, D1 = Timeframe.M1, Timeframe.D1


def new_stream(names=NAMES):
    return OkxStream(f"{URL}/", names)


def new_session():
    return new_stream().session()


def parse(frame):
    return new_session().parse(frame)


def acknowledgement(topic, message_id=None, event="subscribe"):
    channel, _, native = topic.partition(":")
    told = {"event": event, "arg": {"channel": channel, "instId": native}, "connId": "76defc81"}
    return orjson.dumps(({"id": message_id} if message_id else {}) | told)


def refusal(message_id=None, code="60018"):
    told = orjson.loads(REFUSED) | {"code": code}
    return orjson.dumps(told | ({"id": message_id} if message_id else {}))


# What is streamed where


def test_a_symbol_has_six_timeframes_at_one_address_and_its_ticker_at_another():
    stream = new_stream()
    topics = stream.topics(["BTC-USDT-PERP"])
    assert topics == {
        "candle1Dutc:BTC-USDT-SWAP": [Pair("BTC-USDT-PERP", D1)],
        "candle4H:BTC-USDT-SWAP": [Pair("BTC-USDT-PERP", Timeframe.H4)],
        "candle1H:BTC-USDT-SWAP": [Pair("BTC-USDT-PERP", Timeframe.H1)],
        "candle15m:BTC-USDT-SWAP": [Pair("BTC-USDT-PERP", Timeframe.M15)],
        "candle5m:BTC-USDT-SWAP": [Pair("BTC-USDT-PERP", Timeframe.M5)],
        "candle1m:BTC-USDT-SWAP": [Pair("BTC-USDT-PERP", M1)],
        "tickers:BTC-USDT-SWAP": [],
    }
    addresses = {topic: stream.address_of(topic) for topic in topics}
    assert addresses.pop("tickers:BTC-USDT-SWAP") == f"{URL}/public"
    assert set(addresses.values()) == {f"{URL}/business"} == {stream.url}
    assert {stream.market_in(topic) for topic in topics} == {"BTC-USDT-SWAP"}


def test_a_message_holds_a_hundred_topics_and_fewer_bytes_than_are_allowed():
    session = new_session()
    topics = [f"candle1m:{'X' * length}-USDT" for length in (5, 3000) for _ in range(150)]
    batches = session.batches(topics)
    assert [topic for batch in batches for topic in batch] == topics
    assert max(map(len, batches)) == 100
    messages = session.subscribe(topics)
    assert len(messages) == len(batches)
    assert max(map(len, messages)) < 65_536
    assert orjson.loads(messages[0])["args"][0] == {"channel": "candle1m", "instId": "XXXXX-USDT"}


# Frames


def test_an_open_candle_of_spot_has_its_volume_in_the_base_first():
    bar = Candle(1789470120000, 77082.7, 77116.6, 77082.6, 77116.6, 1.5784361, M1)
    assert parse(OPEN) == [CandleUpdate("BTC-USDT", bar, closed=False)]


def test_a_confirmed_candle_of_a_swap_is_closed_with_its_volume_in_the_base():
    bar = Candle(1789430400000, 76000.0, 78000.5, 75500.1, 77116.6, 3072.5, D1)
    assert parse(CLOSED) == [CandleUpdate("BTC-USDT-PERP", bar, closed=True)]


def test_of_two_rows_the_end_of_a_bar_is_told_before_the_next_one():
    found = parse(TWO)
    assert [(each.candle.timestamp, each.closed) for each in found] == [
        (1789470120000, True),
        (1789470180000, False),
    ]


def test_a_ticker_tells_24_hours_and_the_time_a_swaps_volume_in_the_base():
    clock, spot = parse(SPOT_TICKER)
    assert clock == Clock(spot.timestamp) == Clock(1790358564077)
    assert (spot.symbol, spot.price, spot.volume_24h) == ("BTC-USDT", 83766.8, 5449.95415651)
    assert (spot.low_24h, spot.high_24h) == (83174.7, 85258.8)
    assert spot.change_24h == pytest.approx(-413.3)
    assert spot.change_percent_24h == pytest.approx(-0.49096, rel=1e-4)
    _, swap = parse(SWAP_TICKER)
    assert (swap.symbol, swap.volume_24h) == ("BTC-USDT-PERP", 36764.9)


@pytest.mark.parametrize("frame", [
    b'{"arg":{"channel":"candle1m","instId":"ETH-USDT"},"data":[]}',
    b'{"arg":{"channel":"candle1D","instId":"BTC-USDT"},"data":[]}',
    b'{"event":"channel-conn-count","channel":"candle1m","connCount":"1"}',
    b'{"event":"notice","code":"1","msg":"hello"}',
])  # fmt: skip
def test_what_is_not_known_is_counted(frame):
    session = new_session()
    assert session.parse(frame) == []
    assert session.unknown == 1


def test_an_upgrade_that_is_announced_is_a_shutdown():
    assert parse(NOTICE) == [Shutdown()]


# What waits to be read


def test_of_open_candles_that_wait_the_newest_will_do_and_what_closes_is_read():
    session = new_session()
    inbox = Inbox(session.superseded_by, session.may_close)
    newer = OPEN.replace(b"1.57843610", b"2.0")
    inbox.put([OPEN, newer, TWO, CLOSED, SPOT_TICKER, b"pong"])
    assert list(inbox.take(10)) == [newer, TWO, CLOSED, SPOT_TICKER, b"pong"]
    assert [session.may_close(frame) for frame in (OPEN, CLOSED, TWO, SPOT_TICKER)] == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("frame", [CLOSED, TWO, SPOT_TICKER, SUBSCRIBED, b"pong", b'"0"]]}'])
def test_nothing_else_is_superseded(frame):
    assert new_session().superseded_by(frame) is None


# Answers


def test_a_message_is_answered_once_each_of_its_topics_is():
    session = new_session()
    topics = ["candle1m:BTC-USDT", "candle5m:BTC-USDT"]
    session.subscribe(topics)
    session.parse(acknowledgement(topics[1], "1"))
    assert (session.answered, session.confirmed) == (0, {topics[1]})
    session.parse(acknowledgement(topics[1], "1"))  # twice
    session.parse(acknowledgement(topics[0], "1"))
    assert (session.answered, session.confirmed) == (1, set(topics))
    assert session.unacknowledged() == set()


@pytest.mark.parametrize("with_ids", [True, False])
def test_answers_are_told_apart_by_their_ids_or_else_by_what_they_name(with_ids):
    session = new_session()
    first, second = "candle1m:BTC-USDT", "candle1m:BTC-USDT-SWAP"
    session.subscribe([first])
    session.subscribe([second])
    session.parse(acknowledgement(second, "2" if with_ids else None))
    assert (session.answered, session.confirmed) == (1, {second})
    session.parse(acknowledgement(first, "1" if with_ids else None))
    assert (session.answered, session.confirmed) == (2, {first, second})


def test_what_is_ended_is_confirmed_no_more_and_a_late_answer_confirms_nothing():
    session = new_session()
    topic = "candle1m:BTC-USDT"
    session.subscribe([topic])
    (message,) = session.unsubscribe([topic])
    assert orjson.loads(message)["op"] == "unsubscribe"
    session.parse(acknowledgement(topic, "1"))
    assert session.confirmed == set()
    session.parse(acknowledgement(topic, "2", "unsubscribe"))
    assert session.answered == 2


@pytest.mark.parametrize("with_id", [True, False])
def test_a_refusal_answers_its_message_which_without_an_id_is_the_oldest(with_id):
    session = new_session()
    session.subscribe(["candle1m:NOPE", "candle1m:BTC-USDT"])
    session.subscribe(["candle5m:BTC-USDT"])
    (event,) = session.parse(refusal("1" if with_id else None))
    assert event.reason.startswith("code 60018: Subscribe failed, wrong URL or channel")
    assert not event.passing
    assert session.answered == 1
    session.parse(acknowledgement("candle5m:BTC-USDT", "2"))
    assert (session.answered, session.confirmed) == (2, {"candle5m:BTC-USDT"})


def test_what_came_too_often_passes_on_another_connection():
    refused, shutdown = parse(refusal(code="60014"))
    assert refused.passing
    assert shutdown == Shutdown()


def test_a_pong_answers_a_question_and_else_is_a_sign_of_life_alone():
    session = new_session()
    assert (session.ping(), session.question()) == ("ping", "ping")
    for _ in range(2):
        assert session.parse(b"pong") == []
    assert (session.answered, session.unknown) == (1, 0)


# Whatever comes


FRAMES = [OPEN, CLOSED, TWO, SPOT_TICKER, SWAP_TICKER, SUBSCRIBED, REFUSED, NOTICE]


def assert_honest(frame):
    """Parse a frame: it is read or a BadPayload, and no candle has what the frame has not."""
    try:
        events = parse(frame)
    except BadPayload:
        return
    for event in events:
        if isinstance(event, CandleUpdate):
            assert event.symbol in NAMES
            assert b"%d" % event.candle.timestamp in frame
        else:
            assert isinstance(event, Clock | Ticker | Refused | Shutdown)


@settings(max_examples=100)
@given(st.binary(max_size=80) | ANYTHING.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_a_bad_payload(frame):
    assert_honest(frame)
    new_session().superseded_by(frame)


@settings(max_examples=200)
@given(mutated(FRAMES) | damaged(FRAMES))
def test_a_spoiled_frame_never_gives_a_candle_that_is_not_in_it(frame):
    assert_honest(frame)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"1"]]', b'"2"]]'),
        (b'"1"]]', b"true]]"),
        (b',"1"]]', b"]]"),
        (b'"3072.5"', b'"-1"'),
        (b'"78000.5"', b'"1"'),
        (b'"1789430400000"', b'"1789430400001"'),
        (b'"1789430400000"', b"1789430400000.5"),
    ],
)
def test_a_row_that_is_none_is_a_bad_payload(old, new):
    assert old in CLOSED
    with pytest.raises(BadPayload):
        parse(CLOSED.replace(old, new))
