"""The exchange's time, between two words of the runner that tells it."""

import time

import orjson

from exchanges.lock.status import STATUS_TTL_MS, Holder, State, Status
from livermore.market import keys
from serving.candles.clocks import Clocks

NOW_MS = 1_795_046_400_000
PACE = 600
HOLDER = Holder("x", 1, "here", "::1", 1, NOW_MS)


def tell(redis, age_ms=0, **details):
    """Write what a runner said so long ago."""
    said = Status(State.ACTIVE, holder=HOLDER, details={"exchangeTime": NOW_MS} | details)
    redis.set(keys.status(4), orjson.dumps(said.as_json()), px=STATUS_TTL_MS - age_ms)


def test_an_exchange_whose_time_goes_fast_is_followed_at_its_pace(redis):
    clocks = Clocks(redis)
    tell(redis, age_ms=10_000, exchangePace=PACE)
    began = time.time()
    clocks.read(4)
    first_ms = clocks.now_ms(4)
    assert first_ms >= NOW_MS + 10_000 * PACE
    time.sleep(0.02)
    passed_ms = clocks.now_ms(4) - first_ms
    assert 20 * PACE <= passed_ms + 1 <= 1000 * (time.time() - began) * PACE + 1


def test_where_nobody_tells_it_any_more_it_goes_on_as_it_did(redis):
    clocks = Clocks(redis)
    tell(redis, exchangePace=PACE)
    clocks.read(4)
    redis.delete(keys.status(4))
    clocks.read(4)
    assert NOW_MS <= clocks.now_ms(4) < NOW_MS + 60_000 * PACE


def test_a_pace_that_makes_no_sense_is_left_out(redis):
    for pace in ("fast", None, float(10**18)):
        tell(redis, exchangePace=pace)
        clocks = Clocks(redis)
        clocks.read(4)
        assert NOW_MS <= clocks.now_ms(4) < NOW_MS + 60_000
    tell(redis, age_ms=40_000, exchangePace=1e15)
    clocks = Clocks(redis)
    clocks.read(4)
    assert clocks.now_ms(4) > 0
