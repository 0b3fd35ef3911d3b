"""Where the streams of Binance's USD-M futures are, and whose tickers are in them."""

import orjson
import pytest

from exchanges.errors import BadPayload
from exchanges.stream.events import CandleUpdate, Clock
from exchanges.venues.binance_usdm.stream import UsdmStream
from livermore.market.candle import Candle, Ticker
from livermore.market.pair import Pair
from livermore.market.timeframe import LONGEST_FIRST, Timeframe

PEPE, BTC = "1000PEPE-USDT-PERP", "BTC-USDT-PERP"
NAMES = {BTC: "BTCUSDT", PEPE: "1000PEPEUSDT"}
BROKEN = [b"", b"{", b"null", b'{"stream":"a","data":7}', b'{"e":"kline"}']
OPEN_MS = 1_789_689_600_000


@pytest.fixture
def stream():
    return UsdmStream("wss://fstream.binance.com", NAMES)


def tickers_in(session, frame):
    return {each.symbol: each.price for each in session.parse(frame) if isinstance(each, Ticker)}


def test_it_connects_on_the_route_that_has_candles_and_tickers(stream):
    assert stream.url == "wss://fstream.binance.com/market/stream"
    topics = stream.topics([PEPE])
    assert {stream.address_of(topic) for topic in topics} == {stream.url}
    assert topics == {"!miniTicker@arr": []} | {
        f"1000pepeusdt@kline_{each}": [Pair(PEPE, each)] for each in LONGEST_FIRST
    }


def test_the_written_closing_frame_closes_its_bar(stream, payload):
    clock, update = stream.session().parse(payload("binance_usdm/ws_kline_closed"))
    prices = (0.007608, 0.007618, 0.007607, 0.007617)
    columns = (22875.859, 113, 1_900_000.0, 14464.696)
    bar = Candle(OPEN_MS, *prices, 3_005_000.0, Timeframe.M1, columns)
    assert (clock, update) == (Clock(OPEN_MS + 60_792), CandleUpdate(PEPE, bar, closed=True))


def test_rows_of_coin_margined_contracts_are_no_tickers_of_ours(stream, payload):
    frame = payload("binance_usdm/ws_mini_tickers")
    assert tickers_in(stream.session(), frame) == {BTC: 70300.2, PEPE: 0.007617}
    same_name = frame.replace(b'"s":"BTCUSD_PERP"', b'"s":"1000PEPEUSDT"')
    assert tickers_in(stream.session(), same_name) == {BTC: 70300.2, PEPE: 0.007617}


@pytest.mark.parametrize("kind", ["2", "null", '"1"', "[1]", "true"])
def test_a_ticker_whose_kind_is_none_that_we_know_is_left_out(stream, payload, kind):
    told = payload("binance_usdm/ws_mini_tickers").replace(b'"st":1', b'"st":%s' % kind.encode())
    assert tickers_in(stream.session(), told).keys() == ({PEPE} if kind != "true" else {BTC, PEPE})


@pytest.mark.parametrize("frame", BROKEN)
def test_what_can_not_be_read_is_a_bad_payload(stream, frame):
    with pytest.raises(BadPayload):
        stream.session().parse(frame)


def test_messages_keep_to_topics_and_bytes_whatever_the_names(stream):
    topics = [f"{'币安人生' * 4}{number}usdt@kline_1m" for number in range(400)]
    messages = stream.session().subscribe(topics)
    assert max(len(message.encode()) for message in messages) <= 4000
    sent = [topic for message in messages for topic in orjson.loads(message)["params"]]
    assert sent == topics
    short = [f"a{number}usdt@kline_1m" for number in range(450)]
    counts = [len(orjson.loads(each)["params"]) for each in stream.session().subscribe(short)]
    assert counts == [100, 100, 100, 100, 50]


def test_it_keeps_below_what_is_documented_and_what_was_seen():
    limits = UsdmStream.limits
    assert limits.topics_per_connection <= 200
    assert limits.messages_per_second < 10
    assert limits.longest_life_seconds < 24 * 3600
