import signal
from types import SimpleNamespace

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus

from exchanges.sandbox.faults.scenario import KINDS
from exchanges.sandbox.written_scenarios import parse_scenarios
from livermore.market.timeframe import MINUTE_MS, Timeframe
from tests.exchanges.sandbox.conftest import NOW_MS
from tests.exchanges.sandbox.server.test_server import command

BTC = "/ws/btcusd@kline_1m"
M1 = Timeframe.M1
MINUTE = M1.floor(NOW_MS)


def is_closing(frame):
    return frame.get("e") == "kline" and frame["k"]["x"]


def minutes_later(server, client, minutes):
    """Move the clock by a minute, so many times, and return the kline frames that came."""
    for _ in range(minutes):
        server.clock.advance(MINUTE_MS)
        server.send_due()
    client.send({"method": "LIST_SUBSCRIPTIONS", "id": "end"})
    frames = client.until(lambda frame: frame.get("id") == "end")
    return [(frame["k"]["t"], frame["k"]["x"]) for frame in frames if "k" in frame]


def test_drop_cuts_every_socket_at_once_and_once(start, connect):
    server = start()
    clients = [connect(server, BTC).ready(), connect(server, "/")]
    scenario = server.scenarios.add("drop")
    assert [client.closed() for client in clients] == [1006, 1006]
    again = connect(server, BTC)
    assert again.ask("LIST_SUBSCRIPTIONS")["result"] == ["btcusd@kline_1m"]
    assert scenario.hits == 1


def test_drop_can_come_again_and_again_on_one_protocol(start, connect):
    server = start()
    coinbase = connect(server, "/")
    scenario = server.scenarios.add("drop", every=0.1, times=2, protocol="binance")
    assert connect(server).closed() == 1006
    assert connect(server).closed() == 1006
    connect(server).ready()
    assert coinbase.subscribe("heartbeats")
    assert scenario.hits == 2


def test_refuse_turns_new_connections_away_for_a_while(start, connect, eventually):
    server = start()
    client = connect(server, BTC).ready()
    scenario = server.scenarios.add("refuse", seconds=0.2, status=502)
    with pytest.raises(InvalidStatus) as refused:
        connect(server)
    assert refused.value.response.status_code == 502
    client.ready()
    eventually(lambda: not scenario.active)
    connect(server).ready()


@pytest.mark.parametrize(("kind", "answers"), [("silence", False), ("pong_only", True)])
def test_a_silent_socket_stays_open_and_may_answer_pings(start, connect, eventually, kind, answers):
    server = start(ws_ping_seconds=0.05, ws_messages_per_second=100)
    client = connect(server, BTC).ready()
    server.scenarios.add(kind)
    messages = server.streams["binance"].messages
    client.send({"method": "LIST_SUBSCRIPTIONS", "id": 1})
    server.clock.advance(MINUTE_MS)
    assert client.is_silent(0.2)
    assert client.socket.ping().wait(0.2) is answers
    assert server.streams["binance"].messages > messages + 2  # pongs: the server's pings go on
    server.scenarios.clear()
    client.ready()


def test_answers_alone_leave_out_what_was_subscribed(start, connect):
    server = start(ws_ping_seconds=0.05, ws_messages_per_second=100)
    client = connect(server, BTC).ready()
    server.scenarios.add("answers_only")
    assert minutes_later(server, client, 2) == []
    assert client.socket.ping().wait(0.2)
    server.scenarios.clear()
    assert (MINUTE + 2 * MINUTE_MS, True) in minutes_later(server, client, 1)


def test_on_coinbase_heartbeats_are_no_data(start, connect):
    server = start(speed=60)
    client = connect(server, "/")
    server.scenarios.add("answers_only")
    frames = client.subscribe("heartbeats") + client.subscribe("candles", "BTC-USD")
    frames += [client.first(lambda frame: frame["channel"] == "heartbeats") for _ in range(2)]
    assert {frame["channel"] for frame in frames} == {"subscriptions", "heartbeats"}
    assert [frame["sequence_num"] for frame in frames[:3]] == [0, 1, 2]


