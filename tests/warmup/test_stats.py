import json
import time
from itertools import pairwise

import pytest

from exchanges.lock.fencing import Fenced
from livermore.market.timeframe import Timeframe
from tests.warmup.runners import wait_until
from warmup.scanner import CandleStatusResult
from warmup.schedule import WarmupScheduleBuilder
from warmup.stats import WarmupStats, WarmupStatsPublisher

KEY = "exchange:7:warm-up-schedule:stats"


def schedule_of(redis, pairs, sufficient=0):
    results = [CandleStatusResult(f"S{n}-USD", Timeframe.H1, 0, False) for n in range(pairs)]
    results += [CandleStatusResult(f"T{n}-USD", Timeframe.H1, 99, True) for n in range(sufficient)]
    return WarmupScheduleBuilder(redis, 7).build(results)


def stored(redis):
    return json.loads(redis.get(KEY))


def test_the_stats_are_stored_in_the_form_readers_know(redis):
    stats = WarmupStats(7)
    with WarmupStatsPublisher(redis, stats):
        assert stored(redis)["status"] == "scanning"
        schedule = schedule_of(redis, 4, sufficient=2)
        stats.begin(schedule)
        stats.work_on(schedule.entries[1])
        stats.pair_completed()
        stats.pair_failed(schedule.entries[1], ValueError("no such thing"))
    found = stored(redis)
    assert abs(found.pop("startedAt") - time.time() * 1000) < 60_000
    assert abs(found.pop("updatedAt") - time.time() * 1000) < 60_000
    assert found == {
        "exchangeId": 7,
        "status": "executing",
        "totalPairs": 4,
        "completedPairs": 1,
        "skippedPairs": 2,
        "failedPairs": 1,
        "percentComplete": 50.0,
        "etaMs": None,
        "pairsPerSecond": None,
        "currentSymbol": "S1-USD",
        "currentTimeframe": "1h",
        "failures": [{"symbol": "S1-USD", "timeframe": "1h", "error": "no such thing"}],
        "refusedCandles": 0,
        "error": None,
    }
    assert redis.ttl(KEY) == -1


def test_nothing_to_do_is_complete_at_once(redis):
    stats = WarmupStats(7)
    stats.begin(schedule_of(redis, 0, sufficient=6))
    stats.finish()
    found = stats.as_json()
    assert (found["status"], found["percentComplete"], found["etaMs"]) == ("complete", 100, 0)
    assert (found["totalPairs"], found["skippedPairs"]) == (0, 6)


def test_the_time_left_is_unknown_until_a_few_pairs_are_done(redis):
    stats = WarmupStats(7)
    stats.begin(schedule_of(redis, 10))
    stats.pair_completed()
    assert stats.eta_seconds() is None
    for _ in range(4):
        stats.pair_completed()
    assert stats.eta_seconds() > 0


def test_the_time_left_is_never_less_than_pacing_allows(redis):
    stats = WarmupStats(7, pacing_seconds=lambda pairs: 60.0 * pairs)
    stats.begin(schedule_of(redis, 10))
    for _ in range(5):
        stats.pair_completed()
    assert stats.eta_seconds() == 300


def test_an_error_that_stopped_the_run_is_told(redis):
    stats = WarmupStats(7)
    with WarmupStatsPublisher(redis, stats):
        stats.finish(error="the exchange is gone")
    assert (stored(redis)["status"], stored(redis)["error"]) == ("error", "the exchange is gone")


def test_progress_is_written_more_than_ten_times_a_second_and_at_most_twenty(redis):
    stats, writes = WarmupStats(7), []
    stats.begin(schedule_of(redis, 100_000))
    with WarmupStatsPublisher(redis, stats, lambda _: writes.append(time.monotonic())) as publisher:
        ends = time.monotonic() + 1.0
        while time.monotonic() < ends:
            stats.pair_completed()
            publisher.changed()
            time.sleep(0.001)
    gaps = [later - earlier for earlier, later in pairwise(writes[1:-1])]
    assert len(writes) > 10
    assert min(gaps) >= 0.05


def test_a_run_that_waits_still_says_that_it_lives(redis):
    stats, updates = WarmupStats(7), []
    with WarmupStatsPublisher(redis, stats, lambda _: updates.append(stored(redis)["updatedAt"])):
        deadline = time.monotonic() + 10
        while len(updates) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert updates[0] < updates[1] < updates[2]


def test_a_run_of_before_a_take_over_leaves_the_stats_of_the_next_one_alone(redis):
    redis.set("exchange:7:epoch", 1)
    stats, writes = WarmupStats(7), []
    with (
        pytest.raises(Fenced),
        WarmupStatsPublisher(redis, stats, lambda _: writes.append(1), epoch=1) as publisher,
    ):
        redis.set("exchange:7:epoch", 2)
        redis.set(KEY, "those of the next one")
        written = len(writes)
        publisher.changed()
        wait_until(lambda: len(writes) > written)
        stats.finish()
    assert redis.get(KEY) == b"those of the next one"


def test_a_run_that_a_take_over_ended_tells_how_it_ended_and_nothing_else(redis):
    redis.set("exchange:7:epoch", 1)
    with (
        pytest.raises(LookupError, match="how it ended"),
        WarmupStatsPublisher(redis, WarmupStats(7), epoch=1),
    ):
        redis.set("exchange:7:epoch", 2)
        raise LookupError("how it ended")
