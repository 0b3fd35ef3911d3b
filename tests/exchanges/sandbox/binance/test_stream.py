import time
from itertools import pairwise

import pytest
import websocket
from websockets.exceptions import InvalidStatus

from exchanges.sandbox.binance.listing import native_name
from exchanges.sandbox.symbols import listings
from livermore.market.timeframe import MINUTE_MS, Timeframe
from tests.exchanges.sandbox.conftest import NOW_MS

MIDNIGHT_MS = 1_790_035_200_000  # 2026-09-22 00:00 UTC: all six timeframes close
KLINES = [f"btcusd@kline_{timeframe}" for timeframe in Timeframe]


def kline_as_row(kline):
    names = ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q", "B")
    return [kline[name] for name in names]


def is_kline(frame):
    return frame.get("e") == "kline"


def is_closing(frame):
    return is_kline(frame) and frame["k"]["x"]


def empty_minute(server, symbol, after_ms):
    """Return the first minute without a trade, of a symbol that has such."""
    symbol_market = server.market.of(symbol)
    minute_ms = Timeframe.M1.ceil(after_ms)
    while symbol_market.trades(minute_ms):
        minute_ms += MINUTE_MS
    return minute_ms


def test_the_closing_frames_of_all_timeframes_equal_rest(start, connect, klines):
    server = start(start_ms=MIDNIGHT_MS - 1000)
    client = connect(server)
    assert client.ask("SUBSCRIBE", KLINES) == {"result": None, "id": 1}
    server.clock.advance(1500)
    frames = [client.first(is_closing) for _ in Timeframe]
    assert [frame["k"]["i"] for frame in frames] == list(Timeframe)
    for frame in frames:
        (row,) = klines(server, interval=frame["k"]["i"], startTime=frame["k"]["t"], limit=1).json()
        assert kline_as_row(frame["k"]) == row
        assert (frame["E"], frame["s"]) == (MIDNIGHT_MS + 500, "BTCUSD")


@pytest.mark.parametrize("timeframe", Timeframe)
def test_every_frame_is_the_whole_candle_so_far(start, connect, klines, timeframe):
    server = start()
    client = connect(server, f"/ws/btcusd@kline_{timeframe}").ready()
    for number in range(1, 7):
        trades = server.market.trades("BTC-USD", Timeframe.M1.floor(NOW_MS) + number * MINUTE_MS)
        server.clock.advance(trades[-1].time_ms - server.clock.now_ms())
        at_ms = server.clock.now_ms()
        frame = client.first(lambda frame, at_ms=at_ms: frame["E"] == at_ms and not frame["k"]["x"])
        row = klines(server, interval=timeframe, limit=1).json()[0]
        assert kline_as_row(frame["k"]) == row
        assert frame["k"]["L"] - frame["k"]["f"] + 1 == frame["k"]["n"]
        assert frame["k"]["L"] == trades[-1].id


def test_a_bar_without_a_trade_is_closed_by_the_clock(start, connect):
    server = start()
    minute_ms = empty_minute(server, "DASH-USD", NOW_MS + MINUTE_MS)
    server.clock.advance(minute_ms + 100 - NOW_MS)
    client = connect(server)
    client.ask("SUBSCRIBE", ["dashusd@kline_1m"])
    server.clock.advance(MINUTE_MS)
    kline = client.first(is_kline)["k"]
    assert (kline["t"], kline["x"], kline["n"], kline["f"], kline["L"]) == (
        minute_ms, True, 0, -1, -1
    )  # fmt: skip
    assert kline["o"] == kline["c"] == kline["h"] == kline["l"]
    assert kline["v"] == "0.00000000"


def test_nothing_is_pushed_while_nothing_changes_nor_twice_within_two_seconds(start, connect):
    server = start(speed=120)
    client = connect(server, "/ws/ethusd@kline_5m")
    told = [client.next() for _ in range(8)]
    times = [frame["E"] for frame in told if not frame["k"]["x"]]
    assert all(later - earlier >= 2000 for earlier, later in pairwise(times))
    counts = [(frame["k"]["t"], frame["k"]["n"], frame["k"]["x"]) for frame in told]
    assert len(set(counts)) == len(counts)


