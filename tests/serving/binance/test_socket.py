"""Binance's streams, over a real Redis and a real socket."""

import asyncio
import socket
import time
from dataclasses import replace

import orjson
import pytest
from aiohttp import WSMsgType
from redis.exceptions import RedisError

from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.serving.conftest import ROW, FixedDirectory

M1 = Timeframe.M1
NOW = M1.floor(int(time.time() * 1000))
STREAM = "btcusd@kline_1m"


def candle(opened, close=101.5, closed=False):
    return {
        "exchangeId": 4, "symbol": "BTC-USD", "timeframe": "1m", "timestamp": opened,
        "open": 100.5, "high": 102.0, "low": 99.0, "close": close, "volume": 1.5,
        "closed": closed, "healed": False,
    }  # fmt: skip


def tell_close(redis, opened):
    redis.xadd(keys.events(4), {"event": orjson.dumps(candle(opened, closed=True))})


def tell_open(redis, opened, close):
    redis.publish(keys.candle_channel(4, "BTC-USD", "1m"), orjson.dumps(candle(opened, close)))


def talk(ask, path, conversation):
    """Return what a conversation with a socket at this path returns."""

    async def held():
        async with ask() as client, client.ws_connect(f"/sandbox{path}") as socket:
            return await asyncio.wait_for(conversation(socket), 20)

    return asyncio.run(held())


async def until_received(redis, socket, opened=NOW):
    """Publish an open candle until it comes: from then on the socket is told all."""
    while True:
        tell_open(redis, opened, 101.0)
        try:
            return await socket.receive_json(timeout=0.2)
        except TimeoutError:
            continue


async def next_kline(socket, closed):
    while True:
        found = await socket.receive_json(timeout=10)
        found = found.get("data", found)
        if found["k"]["x"] == closed:
            return found


def test_a_frame_has_the_exchanges_form(ask, redis):
    async def conversation(socket):
        return await until_received(redis, socket)

    frame = talk(ask, f"/ws/{STREAM}", conversation)
    assert abs(frame.pop("E") - time.time() * 1000) < 5000
    assert frame == {
        "e": "kline", "s": "BTCUSD",
        "k": {
            "t": NOW, "T": NOW + 59_999, "s": "BTCUSD", "i": "1m", "f": -1, "L": -1,
            "o": "100.50000000", "c": "101.00000000", "h": "102.00000000", "l": "99.00000000",
            "v": "1.50000000", "n": None, "x": False, "q": None, "V": None, "Q": None, "B": "0",
        },
    }  # fmt: skip


def test_a_frame_has_the_columns_that_are_known(ask, redis):
    columns = {"quoteVolume": 20.5, "trades": 3, "takerBase": 0.1, "takerQuote": 10.25}

    async def conversation(socket):
        await until_received(redis, socket)
        close = candle(NOW, closed=True) | columns
        redis.xadd(keys.events(4), {"event": orjson.dumps(close)})
        odd = candle(NOW + M1.ms, closed=True) | columns | {"trades": "3"}
        redis.xadd(keys.events(4), {"event": orjson.dumps(odd)})
        return [(await next_kline(socket, True))["k"] for _ in range(2)]

    known, unknown = talk(ask, f"/ws/{STREAM}", conversation)
    names = ("q", "n", "V", "Q")
    assert [known[name] for name in names] == ["20.50000000", 3, "0.10000000", "10.25000000"]
    assert [unknown[name] for name in names] == [None] * 4


@pytest.mark.parametrize(
    "path", [f"/stream?streams={STREAM}", f"/stream/7?streams={STREAM}", "/stream", "/ws"]
)
def test_all_ways_to_subscribe(ask, redis, path):
    async def conversation(socket):
        if "?" not in path:
            await socket.send_json({"method": "SUBSCRIBE", "params": [STREAM], "id": 7})
            assert await socket.receive_json(timeout=5) == {"result": None, "id": 7}
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": "a"})
        assert await socket.receive_json(timeout=5) == {"result": [STREAM], "id": "a"}
        return await until_received(redis, socket)

    frame = talk(ask, path, conversation)
    assert ("stream" in frame) == path.startswith("/stream")
    if "stream" in frame:
        assert frame["stream"] == STREAM
        assert frame["data"]["e"] == "kline"


