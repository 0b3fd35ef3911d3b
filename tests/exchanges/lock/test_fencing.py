"""Two that were given the same epoch, as Redis lost the first one's: one of them writes."""

from types import SimpleNamespace

import pytest

from exchanges.lock.acquire import ExchangeLock, Held
from exchanges.lock.control_reader import ControlReader
from exchanges.lock.fencing import Fenced, refusals, stamp
from exchanges.lock.lease import Lease, now
from exchanges.lock.status import Holder, State, read_status
from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from tests.warmup.live.sink.played import Rest, closed
from warmup.cache.candles import CandleCache
from warmup.cache.indicators import IndicatorCache
from warmup.live.sink import CandleSink
from warmup.runner.renaming import COPY
from warmup.schedule import WarmupScheduleBuilder
from warmup.stats import WarmupStats, WarmupStatsPublisher

NUMBER = 7
PAIR = Pair("BTC-USD", Timeframe.M1)
BAR = Candle(1_790_000_040_000, 10.0, 12.0, 9.0, 11.0, 1.0, Timeframe.M1)


@pytest.fixture
def lock(redis):
    return ExchangeLock(redis, NUMBER)


@pytest.fixture
def twin(redis, lock):
    """Return the lease of a holder that Redis forgot, and gave its epoch to another since."""
    of_now = lock.acquire().holder
    holder = Holder("forgotten", of_now.epoch, "a", "10.0.0.1", 1, of_now.connected_since)
    return Lease(redis, NUMBER, holder, now(), 45_000, 15_000)


def flush(redis, lease):
    sink = CandleSink(redis, NUMBER, Rest(), lease.own_epoch)
    sink.connected([PAIR])
    sink.candle(closed(0))
    sink.tick()


def fetch_commands(redis, lease):
    ControlReader(redis, NUMBER, lease).poll()


def write_indicator(redis, lease):
    value = {"timestamp": BAR.timestamp}
    IndicatorCache(redis, NUMBER, lease.own_epoch).write_many({PAIR: value})


def copy(redis, lease):
    names = [name(NUMBER, *PAIR) for name in (keys.candles, keys.coverage)]
    shared = [keys.epoch(NUMBER), keys.lock(NUMBER)]
    with refusals():
        COPY(redis, [*names, *names, *shared], [stamp(lease.own_epoch), 1000])


WRITES = {
    "candles": lambda redis, lease: CandleCache(redis, NUMBER, lease.own_epoch).write(*PAIR, [BAR]),
    "a cut": lambda redis, lease: CandleCache(redis, NUMBER, lease.own_epoch).cut_back(
        PAIR, BAR.timestamp, BAR.timestamp
    ),
    "what is no candle": lambda redis, lease: CandleCache(
        redis, NUMBER, lease.own_epoch
    ).remove_invalid([PAIR]),
    "a close": flush,
    "an indicator": write_indicator,
    "a renaming": copy,
    "a schedule": lambda redis, lease: WarmupScheduleBuilder(
        redis, NUMBER, lease.own_epoch
    ).build_and_persist([]),
    "a warmup's progress": lambda redis, lease: WarmupStatsPublisher(
        redis, WarmupStats(NUMBER), epoch=lease.own_epoch
    ).write(),
    "commands": fetch_commands,
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_of_two_with_the_same_epoch_who_has_not_the_lock_writes_nothing(redis, twin, write):
    assert int(redis.get(keys.epoch(NUMBER))) == twin.epoch
    before = {name: redis.dump(name) for name in redis.keys("*")}
    with pytest.raises(Fenced, match="another holder's too"):
        write(redis, twin)
    assert {name: redis.dump(name) for name in redis.keys("*")} == before


def test_of_two_with_the_same_epoch_one_tells_how_it_is(redis, lock, twin):
    twin.report(State.ERROR, "of the forgotten one")
    assert read_status(redis, NUMBER).state is State.OFFLINE


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_who_has_the_lock_writes(redis, lock, write):
    write(redis, SimpleNamespace(own_epoch=lock.acquire().own_epoch))


def test_who_could_not_give_its_lock_back_takes_it_again(redis, lock):
    first = lock.acquire()
    with pytest.raises(Held):
        ExchangeLock(redis, NUMBER, above=first.epoch).acquire()
    assert ExchangeLock(redis, NUMBER, above=first.own_epoch).acquire().epoch > first.epoch


def test_a_lock_from_before_that_came_back_is_nobodys(redis, lock):
    before = lock.acquire()
    again = redis.get(keys.lock(NUMBER))
    lost = lock.take_over(before.holder.instance_id, "a test")
    redis.set(keys.lock(NUMBER), again)  # as a replica that lagged has it
    assert ExchangeLock(redis, NUMBER, above=lost.epoch).acquire().epoch > lost.epoch


def test_an_epoch_is_higher_than_one_that_redis_lost(redis, lock):
    first = lock.acquire()
    before = redis.dump(keys.epoch(NUMBER)), redis.dump(keys.lock(NUMBER))
    first.release()
    lost = lock.acquire()
    for name, value in zip((keys.epoch(NUMBER), keys.lock(NUMBER)), before, strict=True):
        redis.restore(name, 0, value, replace=True)  # as a replica that lagged has them
    redis.delete(keys.lock(NUMBER))
    assert ExchangeLock(redis, NUMBER, above=lost.epoch).acquire().epoch > lost.epoch
