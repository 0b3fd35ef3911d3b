import pytest

from exchanges.lock.status import read_exchange_time
from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from tests.warmup.conftest import SYMBOLS
from tests.warmup.runners import SYMBOLS as LIVE
from tests.warmup.runners import make_row, running, serve, wait_until
from tests.warmup.test_repair import cut
from warmup.plan import plan_warmup
from warmup.service import SmartWarmupService

pytestmark = pytest.mark.django_db
D1, H1 = Timeframe.D1, Timeframe.H1


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


HOURS_OFF = [-30, -3, -0.1, 0.1, 3, 30]


@pytest.mark.parametrize("hours", HOURS_OFF)
@pytest.mark.parametrize("name", ["exchange", "coinbase"])
def test_a_plan_goes_by_the_exchanges_clock(request, redis, open_rest, sandbox, hours, name):
    row = request.getfixturevalue(name)
    sandbox.clock.advance(round(hours * H1.ms))  # so this machine's is off by as much
    # Late in a minute: once something traded in the open bars, the closed ones grow no more.
    sandbox.clock.advance(Timeframe.M1.ms - 1000 - sandbox.clock.now_ms() % Timeframe.M1.ms)
    SmartWarmupService(redis, row.pk, open_rest(row)).warmup(SYMBOLS)
    found = plan_warmup(redis, open_rest(row), SYMBOLS, LONGEST_FIRST, with_repair=True)
    assert [each.stale for each in found.timeframes] == [0] * 6
    assert (found.calls, found.clock, found.doubt) == (0, "exchange", "")
    sandbox.clock.advance(2 * H1.ms)
    found = plan_warmup(redis, open_rest(row), SYMBOLS, [H1, Timeframe.M5], with_repair=True)
    assert [each.stale for each in found.timeframes] == [3, 3]


def test_a_plan_of_a_cache_that_is_not_empty_asks_for_the_time_and_nothing_else(
    redis, exchange, rest, open_rest, sandbox
):
    SmartWarmupService(redis, exchange.pk, rest).warmup(SYMBOLS)
    sandbox.reset()
    plan_warmup(redis, open_rest(exchange), SYMBOLS, LONGEST_FIRST, with_repair=True)
    assert dict(sandbox.requests.counts) == {"binance.time": 1}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_where_a_runner_tells_the_time_nobody_is_asked(redis, open_rest, name):
    with serve(speed=1) as server:  # ten days from now, or long ago
        row = make_row(server, name)
        with running(redis, row):
            wait_until(lambda: read_exchange_time(redis, row.pk))
            before = server.requests.counts[f"{row.venue}.time"]
            found = plan_warmup(redis, open_rest(row), LIVE, [D1, H1], with_repair=True)
            assert found.clock == "runner"
            assert [each.sufficient for each in found.timeframes] == [3, 3]
            assert server.requests.counts[f"{row.venue}.time"] == before


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 403},
        {"kind": "status", "status": 418, "retry_after": 60},
        {"kind": "status", "status": 429, "retry_after": 60},
        {"kind": "slow", "seconds": 5},
        {"kind": "html200"},
    ],
    ids=lambda fault: " ".join(map(str, fault.values())),
)
def test_where_the_exchange_can_not_be_asked_this_machines_clock_is_used_and_told(
    redis, exchange, rest, open_rest, sandbox, monkeypatch, fault
):
    monkeypatch.setattr("warmup.exchange_time.TIMEOUT_SECONDS", 0.5)
    SmartWarmupService(redis, exchange.pk, rest).warmup(SYMBOLS)
    sandbox.faults.add(**fault)
    found = plan_warmup(redis, open_rest(exchange), SYMBOLS, [D1], with_repair=True)
    assert (found.timeframes[0].sufficient, found.clock) == (3, "machine")
    assert found.doubt
    assert "\n" not in found.doubt
    assert found.as_json()["clock"] == "machine"


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
