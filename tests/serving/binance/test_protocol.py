"""What Binance's documentation says of WebSockets (web-socket-streams.md), line by line."""

import asyncio
import time

import orjson
import pytest
from aiohttp import WSMsgType

from exchanges.venues.binance.server.commands import METHODS
from livermore.market import keys
from tests.serving.binance.test_socket import NOW, STREAM, talk, tell_close, until_received

EXPECTED = ", ".join(f"`{each}`" for each in METHODS)
BOTH = [STREAM, "btcusd@miniTicker"]


async def asked(socket, *messages):
    """Return what each of these is answered, as the bytes of a text are sent as they are."""
    answers = []
    for message in messages:
        text = message if isinstance(message, str) else orjson.dumps(message).decode()
        await socket.send_str(text)
        answers.append(await socket.receive_json(timeout=5))
    return answers


def refusal(code, message, **others):
    return {"code": code, "msg": message} | others


def command(method, params=None, request_id=1):
    return {"method": method, "params": params, "id": request_id} if params is not None else {
        "method": method, "id": request_id
    }  # fmt: skip


ONE = command("SUBSCRIBE", [STREAM])


MESSAGES = [
    ([ONE], {"result": None, "id": 1}),
    ([command("SUBSCRIBE", BOTH, "as-many-as-36-letters-and-numbers-01")],
     {"result": None, "id": "as-many-as-36-letters-and-numbers-01"}),
    ([command("SUBSCRIBE", BOTH, None)], {"result": None, "id": None}),
    ([command("SUBSCRIBE", BOTH, -(2**63))], {"result": None, "id": -(2**63)}),
    ([command("SUBSCRIBE", BOTH), command("LIST_SUBSCRIPTIONS", None, 3)],
     {"result": BOTH, "id": 3}),
    ([command("SUBSCRIBE", ["!miniTicker@arr", "!miniTicker@arr@1000ms"])],
     {"result": None, "id": 1}),
    ([ONE, ONE, command("LIST_SUBSCRIPTIONS")], {"result": [STREAM], "id": 1}),
    ([command("SUBSCRIBE", BOTH), command("UNSUBSCRIBE", BOTH[:1], 312)],
     {"result": None, "id": 312}),
    ([command("SUBSCRIBE", BOTH), command("UNSUBSCRIBE", BOTH[:1]),
      command("LIST_SUBSCRIPTIONS")], {"result": BOTH[1:], "id": 1}),
    ([command("UNSUBSCRIBE", [STREAM])], {"result": None, "id": 1}),
    ([command("GET_PROPERTY", ["combined"], 2)], {"result": False, "id": 2}),
    ([command("SET_PROPERTY", ["combined", True], 5)], {"result": None, "id": 5}),
    ([command("SET_PROPERTY", ["combined", True]), command("GET_PROPERTY", ["combined"])],
     {"result": True, "id": 1}),
    ([command("SET_PROPERTY", ["compressed", True], 4)], refusal(0, "Unknown property", id=4)),
    ([command("GET_PROPERTY", ["compressed"], 4)], refusal(0, "Unknown property", id=4)),
    ([command("SET_PROPERTY", ["combined", "true"])],
     refusal(1, "Invalid value type: expected Boolean", id=1)),
    ([command("SET_PROPERTY", [True, True])],
     refusal(2, "Invalid request: property name must be a string", id=1)),
    ([command("SET_PROPERTY", [])],
     refusal(2, "Invalid request: property name must be a string", id=1)),
    ([command("SET_PROPERTY", ["combined", True, 1])],
     refusal(2, "Invalid request: too many parameters", id=1)),
    ([command("GET_PROPERTY", ["combined", 1])],
     refusal(2, "Invalid request: too many parameters", id=1)),
    *(([command("SUBSCRIBE", BOTH, odd)],
       refusal(2, "Invalid request: request ID must be an unsigned integer"))
      for odd in (1.5, True, [], {}, 2**63, "x" * 37)),
    (['{"method":"SUBSCRIBED","params":[],"id":1}'],
     refusal(2, "Invalid request: unknown variant `SUBSCRIBED`, expected one of "
                f"{EXPECTED} at line 1 column 22", id=1)),
    (['{"params":["btcusd@kline_1m"],"id":7}'],
     refusal(2, "Invalid request: missing field `method` at line 1 column 37", id=7)),
    (['{\n"id":7\n}'],
     refusal(2, "Invalid request: missing field `method` at line 3 column 1", id=7)),
    (["ping"], refusal(3, "Invalid JSON: expected value at line 1 column 1")),
    (['{"method":\n  SUBSCRIBE}'],
     refusal(3, "Invalid JSON: expected value at line 2 column 3")),
]  # fmt: skip

