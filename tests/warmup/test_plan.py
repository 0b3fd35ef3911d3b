import pytest

from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from tests.warmup.conftest import SYMBOLS
from tests.warmup.test_repair import cut
from warmup.plan import plan_warmup
from warmup.service import SmartWarmupService

pytestmark = pytest.mark.django_db
D1 = Timeframe.D1


@pytest.fixture
def plan(redis, rest):
    def plan(timeframes=LONGEST_FIRST, with_repair=False):
        return plan_warmup(redis, rest, SYMBOLS, timeframes, with_repair=with_repair)

    return plan


def test_a_cold_cache_is_short_everywhere_and_costs_a_call_a_pair(plan):
    found = plan()
    assert [(each.short, each.sufficient) for each in found.timeframes] == [(3, 0)] * 6
    assert (found.calls, found.weight) == (18, 36)


def test_a_plan_writes_nothing_and_asks_nothing(plan, redis, sandbox):
    plan(with_repair=True)
    assert redis.keys() == []
    assert sum(sandbox.requests.counts.values()) == 0


def test_a_warm_cache_costs_nothing(plan, redis, exchange, rest):
    SmartWarmupService(redis, exchange.pk, rest).warmup(SYMBOLS)
    found = plan([D1])
    assert (found.timeframes[0].sufficient, found.calls) == (3, 0)


def test_a_hole_and_a_stale_end_are_told_apart(plan, redis, exchange, rest, truth):
    SmartWarmupService(redis, exchange.pk, rest).warmup(SYMBOLS)
    days = truth("ETH-USD", D1)
    cut(redis, exchange, "ETH-USD", "1d", days[40][0], days[50][0])
    redis.set(f"coverage:{exchange.pk}:SOL-USD:1d", f"[[{days[0][0]},{days[-3][0]}]]")
    [found] = plan([D1], with_repair=True).timeframes
    assert (found.sufficient, found.holed, found.stale, found.short) == (1, 1, 1, 0)
    assert found.repair_calls == 2


def test_repair_counts_only_where_it_is_wanted(plan, redis, exchange, rest):
    SmartWarmupService(redis, exchange.pk, rest).warmup(SYMBOLS)
    redis.delete(f"coverage:{exchange.pk}:SOL-USD:1d")
    assert (plan([D1]).calls, plan([D1], with_repair=True).calls) == (0, 1)


def test_batches_take_their_time(redis, coinbase, open_rest):
    coinbase.batch_delay_ms = 60_000
    found = plan_warmup(redis, open_rest(coinbase), SYMBOLS, LONGEST_FIRST, with_repair=False)
    assert (found.calls, found.minutes) == (18, 3.0)