@pytest.mark.parametrize("scope", [{"symbol": "ETH-USD"}, {}], ids=["a symbol", "any unknown"])
@pytest.mark.parametrize("way", [None, "error", "silent", "left_out"])
def test_a_subscription_that_names_what_is_refused_can_be_refused(start, connect, way, scope):
    server = start()
    scenario = server.scenarios.add("refuse_subscription", way=way, **scope)
    good, bad = "btcusd@kline_1m", "ethusd@kline_1m" if scope else "lunausd@kline_1m"
    client = connect(server)
    client.send({"method": "SUBSCRIBE", "params": [good, bad], "id": 1})
    if way == "silent":
        assert client.is_silent()
    else:
        answer = client.first(lambda frame: frame.get("id") == 1)
        assert ("code" in answer) == (way != "left_out")
    listed = client.ask("LIST_SUBSCRIPTIONS")["result"]
    assert listed == ([good] if way == "left_out" else [])
    assert client.ask("SUBSCRIBE", [good])["result"] is None
    assert scenario.hits == 1


@pytest.mark.parametrize("way", ["error", "silent", "left_out"])
def test_on_coinbase_the_error_says_nothing_of_what_it_answers(start, connect, way):
    server = start()
    server.scenarios.add("refuse_subscription", way=way, symbol="BTC-USDC", timeframe="5m")
    client = connect(server, "/")
    message = {"type": "subscribe", "channel": "candles", "product_ids": ["ETH-USD", "BTC-USDC"]}
    client.send(message)
    if way == "silent":
        assert client.is_silent()
    elif way == "error":
        assert client.next() == {"type": "error", "message": "invalid product_ids"}
    else:
        answer = client.first(lambda frame: frame["channel"] == "subscriptions")
        assert answer["events"][0]["subscriptions"] == {"candles": ["ETH-USD"]}
    frames = client.subscribe("market_trades", "BTC-USDC")
    assert frames[-1]["events"][0]["subscriptions"]["market_trades"] == ["BTC-USD"]


def test_closing_frames_of_bars_without_a_trade_may_never_come(start, connect):
    server = start()
    client = connect(server, "/ws/aerousd@kline_1m").ready()
    server.scenarios.add("no_untraded_close")
    told = minutes_later(server, client, 60)
    traded = [
        row[0]
        for row in server.market.closed_candles(
            "AERO-USD", M1, MINUTE, MINUTE + 60 * MINUTE_MS, traded_only=True
        )
    ]
    assert [opened for opened, closing in told if closing] == traded
    assert 0 < len(traded) < 60


@pytest.mark.parametrize("path", ["/ws/!miniTicker@arr", "/"])
def test_tickers_alone_may_never_come(start, connect, path):
    server = start()
    client = connect(server, path)
    scenario = server.scenarios.add("no_tickers")
    if path == "/":
        client.subscribe("ticker_batch", "BTC-USD")
    for _ in range(3):
        server.clock.advance(MINUTE_MS)
        server.send_due()
    assert client.is_silent()
    assert scenario.hits


def test_silence_can_spare_new_connections(start, connect):
    server = start()
    old = connect(server, BTC).ready()
    server.scenarios.add("silence", sockets="old")
    connect(server, BTC).ready()
    old.send({"method": "LIST_SUBSCRIPTIONS", "id": 1})
    assert old.is_silent(0.1)


def test_a_subscription_can_be_acknowledged_and_never_served(start, connect):
    server = start()
    scenario = server.scenarios.add("ack_without_data", timeframe="5m", times=1)
    client = connect(server)
    client.ask("SUBSCRIBE", ["btcusd@kline_1m", "btcusd@kline_5m"])
    server.clock.advance(10 * MINUTE_MS)
    assert {client.first(is_closing)["k"]["i"] for _ in range(10)} == {"1m"}
    assert len(client.ask("LIST_SUBSCRIPTIONS")["result"]) == 2
    assert scenario.hits == 1
    client.ask("UNSUBSCRIBE", ["btcusd@kline_5m"])
    client.ask("SUBSCRIBE", ["btcusd@kline_5m"])
    server.clock.advance(5 * MINUTE_MS)
    assert client.first(lambda frame: is_closing(frame) and frame["k"]["i"] == "5m")


def test_one_symbol_can_be_silent(start, connect):
    server = start()
    server.scenarios.add("silent_symbol", symbol="ETH-USD")
    client = connect(server, "/ws/ethusd@kline_1m/btcusd@kline_1m").ready()
    server.clock.advance(5 * MINUTE_MS)
    assert {client.first(is_closing)["s"] for _ in range(5)} == {"BTCUSD"}
    coinbase = connect(server, "/")
    coinbase.subscribe("market_trades", "ETH-USD")
    server.clock.advance(MINUTE_MS)
    assert coinbase.is_silent(0.4)