IN_UTC = "its bars open by UTC alone"
KINDS = "there are kline_<interval>, ticker and miniTicker"
INTERVALS = "klines are of 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d"
ALL_MINI = "of all symbols there is !miniTicker@arr"
NOT_KEPT = {
    **{f"btcusd@kline_{each}": INTERVALS for each in ("1s", "3d", "1w", "1M", "7m")},
    "btcusd@bookTicker": "no bids and asks are kept",
    "!ticker@arr": ALL_MINI, "!ticker_1h@arr": ALL_MINI, "!bookTicker": ALL_MINI,
    **{f"btcusd@kline_{each}@+08:00": IN_UTC for each in ("6h", "12h", "1d")},
    "btcusd@kline_1h@+09:00": KINDS,
    **{
        f"btcusd@{each}": KINDS
        for each in ("trade", "aggTrade", "depth", "depth5@100ms", "avgPrice", "ticker_1h",
                     "referencePrice", "blockTrade", "KLINE_1m", "kline_", "miniTicker@+08:00")
    },
}  # fmt: skip


def said_to(ask, conversations):
    """Return the last answer of each of these, on a connection of its own to one server."""

    async def held():
        async with ask() as client:
            found = []
            for messages in conversations:
                async with client.ws_connect("/sandbox/ws") as socket:
                    found.append((await asked(socket, *messages))[-1])
            return found

    return asyncio.run(held())


def test_each_message_is_answered_as_the_documentation_says(ask):
    found = said_to(ask, [messages for messages, _ in MESSAGES])
    for (messages, answer), given in zip(MESSAGES, found, strict=True):
        assert given == answer, messages


def test_a_stream_that_is_not_kept_is_refused_and_why(ask):
    found = said_to(ask, [[command("SUBSCRIBE", [name])] for name in NOT_KEPT])
    for (name, why), given in zip(NOT_KEPT.items(), found, strict=True):
        assert given == refusal(2, f"Invalid request: {name} is not served here: {why}", id=1)


@pytest.mark.parametrize("name", ["BTCUSD@kline_1m", "btc-usd@kline_1m", "btcusd@kline_1m@+08:00"])
def test_a_stream_may_be_called_by_several_names_and_each_is_told_by_its_own(ask, redis, name):
    async def conversation(socket):
        await asked(socket, command("SUBSCRIBE", [STREAM, name]))
        await until_received(redis, socket)
        tell_close(redis, NOW)
        both = []
        while len(both) < 2:
            told = await socket.receive_json(timeout=5)
            both += [told["stream"]] if told["data"]["k"]["x"] else []
        await asked(socket, command("UNSUBSCRIBE", [STREAM]))
        tell_close(redis, NOW + 60_000)
        return both, await socket.receive_json(timeout=5)

    both, told = talk(ask, "/stream", conversation)
    assert sorted(both) == sorted([STREAM, name])
    assert (told["stream"], told["data"]["k"]["x"]) == (name, True)


