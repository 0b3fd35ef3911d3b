"""Streams of longer timeframes over a real Redis and a real socket."""

import orjson

from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.derived import DERIVED
from livermore.market.timeframe import Timeframe
from tests.serving.binance.test_socket import (
    NOW,
    candle,
    next_kline,
    talk,
    tell_close,
    tell_open,
)
from warmup.cache.candles import CandleCache

M1 = Timeframe.M1
THREE = DERIVED["3m"]
NEXT = THREE.floor(NOW) + THREE.ms  # nothing is known of it before it is told here
STREAM = "btcusd@kline_3m"


async def until_it_comes(redis, socket, opened=NEXT):
    while True:
        tell_open(redis, opened, 101.0)
        try:
            return await socket.receive_json(timeout=0.2)
        except TimeoutError:
            continue


def test_a_bar_is_told_while_it_grows_and_closed_once_with_its_last_part(ask, redis):
    async def conversation(socket):
        first = await until_it_comes(redis, socket)
        for at in range(3):
            tell_close(redis, NEXT + at * M1.ms)
        tell_open(redis, NEXT + THREE.ms, 99.0)
        told = [first]
        while told[-1]["k"]["t"] == NEXT:
            told.append(await socket.receive_json(timeout=5))
        return told

    told = talk(ask, f"/ws/{STREAM}", conversation)
    assert {(each["k"]["i"], each["s"]) for each in told} == {("3m", "BTCUSD")}
    assert [each["k"]["t"] for each in told if each["k"]["x"]] == [NEXT]
    assert told[-2]["k"]["x"]
    closed = told[-2]["k"]
    assert (closed["T"], closed["v"]) == (NEXT + THREE.ms - 1, "4.50000000")
    assert (closed["o"], closed["c"]) == ("100.50000000", "101.50000000")


def test_no_close_is_told_while_a_part_is_missing_and_one_once_it_is_there(ask, redis):
    def stored(*numbers):
        rows = [Candle(NEXT + at * M1.ms, 100.5, 102, 99, 101.5, 1.5, M1) for at in numbers]
        known = [(row.timestamp, row.close_time_ms) for row in rows]
        CandleCache(redis, 4).write("BTC-USD", M1, rows, known)

    async def conversation(socket):
        await until_it_comes(redis, socket)
        stored(0, 2)
        for at in (0, 2):
            tell_close(redis, NEXT + at * M1.ms)
        told = []
        while not any(each["k"]["t"] > NEXT for each in told):  # the next one's turn has come
            tell_open(redis, NEXT + THREE.ms, 99.0)
            try:
                told.append(await socket.receive_json(timeout=0.2))
            except TimeoutError:
                stored(1)  # it is healed, and told late or not at all
        return [(each["k"]["t"], each["k"]["x"], each["k"]["v"]) for each in told]

    told = talk(ask, f"/ws/{STREAM}", conversation)
    assert [each for each in told if each[1]] == [(NEXT, True, "4.50000000")]


def test_who_listens_to_a_timeframe_and_to_what_it_is_made_of_is_told_both(ask, redis):
    async def conversation(socket):
        first = await until_it_comes(redis, socket)
        await socket.send_json({"method": "UNSUBSCRIBE", "params": ["btcusd@kline_1m"], "id": 1})
        while (frame := await socket.receive_json(timeout=5)).get("id") != 1:
            pass
        for at in range(3):
            tell_close(redis, NEXT + at * M1.ms)
        return first, frame, await next_kline(socket, True)

    _, _, closed = talk(ask, f"/stream?streams=btcusd@kline_1m/{STREAM}", conversation)
    assert (closed["k"]["i"], closed["k"]["t"]) == ("3m", NEXT)


def test_a_message_that_is_odd_stops_no_bar(ask, redis):
    async def conversation(socket):
        await until_it_comes(redis, socket)
        for odd in ({"volume": True}, {"timestamp": NEXT + 1}, {"quoteVolume": "x"}):
            text = orjson.dumps(candle(NEXT, closed=True) | odd)
            redis.publish(keys.candle_channel(4, "BTC-USD", "1m"), orjson.dumps(odd))
            redis.xadd(keys.events(4), {"event": text})
        for at in range(6):
            tell_close(redis, NEXT + at * M1.ms)
        while (frame := await next_kline(socket, True))["k"]["t"] < NEXT + THREE.ms:
            pass
        return frame["k"]

    assert talk(ask, f"/ws/{STREAM}", conversation)["t"] == NEXT + THREE.ms