def test_at_sixty_times_the_speed_no_close_is_missing(start, connect):
    server = start(speed=60, listings=listings(20))
    trading = [one for one in listings(20) if one.status == "TRADING" and one.is_on("binance")]
    names = [f"{native_name(one).lower()}@kline_{t}" for one in trading for t in Timeframe]
    clients = [connect(server, f"/stream?streams={'/'.join(names)}") for _ in range(3)]
    until_ms = server.clock.now_ms() + 130_000
    for client in clients:
        frames = client.until(lambda frame: frame["data"]["E"] > until_ms, seconds=10)
        closed = {}
        for kline in (frame["data"]["k"] for frame in frames):
            if kline["x"]:
                closed.setdefault((kline["s"], kline["i"]), []).append(kline["t"])
        minutes = {times[0] for (_, timeframe), times in closed.items() if timeframe == "1m"}
        assert len(minutes) == 1
        assert sum(timeframe == "1m" for _, timeframe in closed) == 20
        for (_, timeframe), times in closed.items():
            step = Timeframe(timeframe).ms
            assert times == list(range(times[0], times[-1] + 1, step))


def test_a_leap_of_the_clock_closes_every_bar_on_the_way(start, connect):
    server = start()
    client = connect(server, "/ws/btcusd@kline_1m").ready()
    server.clock.advance(30 * MINUTE_MS)
    opens = [client.first(is_closing)["k"]["t"] for _ in range(30)]
    minute_ms = Timeframe.M1.floor(NOW_MS)
    assert opens == [minute_ms + n * MINUTE_MS for n in range(30)]


def test_a_clock_put_back_tells_that_times_bars_again(start, connect):
    server = start()
    client = connect(server, "/ws/btcusd@kline_1m").ready()
    server.clock.advance(MINUTE_MS)
    first = client.first(is_closing)["k"]
    server.clock.advance(-MINUTE_MS)
    server.send_due()
    server.clock.advance(MINUTE_MS)
    assert client.first(is_closing)["k"] == first


def test_combined_frames_name_their_stream(start, connect):
    server = start(speed=60)
    client = connect(server, "/stream?streams=btcusd@kline_1m/ethusd@kline_5m")
    frame = client.next()
    assert list(frame) == ["stream", "data"]
    assert frame["stream"] == f"{frame['data']['s'].lower()}@kline_{frame['data']['k']['i']}"


def test_a_path_may_name_several_streams_of_any_script(start, connect):
    server = start(speed=60)
    client = connect(
        server, "/ws/btcusd@kline_1m/%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9Fusdt@kline_1m"
    )
    assert client.first(lambda frame: frame["s"] == "币安人生USDT")
    assert client.ask("LIST_SUBSCRIPTIONS")["result"] == [
        "btcusd@kline_1m",
        "币安人生usdt@kline_1m",
    ]


def test_subscriptions_can_be_listed_and_ended(start, connect):
    server = start(speed=300)
    client = connect(server)
    client.ask("SUBSCRIBE", ["btcusd@kline_1m", "btcusd@kline_5m", "btcusd@kline_1m"])
    assert client.ask("UNSUBSCRIBE", ["btcusd@kline_1m", "never@had"], "two") == {
        "result": None,
        "id": "two",
    }
    assert client.ask("LIST_SUBSCRIPTIONS")["result"] == ["btcusd@kline_5m"]
    assert {client.first(is_kline)["k"]["i"] for _ in range(5)} == {"5m"}
    assert server.streams["binance"].subscriptions == {"btcusd@kline_5m": 1}


