import pytest

from livermore.market.timeframe import MINUTE_MS, Timeframe
from tests.exchanges.sandbox.conftest import NOW_MS

PUBLIC, BUSINESS = "/ws/v5/public", "/ws/v5/business"
MINUTE = Timeframe.M1.floor(NOW_MS)


def arg(channel, name="BTC-USDT"):
    return {"channel": channel, "instId": name}


def ask(client, *args, op="subscribe", **told):
    """Send a message and return the answers to it, one for each stream or an error."""
    client.send({"op": op, "args": list(args), **told})
    frames = []
    while len(frames) < len(args) and (not frames or frames[-1]["event"] != "error"):
        frames.append(client.first(lambda frame: "event" in frame))
    return frames


def is_row(frame, confirm):
    return "data" in frame and frame["data"][0][-1] == confirm


def test_each_stream_of_a_message_is_answered_for(sandbox, connect):
    client = connect(sandbox, BUSINESS)
    answers = ask(client, arg("candle1m"), arg("candle1Dutc", "BTC-USDT-SWAP"), id="7")
    assert [answer["arg"] for answer in answers] == [
        arg("candle1m"),
        arg("candle1Dutc", "BTC-USDT-SWAP"),
    ]
    assert {(one["event"], one["id"]) for one in answers} == {("subscribe", "7")}
    (gone,) = ask(client, arg("candle1m"), op="unsubscribe")
    assert (gone["event"], gone["arg"]) == ("unsubscribe", arg("candle1m"))


@pytest.mark.parametrize(
    ("path", "good", "bad"),
    [
        (PUBLIC, arg("tickers"), arg("candle1m")),
        (BUSINESS, arg("candle1m"), arg("tickers")),
        (BUSINESS, arg("candle1m"), arg("candle1h")),
        (BUSINESS, arg("candle1m"), arg("candle1m", "NOPE-USDT")),
        (BUSINESS, arg("candle1m"), arg("candle1m", "LUNA-USD")),
    ],
)
def test_one_wrong_name_or_address_rejects_the_whole_message(sandbox, connect, path, good, bad):
    client = connect(sandbox, path)
    (error,) = ask(client, good, bad, id="1")
    assert (error["event"], error["code"], error["id"]) == ("error", "60018", "1")
    assert f"channel:{bad['channel']},instId:{bad['instId']} doesn't exist" in error["msg"]
    assert client.is_silent()
    assert not sandbox.streams["okx"].subscriptions


@pytest.mark.parametrize("sent", ["{", '{"op":"ping"}', '{"op":"subscribe","args":[]}', "[1]"])
def test_what_is_no_request_is_an_error_a_ping_as_json_too(sandbox, connect, sent):
    client = connect(sandbox, PUBLIC)
    client.send(sent)
    assert client.next()["code"] == "60012"


def test_a_ping_is_a_text_and_so_is_its_answer(sandbox, connect):
    client = connect(sandbox, BUSINESS)
    client.send("ping")
    assert client.socket.recv(timeout=5) == "pong"


def test_who_gets_nothing_for_long_is_cut_whatever_frames_it_pings_with(start, connect):
    server = start(okx_idle_seconds=0.4)
    silent, pinging = connect(server, BUSINESS), connect(server, BUSINESS)
    for _ in range(8):
        pinging.send("ping")
        silent.socket.ping()
        assert pinging.socket.recv(timeout=5) == "pong"
        pinging.socket.ping().wait(0.1)
    assert silent.closed() == 4004


def test_how_a_candle_stands_comes_at_once_and_its_end_is_confirmed(start, connect):
    server = start()
    client = connect(server, BUSINESS)
    ask(client, arg("candle1m", "BTC-USDT-SWAP"))
    first = client.next()
    assert first["arg"] == arg("candle1m", "BTC-USDT-SWAP")
    assert (int(first["data"][0][0]), first["data"][0][-1]) == (MINUTE, "0")
    server.clock.advance(MINUTE_MS)
    closing = client.first(lambda frame: is_row(frame, "1"))["data"][0]
    truth = server.market.candle("BTC-USDT-PERP", Timeframe.M1, MINUTE)
    told = (int(closing[0]), *map(float, closing[1:5]), float(closing[6]))
    assert told == truth
    assert float(closing[5]) == pytest.approx(100 * truth[5])


