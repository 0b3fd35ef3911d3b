"""A Redis that loses its last seconds under a runner that lives on."""

import orjson
import pytest

from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.status import State, read_status
from exchanges.transport import backoff
from livermore.market import keys
from livermore.market.coverage import missing, subtract
from livermore.market.pair import pairs_of
from tests.warmup.live.lossy_redis import LossyRedis
from tests.warmup.live.redis_away import OwnRedis
from tests.warmup.runners import (
    MIDNIGHT_MS,
    MINUTE_MS,
    SYMBOLS,
    Comparison,
    Running,
    make_row,
    running,
    serve,
    wait_for_time,
    wait_until,
)
from warmup.cache.candles import CandleCache
from warmup.cache.indicator_window import Window
from warmup.live.redis_loss.written_lately import WrittenLately
from warmup.runner.hand_over import under_lock

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
    with serve() as sandbox, LossyRedis(tmp_path, way) as lossy, lossy.client() as redis:
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


@pytest.mark.parametrize("way", LOSING)
def test_what_a_repair_wrote_and_redis_lost_is_repaired_again(tmp_path, way):
    with serve() as sandbox, LossyRedis(tmp_path, way) as lossy, lossy.client() as redis:
        row = make_row(sandbox)
        truth = Comparison(redis, sandbox, row)
        with running(redis, row):
            truth.wait(sandbox.clock.now_ms())
            pair, cache = pairs_of(SYMBOLS)[0], CandleCache(redis, row.pk)
            [(begin_ms, _)] = cache.coverage(*pair)
            hole = (begin_ms + 5 * pair.timeframe.ms, begin_ms + 9 * pair.timeframe.ms)

            def is_whole():
                return not missing(cache.coverage(*pair), *hole)

            redis.zremrangebyscore(keys.candles(row.pk, *pair), hole[0], f"({hole[1]}")
            before_and_after = subtract(cache.coverage(*pair), (hole,))
            redis.set(keys.coverage(row.pk, *pair), orjson.dumps(before_and_after))
            lossy.remember()
            wait_until(is_whole)
            lossy.lose()
            wait_until(is_whole)
            truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
            assert truth.faults(told=False) == []


@pytest.mark.parametrize("way", LOSING)
def test_a_warmup_that_redis_lost_half_of_is_done_again(tmp_path, way):
    with serve(speed=0) as sandbox, LossyRedis(tmp_path, way) as lossy, lossy.client() as redis:
        for seconds, symbol in enumerate(SYMBOLS):  # kept, lost, and not there yet
            sandbox.scenarios.add("slow", delay=seconds, symbol=symbol)
        row = make_row(sandbox)
        lately = WrittenLately()
        one = Running(redis, row, lately=lately)
        try:
            wait_until(lambda: len(redis.keys("coverage:*")) > 2)
            lossy.remember()
            some = len(redis.keys("coverage:*"))
            wait_until(lambda: len(redis.keys("coverage:*")) > some)
            lossy.lose()
            sandbox.scenarios.clear()
            if wait_until(lambda: one.ended or read_status(redis, row.pk).state is State.ACTIVE):
                one = Running(redis, row, lately=lately) if one.ended else one  # as an agent does
            one.wait_until_live()
            assert Comparison(redis, sandbox, row).faults(told=False) == []
        finally:
            one.stop()


def test_who_repairs_by_hand_does_it_again_where_redis_is_another_one_since(tmp_path):
    with serve(speed=0) as sandbox, OwnRedis(tmp_path) as own_redis, own_redis.client() as redis:
        row, runs = make_row(sandbox), []

        def work(cache, show):
            runs.append(cache.epoch)
            if len(runs) == 1:
                own_redis.stop()
                own_redis.start()
            return {}

        assert under_lock(redis, row, "repair", {}, work, print, print) == {}
        assert len(runs) == 2
