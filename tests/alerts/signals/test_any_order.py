"""What stands told in the end is what a replay shows, whatever came late, whoever was restarted."""

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.models import Alert, AlertProgress, AlertRule, SignalState
from alerts.signals.replay import Replay
from exchanges.models import Exchange
from tests.alerts.signals.market import BTC, HIGH, MINUTE_MS, Market, candles, opens
from tests.alerts.signals.test_source import NewEvaluator

pytestmark = pytest.mark.django_db
COUNT = 24
PRICES = st.lists(
    st.sampled_from([84.0, 87.0, 90.0, 91.0, 99.5, 100.0, 108.0]), min_size=COUNT, max_size=COUNT
)
NUMBERS = st.sets(st.integers(1, COUNT - 1), max_size=5)
# A pair is followed from its first close that comes in time: what came late before is not told.
LATE = st.sets(st.integers(2, COUNT - 1), max_size=5)


def told():
    """Return what stands told of the pair: when, what, and which of it."""
    (row,) = SignalState.objects.all()
    return sorted(
        (time_ms, kind, which) for time_ms, _, kind, which, _ in orjson.loads(row.state)["told"]
    )


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prices=PRICES, late=LATE, restarts=NUMBERS, delay=st.integers(1, 4))
def test_it_comes_to_what_a_replay_shows(redis, no_rules, prices, late, restarts, delay):
    redis.flushdb()
    for model in (Alert, AlertProgress, AlertRule, SignalState):
        model.objects.all().delete()
    rules = [AlertRule.objects.create(what=what) for what in ("level", "stage", "reversal")]
    exchange = Exchange.objects.get(name="sandbox")
    market, evaluator = Market(redis, exchange.pk), NewEvaluator(redis)
    bars = candles([HIGH] * 100 + prices)
    market.write(bars[:100])
    evaluator.look(0)
    waiting = []
    for n, bar in enumerate(bars[100:], start=1):
        if n in late and n < COUNT:
            waiting.append((n + delay, bar))
        else:
            market.close([bar])
        for each in [each for due, each in waiting if due <= n or n == COUNT]:
            waiting = [pair for pair in waiting if pair[1] is not each]
            market.close([each], healed=True, late=True)
        if n in restarts:
            evaluator.restart()
        if n % 3 != 1 or n == COUNT:  # several at once, too
            evaluator.look(n)
    replay = Replay(redis, exchange, rules)
    found = replay.found([BTC], opens(1), opens(COUNT + 1))
    shown = sorted((each.at_ms - MINUTE_MS, each.kind, each.which) for each in found)
    assert told() == shown
