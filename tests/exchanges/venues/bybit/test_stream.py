"""Bybit's frames: what they say, on whole ones and on broken ones."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchanges.errors import BadPayload
from exchanges.stream.events import CandleUpdate, Clock, Refused
from exchanges.stream.inbox import Inbox
from exchanges.venues.bybit.stream import BybitStream
from livermore.market.candle import Candle, Ticker
from livermore.market.pair import Pair
from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from tests.exchanges.venues.bybit.payloads import content_of, recorded

NAMES = {"BTC-USDT": "BTCUSDT", "BTC-USDT-PERP": "BTCUSDT", "BTC-USDC-PERP": "BTCPERP"}
STREAM = BybitStream("wss://stream.bybit.com/v5/public", NAMES)
OPEN, TWO_BARS = recorded("ws_kline_open"), recorded("ws_kline_two_bars")
TICKER, DELTA = recorded("ws_ticker_linear"), recorded("ws_ticker_delta")
WITHOUT_PRICE, SPOT_TICKER = recorded("ws_ticker_delta_without_price"), recorded("ws_ticker_spot")
SUBSCRIBED, REFUSED, PONG = map(recorded, ("ws_subscribed", "ws_refused", "ws_pong"))
FRAMES = (OPEN, TWO_BARS, TICKER, DELTA, SPOT_TICKER, SUBSCRIBED, REFUSED, PONG)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


def new_session(category="linear"):
    return STREAM.session(f"{STREAM.ws_url}/{category}")


def parse(frame, category="linear"):
    return new_session(category).parse(frame)


def changed(frame, **values):
    """Return a frame of one bar with other values in it."""
    content = orjson.loads(frame)
    content["data"][0] |= values
    return orjson.dumps(content)


# Topics


def test_each_category_has_topics_and_an_address_of_its_own():
    topics = STREAM.topics(NAMES)
    assert topics["spot kline.1.BTCUSDT"] == [Pair("BTC-USDT", Timeframe.M1)]
    assert topics["linear kline.D.BTCUSDT"] == [Pair("BTC-USDT-PERP", Timeframe.D1)]
    assert topics["linear tickers.BTCPERP"] == []
    assert len(topics) == len(NAMES) * (len(LONGEST_FIRST) + 1)
    addresses = {topic.partition(" ")[0]: STREAM.address_of(topic) for topic in topics}
    assert addresses == {each: f"{STREAM.ws_url}/{each}" for each in ("spot", "linear")}
    assert STREAM.market_in("linear kline.240.BTCUSDT") == "linear BTCUSDT"
    assert STREAM.told_for(NAMES) == {}


def test_a_message_names_ten_topics_at_most_without_their_category():
    topics = list(STREAM.topics(NAMES))[:7]
    messages = new_session("spot").subscribe(topics * 2)
    sent = [orjson.loads(message) for message in messages]
    assert [len(each["args"]) for each in sent] == [10, 4]
    assert sent[0]["args"][0] == topics[0].partition(" ")[2]
    assert [each["req_id"] for each in sent] == ["1", "2"]
    assert STREAM.limits.topics_per_connection * 70 <= 21_000


# Candles


def test_an_open_bar_is_told_as_it_stands():
    bar = Candle(1790000100000, 84041.9, 84050.0, 84038.1, 84048.0, 1.204, Timeframe.M5)
    told = [Clock(1790000107441), CandleUpdate("BTC-USDT-PERP", bar, closed=False)]
    assert parse(OPEN) == told
    assert parse(OPEN, "spot")[1].symbol == "BTC-USDT"


def test_of_two_bars_in_a_frame_the_closed_one_comes_first():
    clock, closed, behind = parse(TWO_BARS)
    assert clock == Clock(1790000100012)
    assert (closed.candle.timestamp, closed.closed) == (1790000040000, True)
    assert (behind.candle.timestamp, behind.closed) == (1790000100000, False)
    assert behind.candle.volume == 0


@pytest.mark.parametrize(("sent_ms", "closed"), [(1790000399999, False), (1790000400000, True)])
def test_a_frame_that_was_sent_before_the_bars_end_closes_nothing(sent_ms, closed):
    frame = changed(OPEN, confirm=True).replace(b'"ts":1790000107441', b'"ts":%d' % sent_ms)
    [_, update] = parse(frame)
    assert update.closed is closed


@pytest.mark.parametrize("values", [
    {"confirm": "true"}, {"confirm": None}, {"interval": "1"}, {"open": 84041.9}, {"low": "90000"},
    {"start": "1790000100000"}, {"start": 1790000100001}, {"volume": "-1"}, {"high": "NaN"},
])  # fmt: skip
def test_a_bar_that_is_none_is_refused(values):
    with pytest.raises(BadPayload):
        parse(changed(OPEN, **values))


@pytest.mark.parametrize("topic", ["kline.5.ETHUSDT", "kline.3.BTCUSDT", "orderbook.1.BTCUSDT"])
def test_what_was_not_asked_for_is_no_bar(topic):
    assert parse(OPEN.replace(b"kline.5.BTCUSDT", topic.encode())) == [Clock(1790000107441)]


def test_frames_that_wait_are_superseded_where_only_one_open_bar_is_in_them():
    session = new_session()
    assert session.superseded_by(OPEN) == b"kline.5.BTCUSDT1790000100000"
    for frame in (TWO_BARS, changed(OPEN, confirm=True), SUBSCRIBED, b"", b'"topic":"'):
        assert session.superseded_by(frame) is None
    assert session.may_close(TWO_BARS)
    assert not session.may_close(OPEN)
    inbox = Inbox(session.superseded_by)
    newer = changed(OPEN, close="84049")
    inbox.put([OPEN, TWO_BARS, newer])
    assert list(inbox.take(10)) == [newer, TWO_BARS]


# Tickers


def test_tickers_that_wait_are_superseded_where_nothing_of_them_is_lost():
    session = new_session()
    assert [session.superseded_by(frame) for frame in (TICKER, DELTA)] == [None, None]
    assert session.superseded_by(WITHOUT_PRICE) == b"tickers.BTCUSDT"
    assert new_session("spot").superseded_by(SPOT_TICKER) == b"tickers.BTCUSDT"


def test_a_perpetuals_ticker_is_merged_from_its_parts():
    session = new_session()
    whole = Ticker("BTC-USDT-PERP", 84000.0, 4000.0, 5.0, 84500.5, 79000.0, 110000.5, 1790000123400)
    assert session.parse(TICKER) == [Clock(1790000123400), whole]
    assert session.parse(WITHOUT_PRICE) == [Clock(1790000123600)]
    _, ticker = session.parse(DELTA)
    assert (ticker.price, ticker.change_24h, ticker.change_percent_24h) == (88000.0, 8000.0, 10.0)
    assert (ticker.high_24h, ticker.volume_24h) == (84500.5, 110000.5)


@pytest.mark.parametrize("frame", [DELTA, WITHOUT_PRICE])
def test_a_part_alone_is_no_ticker(frame):
    assert len(parse(frame)) == 1


def test_each_symbol_has_a_ticker_of_its_own():
    session = new_session()
    session.parse(TICKER)
    assert len(session.parse(DELTA.replace(b"BTCUSDT", b"BTCPERP"))) == 1
    assert len(session.parse(DELTA.replace(b"BTCUSDT", b"NOPEUSDT"))) == 1
    assert session.unknown == 1


def test_a_spot_ticker_is_whole():
    _, ticker = parse(SPOT_TICKER, "spot")
    assert (ticker.symbol, ticker.price, ticker.low_24h) == ("BTC-USDT", 84100.0, 79100.5)


# Answers


def test_an_answer_confirms_all_topics_of_its_message():
    session = new_session()
    topics = [*STREAM.topics(["BTC-USDT-PERP"])]
    session.subscribe(topics)
    assert session.parse(SUBSCRIBED) == []
    assert (session.confirmed, session.answered) == ({*topics}, 1)
    (message,) = session.unsubscribe(topics[:1])
    assert orjson.loads(message)["op"] == "unsubscribe"
    assert session.confirmed == {*topics[1:]}
    assert session.parse(orjson.dumps(content_of("ws_subscribed") | {"req_id": "2"})) == []
    assert session.confirmed == {*topics[1:]}


def test_a_refusal_that_names_no_message_is_that_of_the_oldest_one():
    session = new_session()
    first, second = [*STREAM.topics(["BTC-USDT-PERP"])][:2]
    session.subscribe([first])
    session.subscribe([second])
    reason = "error:handler not found,topic:kline.1.NOPE"
    assert session.parse(REFUSED) == [Refused(reason)]
    session.parse(orjson.dumps(content_of("ws_subscribed") | {"req_id": "2"}))
    assert (session.confirmed, session.answered) == ({second}, 2)


def test_an_answer_without_a_name_is_believed_where_only_one_message_is_unanswered():
    session = new_session()
    topics = [*STREAM.topics(["BTC-USDT-PERP"])][:2]
    nameless = orjson.dumps(content_of("ws_subscribed") | {"req_id": ""})
    for topic in topics:
        session.subscribe([topic])
    session.parse(nameless)
    assert session.confirmed == set()
    session.parse(orjson.dumps(content_of("ws_subscribed") | {"req_id": "1"}))
    session.parse(nameless)
    assert session.confirmed == {*topics}


def test_what_is_subscribed_already_is_confirmed_by_its_refusal():
    session = new_session()
    topics = [*STREAM.topics(["BTC-USDT-PERP"])]
    session.subscribe(topics)
    said = "error:already subscribed,topic:kline.D.BTCUSDT"
    refused = content_of("ws_refused") | {"ret_msg": said}
    assert session.parse(orjson.dumps(refused)) == [Refused(said)]
    assert session.confirmed == {"linear kline.D.BTCUSDT"}


def test_the_timers_ping_is_no_answer_and_a_question_is():
    session = new_session()
    assert orjson.loads(session.ping()) == {"op": "ping"}
    session.question()
    assert session.parse(PONG) == []
    assert (session.answered, session.unknown) == (0, 0)
    session.parse(PONG)
    session.parse(PONG)  # that nobody asked for
    assert session.answered == 1


# Whatever comes


@given(st.binary(max_size=60) | ANYTHING.map(lambda each: json.dumps(each).encode()))
@settings(max_examples=100)
def test_bytes_of_any_kind_are_refused_as_such(frame):
    for category in ("spot", "linear"):
        try:
            parse(frame, category)
        except BadPayload:
            continue


@given(st.sampled_from(FRAMES), st.data())
@settings(max_examples=150)
def test_a_frame_with_anything_in_place_of_a_value_is_refused_as_such(frame, data):
    content = orjson.loads(frame)
    part = content
    if "data" in content and data.draw(st.booleans()):
        part = content["data"][0] if isinstance(content["data"], list) else content["data"]
    name = data.draw(st.sampled_from(sorted(part)))
    part[name] = data.draw(ANYTHING)
    session = new_session()
    session.subscribe([*STREAM.topics(NAMES)])
    session.parse(TICKER)
    try:
        session.parse(json.dumps(content).encode())
    except BadPayload:
        return
