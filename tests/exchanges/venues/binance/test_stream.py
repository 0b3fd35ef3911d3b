"""Binance's frames on recorded ones, on broken ones, and on frames that overtake each other."""

import json
from itertools import pairwise
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchanges.errors import BadPayload
from exchanges.stream.events import CandleUpdate, Clock, Refused, Shutdown
from exchanges.stream.inbox import Inbox
from exchanges.venues.binance.stream import BinanceStream
from livermore.market.candle import Candle, Ticker
from livermore.market.pair import Pair
from livermore.market.timeframe import LONGEST_FIRST, Timeframe

NAMES = {"OMG-BUSD": "OMGBUSD", "NKN-USDT": "NKNUSDT", "BNB-BTC": "BNBBTC"}
M1 = Timeframe.M1
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


def recorded(name):
    return (Path(__file__).parents[1] / "payloads" / f"ws_binance_{name}.json").read_bytes().strip()


CLOSED, OPEN = recorded("kline_closed"), recorded("kline_open")
TICKER, MINI, BOOK = recorded("ticker"), recorded("mini_ticker"), recorded("book_ticker")
SHUTDOWN = recorded("shutdown")


def combined(stream, data):
    return b'{"stream":"%s","data":%s}' % (stream, data)


def new_session(names=NAMES):
    return BinanceStream("wss://stream.binance.us:9443", names).session()


def parse(frame):
    return new_session().parse(frame)


def test_the_recorded_closing_frame_closes_its_bar():
    bar = Candle(1633998240000, 13.7212, 13.8076, 13.7212, 13.7664, 536.51, M1)
    assert parse(CLOSED) == [Clock(1633998301755), CandleUpdate("OMG-BUSD", bar, closed=True)]


def test_the_recorded_open_frame_leaves_its_bar_open():
    bar = Candle(1633998480000, 0.3527, 0.3528, 0.3522, 0.3528, 25877.0, M1)
    assert parse(OPEN) == [Clock(1633998523963), CandleUpdate("NKN-USDT", bar, closed=False)]


def test_a_bar_has_the_four_columns_that_its_frame_tells():
    told = [event.candle.columns for frame in (CLOSED, OPEN) for event in parse(frame)[1:]]
    assert told == [(7387.120735, 14, 231.6, 3187.75743), (9116.046, 30, 58.0, 20.4624)]


@pytest.mark.parametrize(
    ("known", "told"),
    [(b'"q":', b'"no":'), (b'"n":14', b'"n":null'), (b'"V":"', b'"V":"x'), (b'"Q":"', b'"Q":"-')],
)
def test_a_column_that_is_not_told_or_no_number_costs_no_bar(known, told):
    assert known in CLOSED
    for frame in (CLOSED, CLOSED.replace(known, told)):
        _, update = parse(frame)
        assert update.candle.values() == [1633998240000, 13.7212, 13.8076, 13.7212, 13.7664, 536.51]
    assert update.candle.row() == update.candle.values()


@pytest.mark.parametrize(("sent_ms", "closed"), [(1633998299999, False), (1633998300000, True)])
def test_a_frame_that_was_sent_before_the_bars_end_closes_nothing(sent_ms, closed):
    frame = CLOSED.replace(b'"E":1633998301755', b'"E":%d' % sent_ms)
    [_, update] = parse(frame)
    assert update.closed is closed


@pytest.mark.parametrize("frame", [TICKER, combined(b"bnbbtc@ticker", TICKER)])
def test_a_ticker_tells_its_own_change(frame):
    ticker = Ticker("BNB-BTC", 0.0025, 0.0015, 250.0, 0.0025, 0.001, 10000.0, 1672515782136)
    assert parse(frame) == [Clock(1672515782136), ticker]


@pytest.mark.parametrize("frame", [MINI, combined(b"bnbbtc@miniTicker", MINI)])
def test_the_change_of_a_mini_ticker_is_reckoned(frame):
    clock, ticker = parse(frame)
    assert clock == Clock(1672515782136)
    assert (ticker.symbol, ticker.price, ticker.high_24h) == ("BNB-BTC", 0.0025, 0.0025)
    assert ticker.change_24h == pytest.approx(0.0015)
    assert ticker.change_percent_24h == pytest.approx(150)