@pytest.mark.parametrize(
    ("way", "is_broken"),
    [
        ("types", lambda told: told["k"]["c"] == {"value": None}),
        ("missing", lambda told: "c" not in told["k"] and "t" in told["k"]),
        ("list", lambda told: isinstance(told, list)),
        ("truncated", None),
        ("text", None),
    ],
)
def test_a_frame_can_be_broken(start, connect, way, is_broken):
    server = start()
    client = connect(server, BTC).ready()
    scenario = server.scenarios.add("malformed", way=way, chance=1, only="closing", times=1)
    server.clock.advance(2 * MINUTE_MS)
    if is_broken:
        assert is_broken(client.next())
    else:
        with pytest.raises(ValueError, match="char"):
            client.next()
    assert client.first(is_closing)["k"]["t"] == M1.floor(NOW_MS) + MINUTE_MS
    assert scenario.hits == 1


def test_a_text_frame_can_be_no_text(start, connect):
    server = start()
    client = connect(server, BTC).ready()
    server.scenarios.add("malformed", way="utf8", chance=1)
    server.clock.advance(MINUTE_MS)
    with pytest.raises(ConnectionClosed):
        client.until(lambda frame: False)


def test_every_so_often_one_frame_is_lost_and_the_sequence_shows_it(start, connect):
    server = start(speed=60)
    client = connect(server, "/")
    client.subscribe("market_trades", "BTC-USD")
    scenario = server.scenarios.add("loss", every=0.2, times=1)
    frames = client.until(lambda frame: scenario.hits and frame["sequence_num"] > 5)
    numbers = [frame["sequence_num"] for frame in frames]
    missing = set(range(numbers[0], numbers[-1] + 1)) - set(numbers)
    assert len(missing) == 1


def test_frames_can_come_twice(start, connect):
    server = start()
    client = connect(server, BTC).ready()
    server.scenarios.add("duplicates", chance=1, only="closing")
    closings = [t for t, closed in minutes_later(server, client, 2) if closed]
    minute_ms = M1.floor(NOW_MS)
    assert closings == [minute_ms, minute_ms, minute_ms + MINUTE_MS, minute_ms + MINUTE_MS]


def test_a_closing_frame_can_come_after_the_next_bars_first(start, connect):
    server = start()
    client = connect(server, BTC).ready()
    server.scenarios.add("reordering", chance=1, only="closing", times=1)
    frames = minutes_later(server, client, 3)
    minute_ms = M1.floor(NOW_MS)
    late = frames.index((minute_ms, True))
    assert frames[late - 1][0] == minute_ms + MINUTE_MS


def test_a_closing_frame_can_be_late_on_the_exchanges_clock(start, connect):
    server = start()
    client = connect(server, BTC).ready()
    server.scenarios.add("late_close", delay=30)
    server.clock.advance(MINUTE_MS)
    server.send_due()
    assert not [closed for _, closed in minutes_later(server, client, 0) if closed]
    server.clock.advance(30_000)
    frame = client.first(is_closing)
    assert (frame["k"]["t"], frame["E"]) == (M1.floor(NOW_MS), NOW_MS + MINUTE_MS + 30_000)


def test_a_closing_frame_can_be_missing(start, connect):
    server = start()
    client = connect(server, BTC).ready()
    scenario = server.scenarios.add("missing_close", times=2)
    closings = [t for t, closed in minutes_later(server, client, 3) if closed]
    assert closings == [M1.floor(NOW_MS) + 2 * MINUTE_MS]
    assert scenario.hits == 2


def test_an_early_cut_is_announced_on_binance_alone(start, connect):
    server = start()
    raw, combined, coinbase = connect(server), connect(server, "/stream"), connect(server, "/")
    server.scenarios.add("early_cut", delay=0.1)
    assert raw.next()["e"] == "serverShutdown"
    assert combined.next()["stream"] == "!serverShutdown"
    assert [client.closed() for client in (raw, combined, coinbase)] == [1001, 1001, 1001]


@pytest.mark.parametrize(("kind", "status"), [("rest_429", 429), ("rest_418", 418)])
def test_rest_can_refuse_for_a_while(start, klines, eventually, kind, status):
    server = start()
    server.scenarios.add(kind, seconds=0.2, retry_after=7)
    eventually(lambda: klines(server).status_code == status)
    assert klines(server).headers["Retry-After"] == "7"
    eventually(lambda: klines(server).status_code == 200)


