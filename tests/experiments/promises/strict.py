"""Whatever goes wrong with an exchange, `strict` hands out what is complete and fresh, or nothing.

Two exchanges run, by a proxy, and a reader of each, from Redis and from `serve`, asks for closed
candles all the time, while the sandbox's faults come and go: all of them, in each of their ways, in
orders that are drawn; every other time one is followed by the next before it is over; and two at a
time. What is handed out is compared with the sandbox's truth. Where REST goes wrong the stream
loses half of its closes, so that REST is asked. Rows that REST leaves out between others are left
out of Binance's answers alone where anything else goes wrong with it: Coinbase says so that nothing
was traded, and where its stream is cut nobody else tells. Where they are left out of Coinbase's
too, all is streamed again before: a fault that is over may have cut the streams for longer.
`tests/reader/test_strict_over_faults.py` tries each by itself in every run of the tests.
"""

from random import Random

import pytest

from tests.experiments.outcome import Outcome, faults_of
from tests.reader.trial import ALL_FAULTS, trial

QUICK = {"orders": 0, "pairs": 1}
SEED = 20261129


def run(redis, folder, orders=3, pairs=80):
    random, faults, counted = Random(SEED), [], {"handed out": 0, "refused": 0}
    for number in range(orders):
        tried = [(each,) for each in random.sample(ALL_FAULTS, len(ALL_FAULTS))]
        name = f"order {number}"
        faults += faults_of(name, under, redis, tried, number % 2 == 0, counted)
    tried = [tuple(random.sample(ALL_FAULTS, 2)) for _ in range(pairs)]
    faults += faults_of("two at a time", under, redis, tried, True, counted)
    numbers = {"faults, with their ways": len(ALL_FAULTS), "orders": orders, "pairs": pairs}
    return Outcome(
        "The symbols BTC-USD and ETH-USD in 1m, 3m and 5m, of an exchange that speaks Binance's "
        "protocol and of one that speaks Coinbase's.",
        numbers | {f"answers {what}": count for what, count in counted.items()},
        faults,
    )


def under(redis, tried, waits, counted):
    """Yield what was handed out that is not so, under each of what is tried."""
    redis.flushall()
    with pytest.MonkeyPatch.context() as patch, trial(redis, patch) as asked:
        before = "at the start"
        for each in tried:
            name = " and ".join(each)
            try:
                for text in asked.under(*each, waits=waits):
                    yield f"{name}, after {before}: {text}"
            except AssertionError as error:
                yield f"{name}, after {before}: {error}"
            before = name
        asked.wait_until_handed_out()
        yield from asked.take_faults()
        counted["handed out"] += asked.handed_out
        counted["refused"] += asked.refused