def test_an_array_of_mini_tickers_gives_those_we_know():
    other = MINI.replace(b"BNBBTC", b"OMGBUSD").replace(b'"c":"0.0025"', b'"c":"0.0024"')
    unknown = MINI.replace(b"BNBBTC", b"LUNABUSD")
    array = b"[%s]" % b",".join([MINI, unknown, other])
    for frame in (array, combined(b"!miniTicker@arr", array)):
        found = [(e.symbol, e.price) for e in parse(frame) if isinstance(e, Ticker)]
        assert found == [("BNB-BTC", 0.0025), ("OMG-BUSD", 0.0024)]


@pytest.mark.parametrize("frame", [BOOK, combined(b"nknusdt@bookTicker", BOOK)])
def test_a_book_ticker_is_known_although_it_names_no_event(frame):
    session = new_session()
    assert session.parse(frame) == []
    assert session.unknown == 0


@pytest.mark.parametrize("frame", [SHUTDOWN, combined(b"!serverShutdown", SHUTDOWN)])
def test_an_announced_shutdown_is_told(frame):
    assert parse(frame) == [Shutdown()]


def test_what_is_new_to_us_is_counted_and_skipped():
    session = new_session()
    assert session.parse(b'{"e":"aggTrade","E":1,"s":"BNBBTC"}') == []
    assert session.parse(combined(b"btcusdt@depth5", b'{"lastUpdateId":1,"bids":[]}')) == []
    assert session.unknown == 2


@pytest.mark.parametrize("change", [(b'"OMGBUSD"', b'"LUNABUSD"'), (b'"i":"1m"', b'"i":"3m"')])
def test_a_bar_that_nobody_asked_for_still_tells_the_time(change):
    assert parse(CLOSED.replace(*change)) == [Clock(1633998301755)]


def test_an_acknowledgement_confirms_what_it_answers():
    session = new_session()
    first, second = (json.loads(m) for m in session.subscribe(["a@kline_1m", "b@kline_1m"] * 51))
    assert session.unacknowledged() == {"a@kline_1m", "b@kline_1m"}
    assert session.parse(b'{"result":null,"id":%d}' % second["id"]) == []
    assert session.unacknowledged() == {"a@kline_1m", "b@kline_1m"} - set(second["params"])
    session.parse(b'{"result":null,"id":%d}' % first["id"])
    assert session.unacknowledged() == set()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b'{"code":2,"msg":"Invalid request: unknown variant","id":1}', "code 2: Invalid request"),
        (b'{"error":{"code":4,"msg":"Too many subscriptions"},"id":1}', "code 4: Too many"),
        (b'{"error":{"code":3,"msg":"Invalid JSON"},"id":null}', "code 3: Invalid JSON"),
    ],
)
def test_a_refusal_in_either_shape_confirms_nothing_and_says_why(answer, code):
    session = new_session()
    session.subscribe(["a@kline_1m"])
    (refused,) = session.parse(answer)
    assert isinstance(refused, Refused)
    assert refused.reason.startswith(code)
    assert session.unacknowledged() == {"a@kline_1m"}


def test_a_late_acknowledgement_does_not_confirm_what_was_ended_meanwhile():
    session = new_session()
    session.subscribe(["a@kline_1m", "b@kline_1m"])
    session.unsubscribe(["a@kline_1m"])
    session.parse(b'{"result":null,"id":1}')
    session.parse(b'{"result":null,"id":2}')
    assert session.unacknowledged() == set()
    session.subscribe(["a@kline_1m"])
    assert session.unacknowledged() == {"a@kline_1m"}


def test_an_answer_to_nothing_we_sent_changes_nothing():
    session = new_session()
    session.subscribe(["a@kline_1m"])
    assert session.parse(b'{"result":["a@kline_1m"],"id":99}') == []
    assert session.unacknowledged() == {"a@kline_1m"}


@pytest.mark.parametrize(
    ("valid", "broken"),
    [
        (b'"x":true', b'"x":"true"'),
        (b'"x":true', b'"x":1'),
        (b'"x":true,', b""),
        (b'"c":"13.76640000"', b'"c":13.7664'),
        (b'"c":"13.76640000"', b'"c":"NaN"'),
        (b'"c":"13.76640000"', b'"c":"99"'),  # above the high
        (b'"v":"536.51000000"', b'"v":"-1"'),
        (b'"t":1633998240000', b'"t":1633998240'),  # in seconds
        (b'"t":1633998240000', b'"t":1633998240001'),
        (b'"t":1633998240000', b'"t":"1633998240000"'),
        (b'"s":"OMGBUSD"', b'"s":[]'),
        (b'"E":1633998301755,', b""),
        (b'"B":"0"}}}', b'"B":"0"'),
    ],
)
def test_a_broken_bar_is_refused_with_a_copy_of_it(valid, broken):
    frame = CLOSED.replace(valid, broken, 1)
    assert frame != CLOSED
    with pytest.raises(BadPayload, match="omgbusd@kline_1m"):
        parse(frame)


