"""Many sockets, and many streams of one."""

import asyncio
import itertools
import socket
from dataclasses import replace

import aiohttp
import orjson
import websocket
from aiohttp import WSMsgType

from livermore.market import keys
from livermore.market.derived import BY_TEXT
from tests.serving.binance.test_socket import (
    NOW,
    STREAM,
    candle,
    next_kline,
    tell_open,
    until_received,
    with_small_buffer,
)
from tests.serving.conftest import ROW, FixedDirectory, say_streamed
from tests.serving.serving import served

SLOW, QUICK = 15, 30


def small(address):
    """Return a socket for a connection whose system keeps little that was not read."""
    made = socket.socket(*address[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return made


def test_those_that_do_not_read_are_dropped_with_a_code_and_delay_nobody(ask, redis, monkeypatch):
    monkeypatch.setattr("serving.binance.socket.LONGEST_UNSENT", 20_000)
    monkeypatch.setattr("serving.binance.socket.SECONDS_TO_READ", 60.0)

    async def read_until(reader, close):
        while not (await reader.receive_json(timeout=10))["k"]["c"].startswith(close):
            pass

    async def until_ended(reader):
        while (await reader.receive(timeout=10)).type == WSMsgType.TEXT:
            pass
        return reader.close_code

    async def held():
        connector = aiohttp.TCPConnector(socket_factory=small, limit=0)
        async with (
            ask(socket_factory=with_small_buffer) as client,
            aiohttp.ClientSession(connector=connector) as session,
        ):
            address = client.make_url(f"/sandbox/ws/{STREAM}")
            slow = [await session.ws_connect(address) for _ in range(SLOW)]
            quick = [await session.ws_connect(address) for _ in range(QUICK)]
            await until_received(redis, quick[0])
            for each in slow:
                each._conn.protocol.pause_reading()
            for number in range(20, 421):
                tell_open(redis, NOW, float(number))
                if not number % 20:  # all of them have it before the next ones are told
                    await asyncio.gather(*(read_until(each, f"{number}.") for each in quick))
            for each in slow:
                each._conn.protocol.resume_reading()
            return await asyncio.gather(*map(until_ended, slow)), [each.closed for each in quick]

    codes, have_ended = asyncio.run(held())
    assert codes == [1008] * SLOW
    assert not any(have_ended)


def names():
    """Yield more names of streams than one connection may listen to."""
    for letters in itertools.product("bB", "tT", "cC", "uU", "sS", "dD"):
        for timeframe, zone in itertools.product(BY_TEXT, ("", "@+08:00")):
            if not zone or timeframe not in ("6h", "12h", "1d"):
                yield f"{''.join(letters)}@kline_{timeframe}{zone}"


def test_an_address_may_name_1024_streams_and_no_more(redis):
    say_streamed(redis)
    with served(redis, directory=FixedDirectory()) as url:
        address = url.replace("http", "ws") + "/sandbox/stream?streams="
        wanted = list(itertools.islice(names(), 1025))
        most = websocket.create_connection(address + "/".join(wanted[:1024]), timeout=20)
        most.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
        kind, data = most.recv_data()
        assert kind == websocket.ABNF.OPCODE_TEXT, data
        assert orjson.loads(data)["result"] == wanted[:1024]
        most.close()
        more = websocket.create_connection(address + "/".join(wanted), timeout=20)
        kind, data = more.recv_data()
        assert (kind, data[2:]) == (websocket.ABNF.OPCODE_CLOSE, b"Too many subscriptions")
        more.close()


def test_exchanges_with_the_same_symbol_are_told_apart(ask, redis):
    directory = FixedDirectory()
    other = replace(ROW, exchange_id=5, name="other")
    directory.exchanges[other.name] = other
    say_streamed(redis, other.exchange_id)

    async def held():
        async with (
            ask(directory) as client,
            client.ws_connect(f"/sandbox/ws/{STREAM}") as one,
            client.ws_connect(f"/other/ws/{STREAM}") as two,
        ):
            await until_received(redis, one)
            for number in (4, 5):
                event = candle(NOW, closed=True) | {"exchangeId": number}
                redis.xadd(keys.events(number), {"event": orjson.dumps(event)})
            return [await next_kline(each, True) for each in (one, two)]

    assert [each["k"]["t"] for each in asyncio.run(held())] == [NOW, NOW]
