"""What an outsider sees of a sink: what is stored, and what was told."""

import json
import time

from livermore.market import keys
from tests.warmup.live.sink.played import (
    BTC,
    EXCHANGE,
    M1,
    NOW,
)
from warmup.cache.candles import CANDLES_KEPT


def tick_until(sink, condition):
    deadline = time.monotonic() + 40
    sink.tick()
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.002)
        sink.tick()


def wait_until(condition):
    deadline = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.002)


def events(redis):
    return [json.loads(fields[b"event"]) for _, fields in redis.xrange(keys.events(EXCHANGE))]


def told(redis, symbol=BTC, timeframe=M1):
    """Return the bars of a pair in the events stream, and whether they were healed."""
    return [
        ((event["timestamp"] - NOW) // timeframe.ms, event["healed"])
        for event in events(redis)
        if (event["symbol"], event["timeframe"]) == (symbol, timeframe)
    ]


def stored(cache, symbol=BTC, timeframe=M1):
    found = cache.newest(symbol, timeframe, CANDLES_KEPT)
    return [((each.timestamp - NOW) // timeframe.ms, each.volume) for each in found]


def late(redis):
    return [(event["timestamp"] - NOW) // M1.ms for event in events(redis) if event.get("late")]