def test_a_fault_leaves_out_some_confirmations(start, connect):
    server = start()
    client = connect(server, BUSINESS)
    ask(client, arg("candle1m"))
    server.scenarios.add("missing_close", protocol="okx", symbol="BTC-USDT", times=1)
    server.clock.advance(MINUTE_MS)
    frames = client.until(lambda frame: "data" in frame and int(frame["data"][0][0]) > MINUTE)
    assert not any(is_row(frame, "1") for frame in frames)
    server.clock.advance(MINUTE_MS)
    assert client.first(lambda frame: is_row(frame, "1"))


def test_minutes_without_trades_are_confirmed_or_by_a_fault_not_told(start, connect):
    server = start()
    minutes = server.market.closed_candles(
        "DASH-USD", Timeframe.M1, MINUTE, MINUTE + 300 * MINUTE_MS
    )
    quiet_ms = next(row[0] for row in minutes if not row[5] and row[0] > MINUTE + MINUTE_MS)
    for is_told in (True, False):
        server.clock.advance(quiet_ms - 1 - server.clock.now_ms())
        client = connect(server, BUSINESS)
        ask(client, arg("candle1m", "DASH-USD"))
        client.first(lambda frame: "data" in frame)
        if not is_told:
            server.scenarios.add("no_untraded_close", protocol="okx")
        server.clock.advance(MINUTE_MS + 1)
        server.send_due()
        client.send("ping")
        frames = []
        while (text := client.socket.recv(timeout=5)) != "pong":
            frames.append(text)
        assert any(f'"{quiet_ms}"' in text and '"0","0","0","1"' in text for text in frames) is (
            is_told
        )


def test_tickers_come_at_their_own_address(start, connect):
    server = start()
    client = connect(server, PUBLIC)
    ask(client, arg("tickers", "ETH-USDT-SWAP"))
    server.clock.advance(MINUTE_MS)
    frame = client.first(
        lambda frame: (
            frame.get("arg") == arg("tickers", "ETH-USDT-SWAP")
            and frame["data"][0]["ts"] == str(server.clock.now_ms())
        )
    )
    assert frame["data"][0]["instType"] == "SWAP"


def test_a_connection_may_ask_so_often_in_an_hour(start, connect):
    server = start(okx_requests_per_hour=2)
    client = connect(server, PUBLIC)
    for _ in range(2):
        ask(client, arg("tickers"))
    (error,) = ask(client, arg("tickers"))
    assert error["code"] == "60014"
    (answer,) = ask(connect(server, PUBLIC), arg("tickers"))  # another one has its own
    assert answer["event"] == "subscribe"


def test_an_upgrade_is_announced(start, connect):
    server = start()
    client = connect(server, BUSINESS)
    ask(client, arg("candle1m"))
    server.scenarios.add("early_cut", protocol="okx", delay=0.2)
    told = client.first(lambda frame: frame.get("event") == "notice")
    assert told["code"] == "64008"
    assert client.closed() == 1001


@pytest.mark.parametrize(("way", "acks"), [("error", 0), ("left_out", 1), ("silent", 0)])
def test_a_subscription_can_be_refused_on_purpose(start, connect, way, acks):
    server = start()
    server.scenarios.add("refuse_subscription", protocol="okx", symbol="ETH-USDT", way=way)
    client = connect(server, BUSINESS)
    client.send({"op": "subscribe", "args": [arg("candle1m"), arg("candle1m", "ETH-USDT")]})
    client.send("ping")
    events = []
    while (text := client.socket.recv(timeout=5)) != "pong":
        events.append(text)
    assert sum('"event":"subscribe"' in text for text in events) == acks
    assert any("60018" in text for text in events) is (way == "error")


def test_the_flag_of_an_open_candle_can_be_set_too_early(start, connect):
    server = start(scenarios=({"kind": "early_close", "protocol": "okx", "chance": 1.0},))
    client = connect(server, BUSINESS)
    ask(client, arg("candle1m"))
    server.clock.advance(30_000)
    frame = client.first(lambda frame: is_row(frame, "1"))
    assert int(frame["data"][0][0]) == MINUTE