def test_each_close_comes_once_and_in_order_and_no_older_bar_after_it(ask, redis):
    async def conversation(socket):
        await until_received(redis, socket)
        told = []
        for at in range(3):
            opened = NOW + at * M1.ms
            tell_open(redis, opened + M1.ms, 100.0)  # the next bar's, before the close is told
            tell_close(redis, opened)
            tell_close(redis, opened)
            tell_open(redis, opened, 99.5)  # what was on its way
        while len(told) < 3 or told[-1]["k"]["t"] < NOW + 3 * M1.ms:
            told.append(await socket.receive_json(timeout=10))
        return [(each["k"]["t"], each["k"]["x"]) for each in told]

    told = talk(ask, f"/ws/{STREAM}", conversation)
    closes = [opened for opened, is_closed in told if is_closed]
    assert closes == [NOW, NOW + M1.ms, NOW + 2 * M1.ms]
    for opened in closes:
        after = told[told.index((opened, True)) + 1 :]
        assert all(later > opened for later, _ in after)


def test_a_close_is_not_lost_while_redis_is_away(ask, redis):
    async def conversation(socket):
        await until_received(redis, socket)
        tell_close(redis, NOW)
        await next_kline(socket, closed=True)
        for kind in ("normal", "pubsub"):
            redis.client_kill_filter(_type=kind, skipme=True)
        tell_close(redis, NOW + M1.ms)
        return await next_kline(socket, closed=True)

    assert talk(ask, f"/ws/{STREAM}", conversation)["k"]["t"] == NOW + M1.ms


def test_what_redis_does_not_tell_ends_a_connection_that_asks_for_it_with_a_code(
    ask, redis, monkeypatch, caplog
):
    def refuse(*which):
        raise RedisError("max number of clients reached")

    monkeypatch.setattr("serving.streams.closes.own_client", refuse)
    monkeypatch.setattr("serving.streams.closes.SECONDS_TO_BEGIN", 0.2)

    async def conversation(socket):
        await socket.send_json({"method": "SUBSCRIBE", "params": [STREAM], "id": 1})
        message = await socket.receive()
        return message.type, socket.close_code, message.extra

    ended = talk(ask, "/ws", conversation)
    assert ended == (WSMsgType.CLOSE, 1013, "the cache can't be read")
    logged = [each.getMessage() for each in caplog.records if each.levelname != "DEBUG"]
    assert logged == ["closes.not_read exchange=4 error=max number of clients reached"]


@pytest.mark.parametrize(
    ("params", "why"),
    [
        (["btcusd@trade"], "btcusd@trade is not served here"),
        (["btcusd@kline_7m"], "btcusd@kline_7m is not served here"),
        (["nope@kline_1m"], "sandbox has no symbol NOPE"),
        ([STREAM, "btcusd@depth"], "btcusd@depth is not served here"),
    ],
)
def test_a_stream_of_which_nothing_would_come_is_refused(ask, redis, params, why):
    async def conversation(socket):
        await socket.send_json({"method": "SUBSCRIBE", "params": params, "id": 1})
        refusal = await socket.receive_json(timeout=5)
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 2})
        assert (await socket.receive_json(timeout=5))["result"] == []
        return refusal

    refusal = talk(ask, "/ws", conversation)
    assert (refusal["code"], refusal["id"]) == (2, 1)
    assert refusal["msg"].startswith(f"Invalid request: {why}")


def test_one_that_stands_in_the_address_ends_the_connection_and_says_why(ask, redis):
    async def conversation(socket):
        message = await socket.receive(timeout=5)
        return message.type, socket.close_code, message.extra

    kind, code, why = talk(ask, "/ws/btcusd@trade", conversation)
    assert (kind, code) == (WSMsgType.CLOSE, 1008)
    assert why.startswith("btcusd@trade is not served here")


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"id":1}', '{"method":"FLY","id":1}'])
def test_nonsense_gets_an_error_and_costs_nothing_else(ask, redis, text):
    async def conversation(socket):
        await socket.send_str(text)
        refusal = await socket.receive_json(timeout=5)
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 2})
        assert (await socket.receive_json(timeout=5))["result"] == []
        return refusal

    assert talk(ask, "/ws", conversation)["code"] in (2, 3)


def test_more_than_five_messages_a_second_end_it(ask, redis):
    async def conversation(socket):
        for number in range(8):
            await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})
        while (await socket.receive(timeout=5)).type == WSMsgType.TEXT:
            pass
        return socket.close_code

    assert talk(ask, "/ws", conversation) == 1008


def test_a_ping_is_answered_with_what_it_held(ask, redis):
    async def conversation(socket):
        await socket.ping(b"hello")
        return await socket.receive(timeout=5)

    async def held():
        async with ask() as client, client.ws_connect("/sandbox/ws", autoping=False) as socket:
            return await conversation(socket)

    message = asyncio.run(held())
    assert (message.type, message.data) == (WSMsgType.PONG, b"hello")


