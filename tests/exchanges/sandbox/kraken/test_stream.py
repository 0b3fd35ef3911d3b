import pytest

from livermore.market.timeframe import MINUTE_MS, Timeframe
from tests.exchanges.sandbox.conftest import NOW_MS

PATH = "/v2"
MINUTE = Timeframe.M1.floor(NOW_MS)


def ask(client, *symbols, channel="ohlc", method="subscribe", answers=None, **params):
    """Send a message and return the answers to it, one for each symbol."""
    content = {"channel": channel, "symbol": list(symbols), **params}
    client.send({"method": method, "params": content, "req_id": 7})
    count = len(symbols) if answers is None else answers
    return [client.first(lambda frame: "method" in frame) for _ in range(count)]


def channel_of(name, kind=None):
    return lambda frame: frame.get("channel") == name and kind in (None, frame.get("type"))


def begins(frame):
    return [row["interval_begin"] for row in frame["data"]]


def test_the_first_frame_says_how_the_exchange_is(sandbox, connect):
    told = connect(sandbox, PATH).next()
    assert (told["channel"], told["data"][0]["system"]) == ("status", "online")


def test_each_symbol_of_a_message_is_answered_for_by_itself(sandbox, connect):
    answers = ask(connect(sandbox, PATH), "BTC/USD", "XBT/USD", "XBTUSD", "LUNA/USD", interval=1)
    assert [each["success"] for each in answers] == [True, False, False, False]
    assert {(each["method"], each["req_id"]) for each in answers} == {("subscribe", 7)}
    assert answers[0]["result"]["symbol"] == "BTC/USD"
    assert answers[1]["error"] == "Currency pair not supported XBT/USD"
    assert answers[2]["error"] == "Currency pair not in ISO 4217-A3 format XBTUSD"


def test_a_symbol_has_one_interval_on_a_connection(sandbox, connect):
    client = connect(sandbox, PATH)
    assert ask(client, "BTC/USD", interval=1)[0]["success"]
    (refused,) = ask(client, "BTC/USD", interval=5)
    assert refused["error"] == "Already subscribed to one ohlc interval on this symbol"
    assert ask(client, "BTC/USD", "ETH/USD", channel="ticker")[1]["success"]
    assert ask(connect(sandbox, PATH), "BTC/USD", interval=5)[0]["success"]
    assert ask(client, "BTC/USD", method="unsubscribe", interval=1)[0]["method"] == "unsubscribe"
    assert ask(client, "BTC/USD", interval=5)[0]["success"]


def test_the_snapshot_lacks_quiet_minutes_and_is_oldest_first(sandbox, connect):
    client = connect(sandbox, PATH)
    ask(client, "AERO/USD", interval=1)
    told = client.first(channel_of("ohlc", "snapshot"))
    opened = begins(told)
    bars = sandbox.market.of("AERO-USD").bars(Timeframe.M1, MINUTE - 20 * MINUTE_MS, MINUTE)
    traded = [bar for bar in bars if bar.trades]
    assert opened == sorted(opened)
    assert len(traded) <= len(opened) <= len(traded) + 1 < 20
    first = told["data"][0]
    assert isinstance(first["close"], float)
    assert first["interval_begin"].endswith("000000000Z")
    assert first["timestamp"] > first["interval_begin"]


def test_an_update_follows_a_trade_and_no_end(sandbox, connect):
    client = connect(sandbox, PATH)
    ask(client, "BTC/USD", interval=1, snapshot=False)
    sandbox.clock.advance(MINUTE + MINUTE_MS - 500 - NOW_MS)
    last = client.first(channel_of("ohlc"))["data"][0]
    assert last["interval"] == 1
    sandbox.clock.advance(MINUTE_MS)
    frames = client.until(
        lambda frame: (
            frame["channel"] == "ohlc"
            and frame["data"][0]["interval_begin"] > last["interval_begin"]
        )
    )
    told = [each["data"][0] for each in frames if each["channel"] == "ohlc"]
    (truth,) = sandbox.market.closed_rows("BTC-USD", Timeframe.M1, MINUTE, MINUTE + 1)
    final = [last, *told[:-1]][-1]
    assert [final[name] for name in ("open", "high", "low", "close", "volume")] == truth[1:6]


def test_a_quiet_minute_has_no_frame(sandbox, connect):
    market = sandbox.market.of("AERO-USD")
    bars = market.bars(Timeframe.M1, MINUTE, MINUTE + 600 * MINUTE_MS)
    quiet = next(bar.open_ms for bar in bars if not bar.trades)
    client = connect(sandbox, PATH)
    sandbox.clock.advance(quiet - NOW_MS)
    ask(client, "AERO/USD", interval=1, snapshot=False)
    sandbox.clock.advance(MINUTE_MS - 1)
    frames = client.until(channel_of("heartbeat"))
    frames += client.until(channel_of("heartbeat"))
    assert {frame["channel"] for frame in frames} == {"heartbeat"}


def test_a_ping_is_json_and_so_is_its_answer(sandbox, connect):
    client = connect(sandbox, PATH)
    client.send({"method": "ping", "req_id": 3})
    answer = client.first(lambda frame: "method" in frame)
    assert (answer["method"], answer["req_id"]) == ("pong", 3)


@pytest.mark.parametrize(
    "sent", ["{", "[1]", '{"method":"subscribe"}', '{"method":"x","params":1}']
)
def test_what_is_no_request_is_refused(sandbox, connect, sent):
    client = connect(sandbox, PATH)
    client.send(sent)
    answer = client.first(lambda frame: "error" in frame)
    assert (answer["success"], answer["error"]) == (False, "Malformed request")


def test_who_subscribes_nothing_and_says_nothing_is_cut(start, connect):
    server = start(kraken_idle_seconds=0.3)
    listening = connect(server, PATH)
    ask(listening, "BTC/USD", interval=1)
    assert connect(server, PATH).closed() == 1000
    assert listening.first(channel_of("heartbeat"))


def test_a_ticker_tells_24_hours(sandbox, connect):
    client = connect(sandbox, PATH)
    ask(client, "BTC/USD", channel="ticker")
    told = client.first(channel_of("ticker"))["data"][0]
    day = sandbox.market.of("BTC-USD").day_before(NOW_MS)
    assert (told["volume"], told["trades"]) == (day.volume / 1e8, day.trades)
    assert told["low"] <= told["last"] <= told["high"]


def test_frames_may_be_lost_and_late_and_subscriptions_refused(sandbox, connect):
    sandbox.scenarios.add("refuse_subscription", symbol="BTC-USD", protocol="kraken")
    answers = ask(connect(sandbox, PATH), "BTC/USD", "ETH/USD", interval=1)
    assert [each["success"] for each in answers] == [False, False]
