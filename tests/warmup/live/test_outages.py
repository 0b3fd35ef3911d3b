"""Redis going away under a runner, and a runner going away under its exchange."""

import signal
import time

import pytest

from exchanges.lock.acquire import ExchangeLock, Held
from exchanges.lock.lease import LostLock
from exchanges.lock.status import State, read_status
from exchanges.transport import backoff
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.warmup.live.redis_away import OwnRedis, faults_after, faults_after_losing_all
from tests.warmup.runners import (
    MIDNIGHT_MS,
    MINUTE_MS,
    Comparison,
    Running,
    end,
    make_row,
    processes,
    running,
    serve,
    short_lease,
    wait_for_time,
    wait_until,
    with_short_lease,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def manage():
    with processes() as manage:
        yield manage


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch):
    monkeypatch.setattr(backoff, "FIRST_RECONNECT_SECONDS", 0.1)


@pytest.fixture
def own_redis(tmp_path):
    with OwnRedis(tmp_path) as own_redis:
        yield own_redis


@pytest.mark.parametrize("seconds", [0, 3], ids=["restarted", "gone for three seconds"])
@pytest.mark.parametrize("cut", [False, True], ids=["stream goes on", "stream is cut too"])
def test_redis_away_costs_nothing(own_redis, seconds, cut):
    def restart(sandbox, row):
        own_redis.stop()
        if cut:
            sandbox.scenarios.add("drop", every=0.1, times=1)
        deadline = time.monotonic() + seconds
        wait_until(lambda: time.monotonic() >= deadline)
        own_redis.start()

    assert faults_after(own_redis, restart) == []


def test_redis_hanging_costs_nothing(own_redis):
    def hang(sandbox, row):
        with own_redis.hanging():
            wait_for_time(sandbox, max(MIDNIGHT_MS, sandbox.clock.now_ms()) + 2 * MINUTE_MS)

    assert faults_after(own_redis, hang) == []


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_fifteen_hours_asleep_are_healed_and_told(redis, name):
    with serve() as sandbox:
        row = make_row(sandbox, name)
        truth = Comparison(redis, sandbox, row)
        with running(redis, row):
            truth.wait(sandbox.clock.now_ms())
            live_ms = sandbox.clock.now_ms()
            sandbox.scenarios.add("drop", every=0.05, times=1)
            sandbox.clock.advance(15 * Timeframe.H1.ms)
            truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
            assert truth.faults(since_ms=live_ms) == []


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_started_again_after_three_days_it_knows_of_every_hole(redis, name):
    with serve() as sandbox:
        row = make_row(sandbox, name)
        truth = Comparison(redis, sandbox, row)
        with running(redis, row):
            truth.wait(sandbox.clock.now_ms())
        sandbox.clock.advance(3 * Timeframe.D1.ms)
        with running(redis, row):
            truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
            assert truth.faults(told=False) == []  # of the minutes the newest 1,000 are kept


def test_redis_away_for_longer_than_the_lease_ends_the_runner_and_the_next_one_heals(
    own_redis, monkeypatch
):
    short_lease(monkeypatch)
    with serve() as sandbox, own_redis.client() as redis:
        row = make_row(sandbox)
        truth = Comparison(redis, sandbox, row)
        first = Running(redis, row).wait_until_live()
        truth.wait(sandbox.clock.now_ms())
        own_redis.stop()
        wait_until(lambda: first.ended)
        assert isinstance(first.error, LostLock)
        own_redis.start()
        with running(redis, row):
            truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
            assert truth.faults() == []


def test_a_redis_that_lost_everything_ends_the_runner_and_the_next_one_warms_anew(
    redis, monkeypatch
):
    short_lease(monkeypatch)
    assert faults_after_losing_all(redis) == []


def test_after_a_kill_the_next_one_goes_on_once_the_lock_ran_out(redis, manage):
    with serve() as sandbox:
        row = make_row(sandbox)
        truth = Comparison(redis, sandbox, row)
        first = manage(code=with_short_lease("start", "sandbox"))
        wait_until(lambda: read_status(redis, row.pk).state is State.ACTIVE)
        truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
        end(first, signal.SIGKILL)
        with pytest.raises(Held):
            ExchangeLock(redis, row.pk).acquire()
        wait_until(lambda: not redis.exists(keys.lock(row.pk)))
        second = manage(code=with_short_lease("start", "sandbox"))
        wait_until(lambda: read_status(redis, row.pk).state is State.ACTIVE)
        truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
        assert truth.faults() == []
        assert end(second)[0] == 0


def content(redis, row):
    """Return everything of the exchange that is kept, byte for byte."""
    found = {}
    for key in redis.scan_iter():
        if not key.startswith((b"candles:", b"candle:", b"coverage:", b"ticker:", b"exchange:")):
            continue
        if key.decode() in (keys.lock(row.pk), keys.status(row.pk), keys.control(row.pk)):
            continue
        found[key] = redis.dump(key)
    return found


def faults_of_a_stopped_holder(redis, manage, followed):
    """Stop a runner's process beyond its lease and let it go on; yield what it did wrong then."""
    with serve() as sandbox:
        row = make_row(sandbox)
        process = manage(code=with_short_lease("start", "sandbox"))
        wait_until(lambda: read_status(redis, row.pk).state is State.ACTIVE)
        wait_for_time(sandbox, sandbox.clock.now_ms() + MINUTE_MS)
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: not redis.exists(keys.lock(row.pk)))
        lease = ExchangeLock(redis, row.pk).acquire() if followed else None
        before = content(redis, row)
        process.send_signal(signal.SIGCONT)
        _, said = process.communicate(timeout=20)
        if (process.returncode, "stopped: " in said) != (1, True):
            yield f"it ended with {process.returncode} and said {said}"
        if written := content(redis, row).items() - before.items():  # open candles may run out
            yield f"it wrote {sorted(dict(written))}"
        if lease:
            if ExchangeLock(redis, row.pk).holder() != lease.holder:
                yield "its follower has lost the lock"
            lease.release()


@pytest.mark.parametrize("followed", [True, False], ids=["another follows", "nobody follows"])
def test_a_holder_stopped_beyond_its_lease_writes_nothing_when_it_goes_on(redis, manage, followed):
    assert list(faults_of_a_stopped_holder(redis, manage, followed)) == []