@pytest.mark.parametrize("unit", ["MICROSECOND", "microsecond", "MILLISECOND"])
def test_times_come_in_the_unit_that_the_address_names(ask, redis, unit):
    ticker = {
        "symbol": "BTC-USD", "price": 2.5, "change24h": 0.5, "changePercent24h": 25.0,
        "high24h": 3.0, "low24h": 1.5, "volume24h": 7.0, "timestamp": NOW,
    }  # fmt: skip

    async def conversation(socket):
        frame = await until_received(redis, socket)
        redis.publish(keys.ticker_channel(4, "BTC-USD"), orjson.dumps(ticker))
        while (told := (await socket.receive_json(timeout=5))["data"])["e"] != "24hrTicker":
            pass
        return frame["data"], told

    path = f"/stream?streams={STREAM}/btcusd@ticker&timeUnit={unit}"
    kline, day = talk(ask, path, conversation)
    length = 13 if unit == "MILLISECOND" else 16
    end = str(NOW + 59_999).ljust(length, "9")
    times = (kline["E"], kline["k"]["t"], kline["k"]["T"], day["E"], day["C"])
    assert [len(str(each)) for each in times] == [length] * 5
    assert [str(kline["k"]["t"]), str(kline["k"]["T"])] == [str(NOW).ljust(length, "0"), end]
    assert kline["k"]["c"] == "101.00000000"


@pytest.mark.parametrize("unit", ["SECOND", "Microsecond", ""])
def test_another_unit_is_refused_by_streams_as_by_rest(ask, unit):
    async def held():
        async with ask() as client:
            path = f"/sandbox/stream?streams={STREAM}&timeUnit={unit}"
            answer = await client.get(path)
            headers = {"X-MBX-TIME-UNIT": unit}
            of_rest = await client.get("/sandbox/api/v3/time", headers=headers)
            return answer.status, await answer.json(), of_rest.status, await of_rest.json()

    text = "Invalid value for time unit; expected either MICROSECOND or MILLISECOND."
    assert asyncio.run(held()) == (400, refusal(-1194, text)) * 2


def test_1024_streams_are_as_many_as_one_connection_listens_to(ask, monkeypatch):
    monkeypatch.setattr("serving.binance.socket.STREAMS", 3)
    four = [STREAM, "btcusd@kline_5m", "btcusd@kline_3m", "btcusd@ticker"]

    async def conversation(socket):
        return await asked(
            socket,
            command("SUBSCRIBE", four[:3]),
            command("SUBSCRIBE", four[2:]),
            command("LIST_SUBSCRIPTIONS"),
        )

    _, too_many, listed = talk(ask, "/ws", conversation)
    assert too_many == {"error": {"code": 4, "msg": "Too many subscriptions"}, "id": 1}
    assert listed["result"] == four[:3]

    async def refused(socket):
        message = await socket.receive(timeout=5)
        return message.type, socket.close_code, message.extra

    path = f"/stream?streams={'/'.join(four)}"
    assert talk(ask, path, refused) == (WSMsgType.CLOSE, 1008, "Too many subscriptions")


@pytest.mark.parametrize("kind", ["ping", "pong", "text"])
def test_the_sixth_message_of_a_second_ends_it_whatever_it_is(ask, kind):
    async def held():
        async with ask() as client, client.ws_connect("/sandbox/ws", autoping=False) as socket:
            for _ in range(8):
                if kind == "text":
                    await socket.send_json(command("LIST_SUBSCRIPTIONS"))
                else:
                    await getattr(socket, kind)(b"")
            while (message := await socket.receive(timeout=5)).type not in ENDS:
                pass
            return message.type, socket.close_code

    assert asyncio.run(held()) == (WSMsgType.CLOSE, 1008)


ENDS = (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR)


