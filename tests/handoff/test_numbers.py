"""What a symbol costs, as the hand-over says, measured."""

import random
import re

import orjson
import pytest

from exchanges.venues.binance.rest import BinanceRest
from exchanges.venues.binance.stream import BinanceStream
from exchanges.venues.coinbase.stream import CoinbaseStream
from livermore.market import keys
from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from tests.handoff.documents import DOCS
from warmup.cache.candles import CANDLES_KEPT

TEXT = (DOCS / "handoff-binance-us.md").read_text()


def numbers(row):
    """Return the numbers in a row of the table, a list for each venue."""
    cells = re.search(rf"^\| {re.escape(row)}.*?\|(.*)\|(.*)\|$", TEXT, re.M).groups()
    return [
        [float(each.replace(",", "")) for each in re.findall(r"\d[\d,.]*\d|\d", cell)]
        for cell in cells
    ]


def topics(stream, count):
    """Return how many topics so many symbols take."""
    names = [f"S{number}-USD" for number in range(count)]
    one = object.__new__(stream)
    one._native_symbols = {name: name.replace("-", "") for name in names}
    one._streamed_as = {name: name for name in names}
    return len(stream.topics(one, names))


def test_streams_and_symbols_on_a_connection():
    (binance, binance_most), (coinbase, coinbase_most) = zip(
        numbers("streams"), numbers("symbols on one connection"), strict=True
    )
    assert topics(BinanceStream, 50) == 50 * binance[0] + 1
    assert topics(CoinbaseStream, 50) == 50 * coinbase[0]
    for stream, (most, limit, *_) in (
        (BinanceStream, binance_most),
        (CoinbaseStream, coinbase_most),
    ):
        assert stream.limits.topics_per_connection == limit
        assert topics(stream, int(most)) <= limit < topics(stream, int(most) + 1)


def test_calls_and_weight_of_a_warmup():
    binance, coinbase = numbers("calls of its first warmup")
    assert binance == [len(LONGEST_FIRST), len(LONGEST_FIRST) * BinanceRest.candle_weight]
    assert coinbase == [len(LONGEST_FIRST)]


@pytest.mark.parametrize("has_columns", [True, False], ids=["binance", "coinbase"])
def test_bytes_in_redis(redis, has_columns):
    kilobytes, megabytes = numbers("in Redis")[0 if has_columns else 1]
    key, rng = keys.candles(1, "BTC-USD", Timeframe.H1), random.Random(1)
    for number in range(CANDLES_KEPT):
        prices = [round(66_000 + 1000 * rng.random(), 2) for _ in range(4)]
        row = [number * Timeframe.H1.ms + 1_700_000_400_000, *prices, round(rng.random(), 5)]
        if has_columns:
            traded = [round(1_000_000 * rng.random(), 8) for _ in range(2)]
            row += [traded[0], rng.randrange(20_000), round(rng.random(), 5), traded[1]]
        redis.zadd(key, {orjson.dumps(row): row[0]})
    measured = redis.memory_usage(key, samples=0)
    assert abs(measured / 1000 - kilobytes) < 0.15 * kilobytes
    assert abs(6 * kilobytes / 1000 - megabytes) < 0.01
