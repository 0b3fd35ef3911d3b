import pytest

from exchanges.sandbox.market.listings import Listing
from livermore.market.timeframe import MINUTE_MS, Timeframe
from tests.exchanges.sandbox.conftest import NOW_MS

MINUTE = Timeframe.M1.floor(NOW_MS)
QUIET = Listing("DASH-USDT", "31.2900", lot=9_000_000, quiet=True)
LISTINGS = (Listing("BTC-USDT", "67055.19", lot=50_000), QUIET)


def ask(client, operation, *topics, request="1"):
    """Send a message; return what is answered, whatever comes between."""
    client.send({"req_id": request, "op": operation, "args": topics})
    return client.first(lambda frame: "op" in frame)


def of(topic, **wanted):
    """Return a test of frames: those of a topic whose first entry has these values."""

    def fits(frame):
        data = frame.get("data", {})
        first = data[0] if isinstance(data, list) else data
        return frame.get("topic") == topic and wanted.items() <= first.items()

    return fits


@pytest.mark.parametrize("category", ["spot", "linear"])
@pytest.mark.parametrize("prefix", ["", "/v5/public"])
def test_one_answer_tells_that_a_whole_message_was_done(sandbox, connect, category, prefix):
    client = connect(sandbox, f"{prefix}/{category}")
    told = ask(client, "subscribe", "kline.1.BTCUSDT", "kline.D.ETHUSDT", request="17")
    assert told.pop("conn_id")
    said = "subscribe" if category == "spot" else ""
    expected = {"success": True, "ret_msg": said, "req_id": "17", "op": "subscribe"}
    assert told == expected
    assert ask(client, "unsubscribe", "kline.1.BTCUSDT")["success"]
    assert f"{category}:kline.D.ETHUSDT" in sandbox.streams["bybit"].as_json()["subscriptions"]


def test_a_topic_that_does_not_exist_refuses_its_message_without_naming_it(sandbox, connect):
    client = connect(sandbox, "/linear")
    told = ask(client, "subscribe", "kline.1.BTCUSDT", "kline.1.NOPE")
    assert (told["success"], told["req_id"]) == (False, "")
    assert told["ret_msg"] == "error:handler not found,topic:kline.1.NOPE"
    assert ask(client, "subscribe", "kline.1.BTCUSDT")["success"]
    told = ask(client, "subscribe", "kline.1.BTCUSDT", "kline.5.BTCUSDT")
    assert told["ret_msg"] == "error:already subscribed,topic:kline.1.BTCUSDT"
    assert ask(client, "subscribe", "kline.5.BTCUSDT")["success"]


def test_perpetuals_in_usdc_are_linear_alone(sandbox, connect):
    assert ask(connect(sandbox, "/linear"), "subscribe", "kline.1.BTCPERP")["success"]
    assert not ask(connect(sandbox, "/spot"), "subscribe", "kline.1.BTCPERP")["success"]


def test_a_spot_message_names_ten_topics_at_most_and_a_linear_one_more(sandbox, connect):
    topics = [f"kline.{each}.{name}USDT" for each in ("1", "5", "15", "60") for name in
              ("BTC", "ETH", "MNT")]  # fmt: skip
    told = ask(connect(sandbox, "/spot"), "subscribe", *topics)
    assert (told["success"], told["ret_msg"]) == (False, "args size >10")
    linear = [topic for topic in topics if "MNT" not in topic]
    linear += [topic.replace("USDT", "PERP") for topic in linear]
    assert ask(connect(sandbox, "/linear"), "subscribe", *linear)["success"]


def test_the_topics_of_a_connection_have_so_many_characters_in_all(start, connect):
    server = start(bybit_characters=31)
    client = connect(server, "/linear")
    assert ask(client, "subscribe", "kline.1.BTCUSDT", "kline.1.ETHUSDT")["success"] is True
    assert ask(client, "subscribe", "kline.5.BTCUSDT")["ret_msg"] == "args length >31"


@pytest.mark.parametrize("sent", ["{", [1], {"op": "sing"}, {"op": "subscribe", "args": [1]}])
def test_what_cannot_be_read_is_answered(sandbox, connect, sent):
    client = connect(sandbox, "/spot")
    client.send(sent)
    assert client.next()["success"] is False


def test_a_ping_is_a_message_and_who_sends_none_is_cut(start, connect):
    server = start(bybit_silence_seconds=0.4)
    client = connect(server, "/spot")
    told = ask(client, "ping", request="7")
    assert told.pop("conn_id")
    assert told == {"success": True, "ret_msg": "pong", "req_id": "7", "op": "ping"}
    assert client.closed() == 1006