@pytest.mark.parametrize("kind", ["rest_403", "rest_451"])
def test_rest_can_turn_everybody_away_for_a_while(start, klines, candles, eventually, kind):
    server = start()
    server.scenarios.add(kind, seconds=0.3)
    eventually(lambda: klines(server).status_code == int(kind[-3:]))
    assert candles(server, start=0, end=60).status_code == int(kind[-3:])
    eventually(lambda: klines(server).status_code == 200)


def test_rest_can_have_the_same_holes_at_every_look(start, klines, eventually):
    server = start()
    server.scenarios.add("rest_holes", chance=0.2)
    eventually(lambda: len(klines(server, limit=500).json()) < 500)
    times = [row[0] for row in klines(server, limit=500).json()]
    assert 350 < len(times) < 450
    assert times == [row[0] for row in klines(server, "ETHUSD", limit=500).json()]


def test_rest_can_be_slow_and_the_clock_wrong(start, klines, get, eventually):
    server = start()
    server.scenarios.add("skew", ms=90_000)
    eventually(lambda: get(server, "/api/v3/time").json()["serverTime"] == NOW_MS + 90_000)
    server.scenarios.replace([{"kind": "slow", "delay": 0.15, "protocol": "binance"}])
    eventually(lambda: klines(server).elapsed.total_seconds() >= 0.15)
    assert get(server, "/api/v3/time").json()["serverTime"] == NOW_MS
    server.scenarios.clear()
    eventually(lambda: klines(server).elapsed.total_seconds() < 0.15)


def test_scenarios_can_be_set_and_seen_over_http(start, get):
    server = start()
    url = f"{server.url}/sandbox/scenarios"
    assert requests.post(url, json=[{"kind": "drop", "every": 9}], timeout=5).status_code == 200
    shown = requests.post(url, json={"kind": "silent_symbol"}, timeout=5).json()
    assert [one["kind"] for one in shown] == ["drop", "silent_symbol"]
    assert (shown[0]["every"], shown[1]["symbol"]) == (9, "BTC-USD")
    for bad in ([{"kind": "flood"}], [{"kind": "drop", "every": "x"}], {"kind": "drop", "a": 1}, 5):
        assert requests.post(url, json=bad, timeout=5).status_code == 400
    assert get(server, "/sandbox/scenarios").json() == shown
    assert requests.post(url, json=[], timeout=5).json() == []


def test_what_clients_did_is_told_over_http(start, connect, get):
    server = start()
    connect(server, BTC).ready()
    told = get(server, "/sandbox/streams").json()
    assert told["binance"]["connects"] == told["binance"]["open"] == 1
    assert told["binance"]["subscriptions"] == {"btcusd@kline_1m": 1}
    assert told["coinbase"]["connects"] == 0
    requests.post(f"{server.url}/sandbox/reset", timeout=5)
    told = get(server, "/sandbox/streams").json()["binance"]
    assert (told["connects"], told["open"]) == (0, 1)


def test_the_command_line_names_scenarios_with_their_options():
    assert parse_scenarios("") == []
    assert parse_scenarios("drop,late_close:delay=3:symbol=ETH-USD,silence:every=30:seconds=9") == [
        {"kind": "drop", "every": 60},
        {"kind": "late_close", "delay": 3, "symbol": "ETH-USD"},
        {"kind": "silence", "every": 30, "seconds": 9},
    ]
    assert len(parse_scenarios(",".join(KINDS))) == len(KINDS)


@pytest.mark.parametrize(
    "text", ["flood", "drop:often=1", "drop:every", "drop:every=x", "drop:every=0"]
)
def test_a_scenario_that_cannot_be_read_is_refused(text):
    with pytest.raises(ValueError):
        parse_scenarios(text)


def test_the_same_scenarios_hold_from_the_start(start, connect):
    server = start(scenarios=({"kind": "drop", "every": 0.1},))
    assert connect(server).closed() == 1006


def test_the_command_takes_scenarios_and_ends_cleanly_with_sockets_open(connect):
    process = command("--port", "0", "--speed", "60", "--scenario", "drop:every=0.2:times=1")
    url = process.stdout.readline().split()[-1]
    server = SimpleNamespace(ws_url=url.replace("http", "ws"))
    assert connect(server).closed() == 1006
    client = connect(server, BTC)
    assert client.first(lambda frame: "k" in frame)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")
    assert client.closed() == 1006


def test_the_command_says_which_scenarios_there_are():
    process = command("--scenario", "flood")
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("Error: unknown scenario 'flood'; known are drop ")
