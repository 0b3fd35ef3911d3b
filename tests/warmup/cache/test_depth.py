"""An exchange that tells of its newest bars alone: nobody asks for older ones, and all say so."""

from io import StringIO

import pytest

from exchanges.venues.binance.rest import BinanceRest
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.backfill import BackfillConfig, StartupBackfillService
from warmup.cache.candles import CandleCache
from warmup.live.pairs.skipped import Skipped
from warmup.live.pairs.streamed_pairs import StreamedPairs
from warmup.metrics.completeness import measure
from warmup.network.page.cells import Grid, Work
from warmup.plan import plan_warmup
from warmup.repair import CandleRepair
from warmup.service import SmartWarmupService
from warmup.terminal import print_plan, print_report

H1, M1 = Timeframe.H1, Timeframe.M1
BTC = "BTC-USD"
DEPTH = 150  # bars


@pytest.fixture(autouse=True)
def short_depth(monkeypatch):
    monkeypatch.setattr(BinanceRest, "depth_rows", DEPTH)


@pytest.fixture
def now_ms(sandbox):
    return sandbox.clock.now_ms()


def hours_before(now_ms, first, last):
    return H1.floor(now_ms) - first * H1.ms, H1.floor(now_ms) - last * H1.ms


def asked_from(sandbox):
    """Return the earliest time that anybody asked for."""
    return min(each.start_ms for each in sandbox.requests.candles if each.start_ms is not None)


def test_what_is_older_is_neither_asked_for_nor_told_to_be_empty(rest, sandbox, now_ms):
    (start_ms, end_ms), (told_ms, _) = (hours_before(now_ms, first, 100) for first in (400, DEPTH))
    found = rest.get_candles(BTC, H1, start_ms, end_ms)
    assert found.too_old == ((start_ms, told_ms),)
    assert found.asked == found.covered == ((told_ms, end_ms),)
    assert (found[0].timestamp, asked_from(sandbox), len(found)) == (told_ms, told_ms, 50)


def test_what_is_older_alone_costs_no_call(rest, sandbox, now_ms):
    rest.get_candles(BTC, H1, limit=1)  # so that the limits are known
    before = len(sandbox.requests.candles)
    stretch = hours_before(now_ms, 400, 300)
    found = rest.get_candles(BTC, H1, *stretch)
    assert (list(found), found.too_old, found.asked, found.empty) == ([], (stretch,), (), ())
    assert len(sandbox.requests.candles) == before


def test_of_the_newest_there_are_as_many_as_it_tells(rest, now_ms):
    found = rest.get_candles(BTC, H1, limit=400)
    assert len(found) == DEPTH
    assert found.too_old == (hours_before(now_ms, 400, DEPTH),)
    assert not rest.get_candles(BTC, H1, limit=DEPTH).too_old


def test_a_backfill_says_what_is_not_to_be_had(redis, exchange, rest):
    config = BackfillConfig(candle_count=200, batch_delay_ms=0)
    report = StartupBackfillService(rest, redis, config).backfill([BTC], [H1])
    said = StringIO()
    print_report("sandbox", "fetched", report.as_json() | {"candleCalls": 1}, said)
    assert f"{DEPTH} candles in 1 stretches" in said.getvalue()
    assert f"not to be had: {BTC} 1h " in said.getvalue()


@pytest.fixture
def holed(redis, exchange, rest, monkeypatch, now_ms):
    """Return what repairs a pair that has a hole within reach, one across its end, one beyond."""
    monkeypatch.setattr(BinanceRest, "depth_rows", None)
    StartupBackfillService(rest, redis, BackfillConfig(300, batch_delay_ms=0)).backfill([BTC], [H1])
    monkeypatch.setattr(BinanceRest, "depth_rows", DEPTH)
    kept = CandleCache(redis, exchange.pk)
    for first, last in ((250, 240), (DEPTH + 5, DEPTH - 5), (30, 20)):
        start_ms, end_ms = hours_before(now_ms, first, last)
        redis.zremrangebyscore(f"candles:{exchange.pk}:{BTC}:1h", start_ms, end_ms - 1)
        [*before, after] = kept.coverage(BTC, H1)
        text = [*map(list, before), [after[0], start_ms], [end_ms, after[1]]]
        redis.set(f"coverage:{exchange.pk}:{BTC}:1h", str(text))
    return CandleRepair(redis, exchange.pk, rest)


def test_a_repair_asks_once_for_what_can_be_had_and_says_what_cannot(holed, sandbox, now_ms):
    lost = [hours_before(now_ms, 250, 240), hours_before(now_ms, DEPTH + 5, DEPTH)]
    for ranges in (2, 0):
        before = len(sandbox.requests.candles)
        report = holed.repair([BTC], [H1])
        assert (report.ranges, len(sandbox.requests.candles) - before) == (ranges, ranges)
        assert [(each["from"], each["to"]) for each in report.too_old] == lost


def test_a_plan_counts_it_apart_and_says_why(redis, holed, rest):
    holed.repair([BTC], [H1])
    plan = plan_warmup(redis, rest, [BTC], [H1], with_repair=True)
    [hours] = plan.timeframes
    assert (hours.sufficient, hours.holed, hours.too_old, plan.calls) == (1, 0, 1, 0)
    said = StringIO()
    print_plan(plan, True, said)
    assert "1 pairs lack older candles that are not to be had: the exchange tells of the " in (
        said.getvalue()
    )
    assert plan.as_json()["depthRows"] == DEPTH


def test_no_alert_and_no_letter_asks_a_person_for_what_cannot_be_had(
    redis, holed, exchange, now_ms
):
    holed.repair([BTC], [H1])
    found = measure(redis, exchange.pk, [BTC], now_ms, exchange.depth_rows)[H1]
    assert (found.pairs, found.holed, found.ratio) == (1, 0, 1)
    assert measure(redis, exchange.pk, [BTC], now_ms)[H1].holed == 1
    grid = Grid(exchange.pk, exchange.depth_rows).read(redis, [BTC], now_ms, Work())
    assert grid["rows"][0][grid["timeframes"].index("1h")] == "c"


def test_a_symbol_with_few_candles_is_not_asked_for_more_of_them_again(
    redis, exchange, rest, sandbox, monkeypatch
):
    monkeypatch.setattr(BinanceRest, "depth_rows", 40)  # fewer than are enough
    calls = []
    for _ in range(2):
        SmartWarmupService(redis, exchange.pk, rest).warmup([BTC], [H1])
        calls.append(len(sandbox.requests.candles))
    assert calls == [1, 1]


def test_closes_that_were_skipped_wait_no_longer_than_it_tells_of_them(redis, now_ms):
    pairs = StreamedPairs(CandleCache(redis, 7), None, DEPTH)
    told_ms = M1.floor(now_ms) - DEPTH * M1.ms
    assert pairs.earliest_ms(M1, now_ms) == told_ms
    skipped = pairs.skipped
    assert isinstance(skipped, Skipped)
    skipped.add(Pair(BTC, M1), (told_ms - 2 * M1.ms, told_ms + M1.ms))
    skipped.forget_old(now_ms)
    assert skipped.by_pair == {Pair(BTC, M1): ((told_ms, told_ms + M1.ms),)}
    skipped.forget_old(now_ms + 2 * M1.ms)
    assert skipped.by_pair == {}
