import json

from livermore.market.candle import Ticker
from warmup.cache.tickers import TickerCache

T0 = 1_790_000_040_000  # a minute's boundary
TICKER = Ticker("BTC-USD", 65000.5, -120.0, -0.18, 66000.0, 64000.0, 812.5, T0)


def test_a_ticker_is_stored_for_a_minute_in_the_form_readers_know(redis):
    TickerCache(redis, 7).write_many([TICKER])
    assert json.loads(redis.get("ticker:7:BTC-USD")) == {
        "symbol": "BTC-USD",
        "price": 65000.5,
        "change24h": -120.0,
        "changePercent24h": -0.18,
        "high24h": 66000.0,
        "low24h": 64000.0,
        "volume24h": 812.5,
        "timestamp": T0,
    }
    assert 55 < redis.ttl("ticker:7:BTC-USD") <= 60
    assert TickerCache(redis, 7).read("BTC-USD") == TICKER
    assert TickerCache(redis, 7).read("ETH-USD") is None


def test_a_ticker_is_published_on_its_channel(redis):
    with redis.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe("channel:ticker:7:BTC-USD")
        listener.get_message(timeout=5)
        TickerCache(redis, 7).write_many([TICKER])
        message = listener.get_message(timeout=5)
    assert json.loads(message["data"])["price"] == 65000.5
