"""A Redis that loses its last seconds under a runner that lives on."""

import orjson
import pytest

from exchanges.lock.acquire import ExchangeLock
from exchanges.transport import backoff
from livermore.market import keys
from livermore.market.pair import pairs_of
from tests.warmup.live.lossy_redis import lossy_redis
from tests.warmup.runners import (
    MIDNIGHT_MS,
    MINUTE_MS,
    SYMBOLS,
    Comparison,
    make_row,
    running,
    serve,
    wait_for_time,
    wait_until,
)
from warmup.cache.candles import CandleCache
from warmup.cache.indicator_window import Window

pytestmark = pytest.mark.django_db(transaction=True)

LOSING = ("cut", "promoted", "restored")
VENUES = ("sandbox", "coinbase")


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch):
    monkeypatch.setattr(backoff, "FIRST_RECONNECT_SECONDS", 0.1)


def indicators_are_as_computed(redis, row):
    """Tell whether MACD-V in Redis is what the candles there come to."""
    cache = CandleCache(redis, row.pk)
    for pair, members, coverage in cache.windows(pairs_of(SYMBOLS)):
        window = Window.read(pair, members, coverage)
        stored = redis.get(keys.indicator(row.pk, *pair))
        if (window and window.as_json(row.pk)) != (stored and orjson.loads(stored)):
            return False
    return True


@pytest.mark.parametrize("way", LOSING)
@pytest.mark.parametrize("name", VENUES)
def test_what_was_lost_is_there_again_while_the_same_runner_goes_on(tmp_path, way, name):
    with serve() as sandbox, lossy_redis(tmp_path, way) as lossy, lossy.client() as redis:
        row = make_row(sandbox, name)
        truth = Comparison(redis, sandbox, row)
        with running(redis, row):
            truth.wait(sandbox.clock.now_ms())
            live_ms = sandbox.clock.now_ms()
            holder = ExchangeLock(redis, row.pk).holder()
            wait_for_time(sandbox, MIDNIGHT_MS - MINUTE_MS)
            lossy.remember()
            wait_for_time(sandbox, MIDNIGHT_MS + MINUTE_MS)
            truth.wait(MIDNIGHT_MS)
            before = redis.xrange(keys.events(row.pk))
            lossy.lose()
            wait_until(lambda: redis.xrange(keys.events(row.pk))[: len(before)] == before)
            truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
            assert truth.faults(since_ms=live_ms) == []
            wait_until(lambda: indicators_are_as_computed(redis, row))
            assert ExchangeLock(redis, row.pk).holder() == holder