def test_the_form_of_frames_can_be_changed(start, connect):
    server = start(speed=60)
    client = connect(server, "/ws/btcusd@kline_1m")
    assert client.ask("GET_PROPERTY", ["combined"])["result"] is False
    assert client.ask("SET_PROPERTY", ["combined", True])["result"] is None
    assert client.next()["stream"] == "btcusd@kline_1m"


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ("{not json", {"code": 3}),
        ("[1]", {"code": 2}),
        ('{"id":1}', {"code": 2, "id": 1}),
        ('{"method":"SHOUT","id":1}', {"code": 2, "id": 1}),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', {"code": 2, "id": 1}),
        ('{"method":"SUBSCRIBE","id":1}', {"code": 2, "id": 1}),
        ('{"method":"SUBSCRIBE","params":["a"],"id":1.5}', {"code": 2}),
        ('{"method":"GET_PROPERTY","params":["colour"],"id":1}', {"code": 0, "id": 1}),
        ('{"method":"GET_PROPERTY","params":[7],"id":1}', {"code": 2, "id": 1}),
        ('{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}', {"code": 1, "id": 1}),
        ('{"method":"SET_PROPERTY","params":["combined",true,1],"id":1}', {"code": 2, "id": 1}),
    ],
)
def test_a_bad_command_is_answered_with_a_flat_error(sandbox, connect, sent, answer):
    client = connect(sandbox)
    client.send(sent)
    told = client.next()
    assert told.pop("msg")
    assert told == answer


def test_too_many_streams_is_the_nested_error_and_changes_nothing(start, connect):
    server = start(ws_messages_per_second=100)
    client = connect(server)
    for first in range(0, 1000, 250):
        client.ask("SUBSCRIBE", [f"a{n}@x" for n in range(first, first + 250)])
    told = client.ask("SUBSCRIBE", [f"b{n}@x" for n in range(25)], 9)
    assert told == {"error": {"code": 4, "msg": "Too many subscriptions"}, "id": 9}
    assert len(client.ask("LIST_SUBSCRIPTIONS")["result"]) == 1000
    assert server.streams["binance"].most_streams == 1000


def test_a_name_that_no_stream_has_is_acknowledged_and_silent(start, connect):
    server = start(speed=600)
    client = connect(server)
    names = ["BTCUSD@kline_1m", "btcusd@kline_2m", "nope@kline_1m", "lunausd@ticker"]
    assert client.ask("SUBSCRIBE", names) == {"result": None, "id": 1}
    assert client.is_silent()
    assert server.streams["binance"].subscriptions == dict.fromkeys(names, 1)


def test_the_sixth_message_within_a_second_ends_the_connection(sandbox, connect):
    client = connect(sandbox)
    for _ in range(6):
        client.send({"method": "LIST_SUBSCRIPTIONS", "id": 1})
    assert client.closed() == 1008
    assert sandbox.streams["binance"].most_messages_per_second == 6
    assert sandbox.streams["binance"].closed == {1008: 1}


def test_pings_of_the_client_are_answered_and_counted(sandbox, connect, eventually):
    client = connect(sandbox)
    assert client.socket.ping("hello").wait(5)
    assert sandbox.streams["binance"].messages == 1
    for _ in range(5):
        client.socket.ping()
    assert client.closed() == 1008


def test_connecting_too_often_is_refused(start, connect, eventually):
    server = start(ws_connects_per_5_minutes=2)
    connect(server), connect(server)
    with pytest.raises(InvalidStatus) as refused:
        connect(server)
    assert refused.value.response.status_code == 429
    counts = server.streams["binance"]
    assert (counts.connects, counts.refused, counts.open) == (3, 1, 2)
    assert counts.most_connects_in_5_minutes == 3


def test_an_overlong_message_is_swallowed_until_the_next_ping(start, connect, eventually):
    server = start(ws_ping_seconds=0.7)
    client = connect(server)
    long = ["btcusd@kline_1m", "x" * 4100]
    client.send({"method": "SUBSCRIBE", "params": long, "id": 1})
    client.send({"method": "LIST_SUBSCRIPTIONS", "id": 2})
    assert client.is_silent(0.3)
    eventually(lambda: server.streams["binance"].messages == 3)  # the third one is a pong
    assert client.ask("LIST_SUBSCRIPTIONS", request_id=3) == {"result": [], "id": 3}
    assert server.streams["binance"].most_frame_bytes > 4100


def test_a_client_that_does_not_pong_is_dropped(start, connect, eventually):
    server = start(ws_ping_seconds=0.05, ws_pong_seconds=2, ws_messages_per_second=100)
    unread = websocket.create_connection(f"{server.ws_url}/ws", timeout=5)
    connect(server)  # this one answers by itself
    eventually(lambda: server.streams["binance"].closed == {1006: 1})
    assert server.streams["binance"].open == 1
    unread.shutdown()