def with_small_buffer(host, port, family):
    """Return a listening socket of a system that keeps little of what was not read."""
    listener = socket.create_server((host, port), family=family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    return listener


def test_a_slow_reader_is_dropped_with_a_code_and_delays_nobody(ask, redis, monkeypatch):
    monkeypatch.setattr("serving.binance.socket.LONGEST_UNSENT", 20_000)
    monkeypatch.setattr("serving.binance.socket.SECONDS_TO_READ", 60.0)

    async def read_until(socket, close):
        while not (await socket.receive_json(timeout=10))["k"]["c"].startswith(close):
            pass

    async def held():
        async with ask(socket_factory=with_small_buffer) as client:
            slow = await client.ws_connect(f"/sandbox/ws/{STREAM}")
            async with client.ws_connect(f"/sandbox/ws/{STREAM}") as quick:
                await until_received(redis, quick)
                slow._conn.protocol.pause_reading()
                for number in range(20, 2_001):
                    tell_open(redis, NOW, float(number))
                    if not number % 20:
                        await read_until(quick, f"{number}.")
                slow._conn.protocol.resume_reading()
                while (await slow.receive(timeout=10)).type == WSMsgType.TEXT:
                    pass
                return slow.close_code

    assert asyncio.run(held()) == 1008


def test_what_is_no_candle_and_no_ticker_stops_nothing(ask, redis):
    ticker = keys.ticker_channel(4, "BTC-USD")

    async def conversation(socket):
        await until_received(redis, socket)
        for channel in (ticker, keys.candle_channel(4, "BTC-USD", "1m")):
            for text in (b"{", b"[]", b"{}", b'{"timestamp":"x","price":[]}'):
                redis.publish(channel, text)
        for text in (b"{", b"{}", b'{"symbol":"BTC-USD","timeframe":"1m","timestamp":"soon"}'):
            redis.xadd(keys.events(4), {"event": text})
        tell_close(redis, NOW)
        return await next_kline(socket, closed=True)

    names = f"{STREAM}/btcusd@ticker"
    assert talk(ask, f"/stream?streams={names}", conversation)["k"]["t"] == NOW


def test_who_asks_again_for_what_it_gave_up_just_now_gets_it(ask, redis):
    async def conversation(socket):
        await until_received(redis, socket)
        for method in ("UNSUBSCRIBE", "SUBSCRIBE"):
            await socket.send_json({"method": method, "params": [STREAM], "id": 1})
        replies = 0
        while replies < 2:
            replies += "result" in await socket.receive_json(timeout=5)
        return await until_received(redis, socket)

    assert talk(ask, f"/ws/{STREAM}", conversation)["k"]["t"] == NOW


def test_an_exchange_may_be_called_like_a_path(ask, redis):
    async def held():
        directory = FixedDirectory(replace(ROW, name="streams"))
        async with ask(directory) as client, client.ws_connect("/streams/ws") as socket:
            await socket.send_json({"method": "SUBSCRIBE", "params": [STREAM], "id": 1})
            assert await socket.receive_json(timeout=5) == {"result": None, "id": 1}
            return await until_received(redis, socket)

    assert asyncio.run(held())["e"] == "kline"


def test_where_nobody_streams_nobody_is_left_waiting(ask, redis, monkeypatch):
    monkeypatch.setattr("serving.binance.socket.PING_SECONDS", 0.5)

    async def held():
        async with ask() as client:
            async with client.ws_connect("/sandbox/ws") as socket:
                redis.delete(keys.status(4))
                message = await socket.receive(timeout=10)
                ended = message.type, socket.close_code
            answer = await client.get("/sandbox/ws")
            return ended, answer.status, (await answer.json())["msg"]

    ended, status, why = asyncio.run(held())
    assert ended == (WSMsgType.CLOSE, 1013)
    assert (status, why) == (503, "nobody streams sandbox now")


def test_a_close_that_is_told_late_is_no_close_of_now(ask, redis):
    async def conversation(socket):
        await until_received(redis, socket)
        late = candle(NOW - 60 * M1.ms, closed=True) | {"healed": True, "late": True}
        redis.xadd(keys.events(4), {"event": orjson.dumps(late)})
        tell_close(redis, NOW)
        return await next_kline(socket, closed=True)

    assert talk(ask, f"/ws/{STREAM}", conversation)["k"]["t"] == NOW