@pytest.mark.parametrize("answers", ["copies", "empty", "nothing"])
def test_pings_have_to_be_answered_with_what_they_hold(ask, monkeypatch, answers):
    monkeypatch.setattr("serving.binance.socket.PING_SECONDS", 0.25)
    monkeypatch.setattr("serving.binance.socket.PONG_SECONDS", 0.5)

    async def held():
        pings = []
        async with ask() as client, client.ws_connect("/sandbox/ws", autoping=False) as socket:
            while len(pings) < 6 and (found := await socket.receive(timeout=5)).type not in ENDS:
                assert found.type == WSMsgType.PING
                pings.append(found.data)
                if answers != "nothing":
                    await socket.pong(found.data if answers == "copies" else b"")
            return pings, socket.close_code

    pings, code = asyncio.run(held())
    assert all(abs(int(each) / 1000 - time.time()) < 10 for each in pings)
    if answers == "copies":
        assert (len(pings), code) == (6, None)
    else:
        assert (len(pings) < 6, code) == (True, 1008)


@pytest.mark.parametrize("path", [f"/ws/{STREAM}", f"/stream?streams={STREAM}"])
def test_a_server_that_ends_says_so_before_it_closes(ask, path):
    async def held():
        client = ask()
        await client.start_server()
        socket = await client.ws_connect(f"/sandbox{path}")
        await socket.send_json(command("LIST_SUBSCRIPTIONS"))
        await socket.receive_json(timeout=5)
        ending = asyncio.create_task(client.server.close())
        told = await socket.receive_json(timeout=5)
        message = await socket.receive(timeout=5)
        await ending
        await client.close()
        return told, message.type, socket.close_code

    told, kind, code = asyncio.run(held())
    assert (kind, code) == (WSMsgType.CLOSE, 1001)
    if path.startswith("/stream"):
        assert told["stream"] == "!serverShutdown"
        told = told["data"]
    assert abs(told.pop("E") - time.time() * 1000) < 10_000
    assert told == {"e": "serverShutdown"}


def test_a_message_that_is_too_long_ends_it(ask):
    async def conversation(socket):
        await socket.send_json(command("SUBSCRIBE", [STREAM] * 400))
        message = await socket.receive(timeout=5)
        return message.type, socket.close_code

    assert talk(ask, "/ws", conversation) == (WSMsgType.CLOSE, 1009)


def test_mini_tickers_of_all_symbols_come_together(ask, redis, monkeypatch):
    monkeypatch.setattr("serving.streams.feed.SECONDS_BETWEEN_ALL", 0.1)
    told = {
        "symbol": "BTC-USD", "price": 2.5, "change24h": 0.5, "changePercent24h": 25.0,
        "high24h": 3.0, "low24h": 1.5, "volume24h": 7.0, "timestamp": NOW,
    }  # fmt: skip

    async def conversation(socket):
        while True:
            for odd in (told, {"symbol": ["BTC-USD"]}, {"all": 1}, told | {"price": 2.75}):
                redis.publish(keys.ticker_channel(4, "BTC-USD"), orjson.dumps(odd))
            try:
                return await socket.receive_json(timeout=0.3)
            except TimeoutError:
                continue

    frame = talk(ask, "/stream?streams=!miniTicker@arr", conversation)
    assert frame["stream"] == "!miniTicker@arr"
    ((mini),) = frame["data"]
    assert abs(mini.pop("E") - time.time() * 1000) < 10_000
    assert mini == {
        "e": "24hrMiniTicker", "s": "BTCUSD", "c": "2.75000000", "o": "2.25000000",
        "h": "3.00000000", "l": "1.50000000", "v": "7.00000000", "q": None,
    }  # fmt: skip


def test_where_redis_does_not_tell_its_newest_close_nobody_is_let_in(ask, redis, monkeypatch):
    async def held():
        async with ask() as client:
            with monkeypatch.context() as without:
                without.setattr("serving.streams.closes.SECONDS_TO_BEGIN", -1)
                async with client.ws_connect(f"/sandbox/ws/{STREAM}") as socket:
                    message = await socket.receive(timeout=5)
                    refused = message.type, socket.close_code, message.extra
            async with client.ws_connect(f"/sandbox/ws/{STREAM}") as socket:
                return refused, await until_received(redis, socket)

    refused, frame = asyncio.run(held())
    assert refused == (WSMsgType.CLOSE, 1013, "the cache can't be read")
    assert frame["k"]["t"] == NOW
