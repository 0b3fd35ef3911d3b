import json
import time

import pytest

from exchanges.lock.fencing import Fenced
from livermore.market.timeframe import Timeframe
from warmup.scanner import CandleStatusResult
from warmup.schedule import WarmupScheduleBuilder

RESULTS = [
    CandleStatusResult("BTC-USD", Timeframe.D1, 100, True),
    CandleStatusResult("NEW-USD", Timeframe.D1, 9, False, exhausted=True),
    CandleStatusResult("BTC-USD", Timeframe.M1, 12, False),
    CandleStatusResult("NEW-USD", Timeframe.M1, 0, False),
]


def test_only_pairs_that_need_it_are_scheduled_in_the_order_of_the_scan(redis):
    schedule = WarmupScheduleBuilder(redis, 7).build_and_persist(RESULTS)
    assert [(e.symbol, e.timeframe) for e in schedule.entries] == [
        ("BTC-USD", "1m"),
        ("NEW-USD", "1m"),
    ]
    assert schedule.needs_fetching == 2


def test_the_schedule_is_stored_in_the_form_readers_know(redis):
    WarmupScheduleBuilder(redis, 7).build_and_persist(RESULTS)
    stored = json.loads(redis.get("exchange:7:warm-up-schedule:symbols"))
    assert abs(stored.pop("createdAt") - time.time() * 1000) < 60_000
    assert stored == {
        "exchangeId": 7,
        "totalPairs": 4,
        "sufficientPairs": 2,
        "exhaustedPairs": 1,
        "needsFetching": 2,
        "entries": [
            {"symbol": "BTC-USD", "timeframe": "1m", "cachedCount": 12, "targetCount": 100},
            {"symbol": "NEW-USD", "timeframe": "1m", "cachedCount": 0, "targetCount": 100},
        ],
    }
    assert redis.ttl("exchange:7:warm-up-schedule:symbols") == -1


def test_building_alone_writes_nothing(redis):
    WarmupScheduleBuilder(redis, 7).build(RESULTS)
    assert redis.keys() == []


def test_a_run_of_before_a_take_over_writes_no_schedule(redis):
    redis.set("exchange:7:epoch", 2)
    with pytest.raises(Fenced):
        WarmupScheduleBuilder(redis, 7, epoch=1).build_and_persist(RESULTS)
    assert redis.keys() == [b"exchange:7:epoch"]