def test_spot_bars_come_one_by_one_and_close_with_confirm(start, connect):
    server = start(listings=LISTINGS)
    client = connect(server, "/spot")
    ask(client, "subscribe", "kline.1.BTCUSDT")
    server.clock.advance(20_000)
    (row,) = client.first(of("kline.1.BTCUSDT"))["data"]
    assert (row["start"], row["end"], row["confirm"]) == (MINUTE, MINUTE + 59_999, False)
    server.clock.advance(MINUTE_MS)
    frame = client.first(of("kline.1.BTCUSDT", start=MINUTE, confirm=True))
    assert frame["type"] == "snapshot"
    (row,) = frame["data"]
    told = [row[name] for name in ("open", "high", "low", "close", "volume")]
    assert tuple(map(float, told)) == server.market.candle("BTC-USDT", Timeframe.M1, MINUTE)[1:]


def test_a_perpetuals_closing_frame_holds_the_next_bar_too(start, connect):
    server = start(listings=LISTINGS)
    client = connect(server, "/linear")
    ask(client, "subscribe", "kline.1.BTCUSDT")
    server.clock.advance(MINUTE_MS)
    closed, behind = client.first(of("kline.1.BTCUSDT", confirm=True))["data"]
    assert (closed["start"], behind["start"]) == (MINUTE, MINUTE + MINUTE_MS)
    assert (closed["confirm"], behind["confirm"]) == (True, False)


@pytest.mark.parametrize("tells", [True, False])
def test_whether_bars_without_a_trade_have_frames_is_a_setting(start, connect, tells):
    server = start(listings=LISTINGS, bybit_streams_quiet=tells)
    client = connect(server, "/spot")
    ask(client, "subscribe", "kline.1.DASHUSDT")
    true = server.market.closed_candles("DASH-USDT", Timeframe.M1, MINUTE, MINUTE + 20 * MINUTE_MS)
    traded = [row[0] for row in true if row[5]]
    assert len(traded) < len(true)
    server.clock.advance(traded[-1] + MINUTE_MS - NOW_MS)
    frames = client.until(of("kline.1.DASHUSDT", start=traded[-1], confirm=True))
    told = [frame["data"][0]["start"] for frame in frames if frame["data"][0]["confirm"]]
    assert told == ([row[0] for row in true if row[0] <= traded[-1]] if tells else traded)


def test_a_perpetuals_ticker_is_whole_once_and_then_what_changed(start, connect):
    server = start(listings=LISTINGS)
    client = connect(server, "/linear")
    ask(client, "subscribe", "tickers.BTCUSDT")
    whole = client.first(of("tickers.BTCUSDT"))
    assert whole["type"] == "snapshot"
    assert {"lastPrice", "bid1Price", "price24hPcnt"} <= whole["data"].keys()
    server.clock.advance(20_000)
    frames = client.until(lambda frame: frame.get("cs", 0) >= whole["cs"] + 2)
    assert {frame["type"] for frame in frames} == {"delta"}
    assert "lastPrice" not in frames[-1]["data"]
    merged = whole["data"]
    for frame in frames:
        merged = merged | frame["data"]
    day = server.market.of("BTC-USDT-PERP").day_before(server.clock.now_ms())
    assert float(merged["lastPrice"]) * 100 == day.close


def test_a_spot_ticker_is_always_whole_and_tells_no_best_prices(start, connect):
    server = start(listings=LISTINGS)
    client = connect(server, "/spot")
    ask(client, "subscribe", "tickers.BTCUSDT")
    for _ in range(2):
        frame = client.first(of("tickers.BTCUSDT"))
        assert frame["type"] == "snapshot"
        assert frame["data"].keys() >= {"lastPrice", "volume24h"}
        assert "bid1Price" not in frame["data"]
        server.clock.advance(20_000)


def test_a_close_can_be_told_too_early(start, connect):
    server = start(listings=LISTINGS)
    client = connect(server, "/spot")
    ask(client, "subscribe", "kline.1.BTCUSDT")
    server.scenarios.add("early_close", chance=1, way="later")
    server.clock.advance(20_000)
    (row,) = client.first(of("kline.1.BTCUSDT"))["data"]
    assert (row["start"], row["end"]) == (MINUTE + MINUTE_MS, MINUTE + 2 * MINUTE_MS - 1)
    assert row["confirm"] is True
