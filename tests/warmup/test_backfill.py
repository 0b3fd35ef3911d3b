import pytest

from exchanges.errors import Unreachable
from livermore.market.candle import Candle
from livermore.market.timeframe import Timeframe
from tests.warmup.conftest import SYMBOLS
from warmup.backfill import BackfillConfig, StartupBackfillService
from warmup.cache.candles import CandleCache
from warmup.service import SmartWarmupService

pytestmark = pytest.mark.django_db


def asked(sandbox):
    return [(call.timeframe, call.symbol) for call in sandbox.requests.candles]


def quick(**settings):
    return BackfillConfig(**{"batch_delay_ms": 0} | settings)


def test_the_defaults_are_those_of_the_contract():
    assert BackfillConfig() == BackfillConfig(candle_count=100, batch_size=5, batch_delay_ms=1000)


def test_a_warm_pair_is_fetched_all_the_same(redis, exchange, rest, sandbox):
    SmartWarmupService(redis, exchange.pk, rest).warmup(["BTC-USD"], ["1h"])
    sandbox.reset()
    report = StartupBackfillService(rest, redis, quick()).backfill(["BTC-USD"], ["1h"])
    assert asked(sandbox) == [("1h", "BTC-USD")]
    assert (report.pairs, report.candles, report.failures) == (1, 100, [])


def test_the_order_is_by_timeframe_from_5m_to_1d_and_then_by_symbol(redis, rest, sandbox):
    StartupBackfillService(rest, redis, quick(batch_size=1)).backfill(SYMBOLS)
    timeframes = ["5m", "15m", "1h", "4h", "1d"]
    assert asked(sandbox) == [(t, symbol) for t in timeframes for symbol in SYMBOLS]


def test_minutes_are_fetched_when_asked_for(redis, exchange, rest, truth):
    StartupBackfillService(rest, redis, quick(candle_count=7)).backfill(["BTC-USD"], ["1m"])
    stored = CandleCache(redis, exchange.pk).newest("BTC-USD", Timeframe.M1, 100)
    assert [candle.values() for candle in stored] == truth("BTC-USD", Timeframe.M1, count=7)


def test_old_rows_are_completed_by_being_fetched_again(redis, exchange, rest, truth):
    true = truth("BTC-USD", Timeframe.H1, columns=True)
    cache = CandleCache(redis, exchange.pk)
    old = [Candle.of_values(row[:6], Timeframe.H1) for row in true]
    cache.write("BTC-USD", Timeframe.H1, old, ((true[0][0], true[-1][0] + Timeframe.H1.ms),))
    SmartWarmupService(redis, exchange.pk, rest).warmup(["BTC-USD"], ["1h"])
    assert [each.columns for each in cache.newest("BTC-USD", Timeframe.H1, 100)] == [None] * 100
    StartupBackfillService(rest, redis, quick(candle_count=60)).backfill(["BTC-USD"], ["1h"])
    stored = [each.row() for each in cache.newest("BTC-USD", Timeframe.H1, 100)]
    assert stored == [each.row() for each in old[:40]] + true[40:]


def test_between_batches_there_is_a_pause(redis, rest, sandbox, monkeypatch):
    seen = []
    pause = rest.client.pacer.sleep
    monkeypatch.setattr(
        rest.client.pacer, "sleep", lambda seconds: (seconds and seen.append(seconds)) or pause(0)
    )
    service = StartupBackfillService(rest, redis, quick(batch_size=2, batch_delay_ms=300))
    service.backfill(SYMBOLS, ["1h"], on_pair=lambda *count: seen.append(count))
    assert seen == [(1, 3), (2, 3), 0.3, (3, 3)]


def test_an_exchange_that_goes_away_ends_it(redis, rest, sandbox):
    sandbox.faults.add("reset", endpoint="klines")
    symbols = [*SYMBOLS, "ADA-USD", "XRP-USD", "LTC-USD"]
    with pytest.raises(Unreachable, match="in a row"):
        StartupBackfillService(rest, redis, quick()).backfill(symbols)


def test_a_pair_that_fails_does_not_stop_the_others(redis, rest, sandbox):
    sandbox.faults.add("status", status=400, symbol="BTC-USD")
    report = StartupBackfillService(rest, redis, quick()).backfill(SYMBOLS, ["1h"])
    assert report.pairs == 2
    assert [failure["symbol"] for failure in report.failures] == ["BTC-USD"]
