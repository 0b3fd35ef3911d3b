"""A pair that a browser has open."""

import time

import orjson
import pytest

from livermore.asgi import application
from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.timeframe import Timeframe
from tests.warmup.network.socket.feed.minutes import minutes
from tests.warmup.network.sockets import browsing, in_a_loop, kind, open_pair, wait_until
from warmup.cache.candles import CandleCache

pytestmark = pytest.mark.django_db

M1 = Timeframe.M1


@in_a_loop
async def test_a_pair_that_is_opened_is_told_whole_and_then_by_what_changes(
    redis, exchange, session
):
    end_ms = M1.floor(int(time.time() * 1000))
    cache = CandleCache(redis, exchange.pk)
    cache.write("BTC-USD", M1, minutes(100, end_ms), ((end_ms - 100 * M1.ms, end_ms),))
    async with browsing(application, session) as browser:
        first = await open_pair(browser, exchange)
        assert len(first["candles"]) == len(first["macdv"]) == 100
        assert first["live"] is None
        new = Candle(end_ms, 1.0, 2.0, 0.5, 1.75, 4.0, M1)
        cache.set_live("BTC-USD", new)
        redis.publish(keys.candle_channel(exchange.pk, "BTC-USD", M1), b"{}")
        message = await browser.until(kind("pair"))
        assert (message["candles"], message["live"]) == ([], new.values())
        cache.write("BTC-USD", M1, [new], ((end_ms, end_ms + M1.ms),))
        redis.publish(keys.candle_channel(exchange.pk, "BTC-USD", M1), b"{}")
        message = await browser.until(kind("pair"))
        assert message["candles"] == [new.values()]
        assert [point[0] for point in message["macdv"]] == [end_ms]


@in_a_loop
async def test_a_pair_is_told_to_those_who_have_it_open(redis, exchange, session):
    async with browsing(application, session) as browser, browsing(application, session) as other:
        await open_pair(browser, exchange)
        await open_pair(other, exchange, "ETH-USD")
        await open_pair(other, exchange, "ETH-USD", "1h")  # closes the one before
        channels = {name.decode() for name in redis.pubsub_channels("channel:[ci]*")}
        pairs = [("BTC-USD", "1m"), ("ETH-USD", "1h")]
        names = (keys.candle_channel, keys.indicator_channel)
        assert channels == {name(exchange.pk, *pair) for name in names for pair in pairs}
        redis.set(keys.indicator(exchange.pk, "BTC-USD", "1m"), orjson.dumps({"value": 1}))
        redis.publish(keys.indicator_channel(exchange.pk, "BTC-USD", "1m"), b"{}")
        assert (await browser.until(kind("pair")))["indicator"] == {"value": 1}
        await browser.say(type="close-pair")
        await wait_until(lambda: len(redis.pubsub_channels("channel:[ci]*")) == 2)
        told = [message["symbol"] for message in other.messages if message["type"] == "pair"]
        assert told == ["ETH-USD", "ETH-USD"]


@in_a_loop
async def test_who_opens_a_pair_is_told_its_newest_candles(redis, exchange, session):
    end_ms = M1.floor(int(time.time() * 1000))
    span = ((end_ms - 400 * M1.ms, end_ms),)
    CandleCache(redis, exchange.pk).write("BTC-USD", M1, minutes(400, end_ms), span)
    async with browsing(application, session) as browser:
        first = await open_pair(browser, exchange)
    newest = [end_ms - at * M1.ms for at in range(300, 0, -1)]
    assert [row[0] for row in first["candles"]] == newest
    assert [point[0] for point in first["macdv"]] == newest