@pytest.mark.parametrize("frame", [b"", b"\xff\xfe", b"null", b"5", b'"stream"', b"[5]", b"{"])
def test_a_frame_that_is_no_message_is_a_bad_payload(frame):
    with pytest.raises(BadPayload):
        parse(frame)


def candles_in(frame):
    """Return the bars of a frame, read without our parser."""
    message = json.loads(frame)
    data = message["data"] if "stream" in message else message
    for each in data if isinstance(data, list) else [data]:
        bar = each.get("k") if isinstance(each, dict) else None
        if isinstance(bar, dict):
            values = [bar.get("t"), *(float(bar[name]) for name in "ohlcv")]
            yield each["s"], bar["i"], values, bar["x"]


def assert_honest(frame):
    try:
        events = parse(frame)
    except BadPayload:
        return
    for event in events:
        if isinstance(event, CandleUpdate):
            told = (NAMES[event.symbol], event.candle.timeframe, event.candle.values())
            assert (*told, event.closed) in list(candles_in(frame))


@st.composite
def mutated(draw, frames):
    """Draw a frame in which some parts were replaced by anything, left out or doubled."""
    root = [json.loads(draw(st.sampled_from(frames)))]
    for _ in range(draw(st.integers(1, 3))):
        place, key = root, 0
        while isinstance(place[key], dict | list) and place[key] and draw(st.integers(0, 4)):
            place = place[key]
            names = list(place) if isinstance(place, dict) else range(len(place))
            key = draw(st.sampled_from(names))
        if isinstance(place, dict) and draw(st.booleans()):
            del place[key]
            break
        place[key] = draw(ANYTHING | st.sampled_from([[place[key], place[key]], str(place[key])]))
    return json.dumps(root[0], separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


@st.composite
def damaged(draw, frames):
    """Draw a frame of which a stretch of bytes was replaced."""
    frame = draw(st.sampled_from(frames))
    start = draw(st.integers(0, len(frame)))
    end = draw(st.integers(start, min(start + 20, len(frame))))
    return frame[:start] + draw(st.binary(max_size=8)) + frame[end:]


FRAMES = [
    *(CLOSED, OPEN, TICKER, MINI, BOOK, SHUTDOWN),
    combined(b"!miniTicker@arr", b"[%s,%s]" % (MINI, MINI)),
    b'{"result":null,"id":1}',
    b'{"error":{"code":4,"msg":"Too many subscriptions"},"id":19}',
]


@given(st.binary(max_size=80) | ANYTHING.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_a_bad_payload(frame):
    assert_honest(frame)


@settings(max_examples=300)
@given(mutated(FRAMES) | damaged(FRAMES))
def test_a_spoiled_frame_never_gives_a_candle_that_is_not_in_it(frame):
    assert_honest(frame)


def test_the_topics_of_a_symbol_are_its_six_timeframes_in_lower_case_and_all_tickers():
    stream = BinanceStream("wss://stream.binance.us:9443/", NAMES)
    topics = stream.topics(["BNB-BTC"])
    assert stream.url == "wss://stream.binance.us:9443/stream"
    assert topics == {
        "!miniTicker@arr": [],
        **{f"bnbbtc@kline_{each}": [Pair("BNB-BTC", each)] for each in LONGEST_FIRST},
    }


@pytest.mark.parametrize("verb", ["subscribe", "unsubscribe"])
@given(
    natives=st.lists(st.text("AZ09币安人生é", min_size=1, max_size=60), unique=True, max_size=60)
)
def test_every_message_stays_within_the_limits_and_none_is_left_out(verb, natives):
    stream = BinanceStream("ws://x", {native: native for native in natives})
    topics = list(stream.topics(natives))
    messages = getattr(stream.session(), verb)(topics)
    sent = [json.loads(message) for message in messages]
    assert [name for message in sent for name in message["params"]] == topics
    assert all(len(message["params"]) <= 100 for message in sent)
    assert all(len(message.encode()) < 4000 for message in messages)
    assert {message["method"] for message in sent} == {verb.upper()}
    assert len({message["id"] for message in sent}) == len(sent)


def test_full_messages_are_filled_up():
    stream = BinanceStream("ws://x", {f"S{n}": f"S{n}USD" for n in range(100)})
    assert len(stream.session().subscribe(stream.topics(f"S{n}" for n in range(100)))) == 7


@st.composite
def market_days(draw):
    """Draw frames as they come: bars ascending within each pair, pairs interleaved in any way."""
    queues = {}
    for native, interval in draw(st.sets(st.sampled_from(PAIRS), min_size=1)):
        bars = st.tuples(st.integers(0, 3), st.booleans(), st.integers(1, 9))
        queues[native, interval] = sorted(draw(st.lists(bars, max_size=8)), key=lambda bar: bar[0])
    order = draw(st.permutations([pair for pair, bars in queues.items() for _ in bars]))
    frames = []
    for number, pair in enumerate(order):
        frames.append(kline(*pair, *queues[pair].pop(0), sent_ms=OPENED + number))
        frames += draw(st.sampled_from([[], [MINI], [combined(b"!miniTicker@arr", MINI)]]))
    return frames


PAIRS = [(native, each) for native in ("omgbusd", "nknusdt") for each in (M1, Timeframe.H1)]
OPENED = 1633996800000


def kline(native, timeframe, bar, closed, volume, sent_ms):
    frame = CLOSED if closed else OPEN
    message = json.loads(frame)
    message["stream"] = f"{native}@kline_{timeframe}"
    opened = OPENED + bar * timeframe.ms
    sent_ms = max(sent_ms, opened + timeframe.ms) if closed else sent_ms
    message["data"] |= {"E": sent_ms, "s": native.upper()}
    message["data"]["k"] |= {"t": opened, "i": timeframe, "v": str(volume), "s": native.upper()}
    return orjson.dumps(message)


def seen(events):
    """Return what of events an outsider can tell apart: closes, last states, tickers, the time."""
    updates = [event for event in events if isinstance(event, CandleUpdate)]
    closes = [(each.symbol, each.candle) for each in updates if each.closed]
    states = {
        (each.symbol, each.candle.timeframe, each.candle.timestamp): each.candle.volume
        for each in updates
        if not each.closed
    }
    tickers = [event for event in events if isinstance(event, Ticker)]
    return closes, states, tickers, max(e.time_ms for e in events if isinstance(e, Clock))


@given(frames=market_days().filter(bool), data=st.data())
def test_reading_the_newest_frame_of_each_name_tells_all_that_reading_every_frame_tells(
    frames, data
):
    session = new_session()
    inbox, conflated = Inbox(session.superseded_by), []
    for frame in frames:
        inbox.put([frame])
        if data.draw(st.booleans()):
            conflated += [event for each in inbox.take() for event in session.parse(each)]
    conflated += [event for each in inbox.take() for event in session.parse(each)]
    assert seen(conflated) == seen([event for frame in frames for event in session.parse(frame)])
    for native, timeframe in PAIRS:
        pair = ({v: k for k, v in NAMES.items()}[native.upper()], timeframe)
        bars = [
            event.candle.timestamp
            for event in conflated
            if isinstance(event, CandleUpdate) and (event.symbol, event.candle.timeframe) == pair
        ]
        assert all(before <= after for before, after in pairwise(bars))  # no bar after its next


def test_of_the_states_of_an_open_bar_only_the_newest_waits():
    inbox = Inbox(new_session().superseded_by)
    for volume in range(1, 1000):
        inbox.put([kline("omgbusd", M1, 0, False, volume, OPENED + volume)])
    inbox.put([kline("omgbusd", M1, 1, False, 5, OPENED + 60_000)])
    assert [json.loads(frame)["data"]["k"]["v"] for frame in inbox.take()] == ["999", "5"]
    assert inbox.take() == []
    assert inbox.received == 1000


def test_a_frame_that_may_close_a_bar_wakes_who_reads_and_is_read_before_open_ones():
    session, woken = new_session(), []
    inbox = Inbox(session.superseded_by, session.may_close, lambda: woken.append(True))
    inbox.put([OPEN, TICKER, b'{"result":null,"id":1}'])
    assert woken == []
    inbox.put([CLOSED, CLOSED])
    assert woken == [True]
    assert inbox.take_nameless() == [TICKER, b'{"result":null,"id":1}', CLOSED, CLOSED]
    assert inbox.take_nameless() == []
    assert inbox.take() == [OPEN]
    assert not inbox.take_nameless()


@pytest.mark.parametrize("frame", [CLOSED, TICKER, MINI, SHUTDOWN, BOOK, b'{"result":null,"id":1}'])
def test_only_an_open_bar_can_be_superseded(frame):
    assert new_session().superseded_by(frame) is None
    assert new_session().superseded_by(OPEN) is not None