def test_a_pong_with_another_payload_does_not_count(start, eventually):
    server = start(ws_ping_seconds=0.05, ws_pong_seconds=0.2, ws_messages_per_second=100)
    client = websocket.create_connection(f"{server.ws_url}/ws", timeout=5)
    deadline = time.monotonic() + 5
    while not server.streams["binance"].closed and time.monotonic() < deadline:
        client.pong("other")
        time.sleep(0.05)
    assert server.streams["binance"].closed == {1006: 1}
    client.shutdown()


@pytest.mark.parametrize("path", ["/ws", "/stream"])
def test_a_connection_ends_after_its_lifetime_with_a_warning(start, connect, path):
    server = start(ws_lifetime_seconds=0.3, ws_notice_seconds=0.1)
    client = connect(server, path)
    warning = {"e": "serverShutdown", "E": NOW_MS}
    wrapped = {"stream": "!serverShutdown", "data": warning}
    assert client.next() == (wrapped if path == "/stream" else warning)
    assert client.closed() == 1001


def test_tickers_agree_with_rest(start, connect, get):
    server = start()
    client = connect(server)
    names = ["ethusd@ticker", "ethusd@miniTicker", "ethusd@bookTicker", "!miniTicker@arr"]
    client.ask("SUBSCRIBE", names)
    server.clock.advance(MINUTE_MS)
    found = {}
    while len(found) < 4:
        frame = client.next()
        if isinstance(frame, list):
            found["all"] = [one for one in frame if one["s"] == "ETHUSD"]
        else:
            found[frame.get("e", "best")] = frame
    rest = get(server, "/api/v3/ticker/24hr", symbol="ETHUSD").json()
    ticker, mini, best = found["24hrTicker"], found["24hrMiniTicker"], found["best"]
    pairs = {
        "c": "lastPrice", "o": "openPrice", "h": "highPrice", "l": "lowPrice", "v": "volume",
        "q": "quoteVolume",
    }  # fmt: skip
    assert all(ticker[short] == mini[short] == rest[long] for short, long in pairs.items())
    assert (ticker["P"], ticker["p"]) == (rest["priceChangePercent"], rest["priceChange"])
    assert (ticker["O"], ticker["C"], ticker["n"]) == (
        rest["openTime"], rest["closeTime"], rest["count"]
    )  # fmt: skip
    assert set(ticker) == set("eEspPwxcQbBaAohlvqOCFLn")
    assert found["all"] in ([], [mini])
    assert set(best) == set("usbBaA")
    assert (best["b"], best["a"]) == (rest["bidPrice"], rest["askPrice"])


def test_the_array_of_mini_tickers_holds_what_changed(start, connect):
    server = start(speed=60)
    client = connect(server, "/ws/!miniTicker@arr")
    whole, later = client.next(), client.next()
    assert len(whole) > len(later) > 0
    assert all(one["e"] == "24hrMiniTicker" for one in later)


def test_a_client_that_does_not_read_is_cut_and_delays_nobody(start, connect, eventually):
    server = start(most_buffered_bytes=200_000)
    names = [
        f"{native_name(one).lower()}@kline_1m" for one in listings() if native_name(one).isascii()
    ]
    slow = websocket.create_connection(f"{server.ws_url}/stream?streams={'/'.join(names)}")
    quick = connect(server, "/ws/btcusd@kline_1m").ready()
    for _ in range(40):
        server.clock.advance(60 * MINUTE_MS)
        for _ in range(60):
            quick.first(is_closing)
        if server.streams["binance"].too_slow:
            break
    assert server.streams["binance"].too_slow == 1
    assert eventually(lambda: server.streams["binance"].open == 1)
    slow.shutdown()


def test_a_closed_connection_leaves_nothing_behind(sandbox, connect, eventually):
    client = connect(sandbox)
    client.ask("SUBSCRIBE", KLINES)
    client.socket.close()
    eventually(lambda: sandbox.streams["binance"].open == 0)
    assert not sandbox.streams["binance"].subscriptions


def test_a_page_is_not_a_websocket(sandbox, get):
    assert get(sandbox, "/ws").status_code == 404
    assert get(sandbox, "/").status_code == 404
