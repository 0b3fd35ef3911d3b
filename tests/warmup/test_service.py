import base64
import json
import threading

import pytest
from django.contrib.auth import get_user_model

from exchanges.errors import Banned, Blocked, Paused, TurnedAway, Unreachable
from exchanges.lock.fencing import Fenced
from exchanges.models import Exchange, UserExchange
from exchanges.sandbox.binance.limits import ODD_LIMITS
from exchanges.venues.coinbase import key
from exchanges.venues.coinbase.rest import CoinbaseRest
from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from tests.warmup.conftest import QUIET, SYMBOLS
from tests.warmup.runners import let_calls_end
from warmup.cache.candles import CandleCache
from warmup.service import SmartWarmupService

pytestmark = pytest.mark.django_db


@pytest.fixture
def service(redis, exchange, rest):
    return SmartWarmupService(redis, exchange.pk, rest)


@pytest.fixture
def stored_stats(redis, exchange):
    return lambda: json.loads(redis.get(f"exchange:{exchange.pk}:warm-up-schedule:stats"))


def rows(redis, exchange, symbol, timeframe):
    stored = redis.zrange(f"candles:{exchange.pk}:{symbol}:{timeframe}", 0, -1)
    return [json.loads(member) for member in stored]


def test_a_cold_cache_ends_equal_to_the_truth(service, redis, exchange, truth, all_pairs):
    service.warmup(SYMBOLS)
    for symbol, timeframe in all_pairs:
        assert rows(redis, exchange, symbol, timeframe) == truth(symbol, timeframe, columns=True)


def test_coinbase_ends_equal_to_the_truth(redis, coinbase, open_rest, truth, sandbox):
    symbols = ["BTC-USD", *QUIET]
    SmartWarmupService(redis, coinbase.pk, open_rest(coinbase)).warmup(symbols)
    for symbol in symbols:
        for timeframe in LONGEST_FIRST:
            expected = truth(symbol, timeframe, settle_ms=5000, traded_only=True)
            found = rows(redis, coinbase, symbol, timeframe)
            if found[-1] != expected[-1]:  # it may still grow, as nothing traded since
                assert (
                    expected.pop()[0] + timeframe.ms > sandbox.clock.now_ms() - CoinbaseRest.lag_ms
                )
                found = found[1:]
            assert found == expected


def test_the_stretch_that_was_fetched_is_covered(service, redis, exchange, truth):
    service.warmup(["BTC-USD"], ["1h"])
    expected = truth("BTC-USD", Timeframe.H1)
    covered = CandleCache(redis, exchange.pk).coverage("BTC-USD", Timeframe.H1)
    assert covered == ((expected[0][0], expected[-1][0] + Timeframe.H1.ms),)


def test_a_second_run_makes_no_call_at_all(service, sandbox, redis, exchange, open_rest):
    service.warmup(SYMBOLS)
    sandbox.reset()
    again = SmartWarmupService(redis, exchange.pk, open_rest(exchange))
    schedule = again.warmup(SYMBOLS)
    assert sum(sandbox.requests.counts.values()) == 0
    assert (schedule.needs_fetching, schedule.sufficient_pairs) == (0, 18)
    assert (again.stats.status, again.stats.percent) == ("complete", 100)


def test_only_what_is_missing_is_fetched(service, sandbox, redis, exchange):
    service.warmup(SYMBOLS)
    redis.delete(f"candles:{exchange.pk}:ETH-USD:4h")
    redis.zremrangebyrank(f"candles:{exchange.pk}:SOL-USD:1m", 0, 40)
    sandbox.reset()
    service.warmup(SYMBOLS)
    asked = [(call.symbol, call.timeframe) for call in sandbox.requests.candles]
    assert sorted(asked) == [("ETH-USD", "4h"), ("SOL-USD", "1m")]


def test_a_run_that_was_taken_over_asks_nothing_and_leaves_nothing(sandbox, redis, exchange, rest):
    redis.set(f"exchange:{exchange.pk}:epoch", 2)
    stale = CandleCache(redis, exchange.pk, epoch=1)
    with pytest.raises(Fenced):
        SmartWarmupService(redis, exchange.pk, rest, cache=stale).warmup(SYMBOLS)
    assert not sandbox.requests.candles
    assert not redis.keys(f"exchange:{exchange.pk}:warm-up-schedule:*")


def test_the_schedule_is_written_before_the_first_call(service, sandbox, redis, exchange):
    sandbox.faults.add("status", status=451)
    with pytest.raises(Blocked):
        service.warmup(SYMBOLS)
    stored = json.loads(redis.get(f"exchange:{exchange.pk}:warm-up-schedule:symbols"))
    assert stored["needsFetching"] == 18
    assert sandbox.requests.candles == []


def test_a_failing_pair_is_recorded_and_the_others_go_on(service, sandbox, stored_stats):
    sandbox.faults.add("status", status=400, symbol="ETH-USD", timeframe="1h")
    service.warmup(SYMBOLS)
    found = stored_stats()
    assert (found["status"], found["completedPairs"], found["failedPairs"]) == ("complete", 17, 1)
    [failure] = found["failures"]
    assert (failure["symbol"], failure["timeframe"]) == ("ETH-USD", "1h")
    assert "HTTP 400" in failure["error"]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "truncated", "cut": "json"},
        {"kind": "truncated", "cut": "length"},
        {"kind": "html200"},
        {"kind": "reset"},
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 429, "retry_after": 1},
    ],
    ids=lambda fault: "-".join(str(value) for value in fault.values()),
)
def test_a_passing_fault_is_ridden_out(service, sandbox, fault, redis, exchange, truth):
    sandbox.faults.add(**fault, endpoint="klines", times=2)
    service.warmup(["BTC-USD"], ["1d"])
    assert service.stats.failed == 0
    assert rows(redis, exchange, "BTC-USD", "1d") == truth("BTC-USD", Timeframe.D1, columns=True)


PAGE = {"kind": "status", "status": 403}


@pytest.mark.parametrize("name", ["exchange", "coinbase"])
def test_one_page_of_a_firewall_costs_no_pair(request, redis, open_rest, sandbox, name):
    row = request.getfixturevalue(name)
    symbols = [item.symbol for item in open_rest(row).list_symbols() if item.is_trading]
    page = sandbox.faults.add(**PAGE, endpoint="klines" if name == "exchange" else "candles")
    page.times = 1
    service = SmartWarmupService(redis, row.pk, open_rest(row))
    service.warmup(symbols)
    assert (page.hits, service.stats.completed, service.stats.failed) == (1, 108, 0)


@pytest.mark.parametrize("name", ["exchange", "coinbase"])
@pytest.mark.parametrize("seconds", [0.5, 1.7])
def test_pages_that_last_are_waited_out(request, redis, open_rest, sandbox, name, seconds):
    row = request.getfixturevalue(name)
    page = sandbox.faults.add(**PAGE)
    threading.Timer(seconds, sandbox.faults.remove, [page]).start()
    service = SmartWarmupService(redis, row.pk, open_rest(row))
    service.warmup(SYMBOLS)
    assert page.hits
    assert (service.stats.completed, service.stats.failed) == (18, 0)


def test_pages_for_minutes_end_the_run_and_are_told(service, sandbox, monkeypatch, stored_stats):
    monkeypatch.setattr("exchanges.rest.pacing.pacer.TURNED_AWAY_SECONDS", 1)
    monkeypatch.setattr("exchanges.rest.client.PAUSE_SECONDS", 0.2)
    sandbox.faults.add(**PAGE, endpoint="klines")
    with pytest.raises(TurnedAway, match="has turned this address away"):
        service.warmup(SYMBOLS)
    assert (stored_stats()["status"], stored_stats()["failures"]) == ("error", [])


def test_a_pair_that_alone_is_turned_away_fails_alone(service, sandbox, monkeypatch):
    monkeypatch.setattr("exchanges.rest.client.PAUSE_SECONDS", 0.2)
    sandbox.faults.add(**PAGE, symbol="BTC-USD", timeframe="1d")
    service.warmup(SYMBOLS)
    assert (service.stats.completed, service.stats.failed) == (17, 1)


@pytest.mark.parametrize("name", ["exchange", "coinbase"])
def test_one_401_costs_no_pair(request, redis, open_rest, sandbox, name):
    row = request.getfixturevalue(name)
    refusal = sandbox.faults.add("status", status=401, times=1)
    service = SmartWarmupService(redis, row.pk, open_rest(row))
    service.warmup(SYMBOLS)
    assert (refusal.hits, service.stats.completed, service.stats.failed) == (1, 18, 0)


@pytest.mark.parametrize("chance", [0.5, 1.0])
def test_a_key_that_is_refused_costs_no_pair(
    redis, open_rest, sandbox, coinbase, monkeypatch, caplog, chance
):
    monkeypatch.setattr(key, "_STATES", {})
    monkeypatch.setenv("COINBASE_MY_KEY", "8f1ac569-ed29-48ae-b989-6798a975afab")
    monkeypatch.setenv("COINBASE_MY_SECRET", base64.b64encode(32 * b"s").decode())
    names = {"api_key_env": "COINBASE_MY_KEY", "api_secret_env": "COINBASE_MY_SECRET"}
    user = get_user_model().objects.create(username="trader")
    account = UserExchange(user=user, exchange=coinbase, display_name="mine", **names)
    account.save()
    Exchange.objects.filter(pk=coinbase.pk).update(account=account)
    sandbox.scenarios.add("rest_401", chance=chance)
    service = SmartWarmupService(redis, coinbase.pk, open_rest(coinbase))
    service.warmup(SYMBOLS)
    assert (service.stats.completed, service.stats.failed) == (18, 0)
    signed = sandbox.faults.active[0].hits
    assert 0 < signed <= 2 * coinbase.batch_size if chance == 1 else signed
    assert len([text for text in caplog.messages if "key_refused" in text]) <= 1


@pytest.mark.parametrize("way", ODD_LIMITS)
def test_limits_in_another_form_cost_no_pair(service, sandbox, caplog, way):
    sandbox.faults.add("limits", way=way)
    service.warmup(SYMBOLS)
    assert (service.stats.completed, service.stats.failed) == (18, 0)
    assert len([text for text in caplog.messages if "limits." in text]) == 1


def test_a_fault_that_lasts_fails_its_pair_alone(service, sandbox):
    sandbox.faults.add("truncated", cut="json", symbol="BTC-USD", timeframe="1d")
    service.warmup(["BTC-USD", "ETH-USD"], ["1d", "1h"])
    assert (service.stats.completed, service.stats.failed) == (3, 1)


def test_bad_candles_are_refused_and_counted_and_asked_for_again(
    service, sandbox, redis, exchange, truth
):
    sandbox.faults.add("bad_rows", way="low_above_high", endpoint="klines", times=1)
    service.warmup(["BTC-USD"], ["1h"])
    kept = rows(redis, exchange, "BTC-USD", "1h")
    expected = truth("BTC-USD", Timeframe.H1, 101, columns=True)
    [missing] = [row for row in expected[1:] if row not in kept]
    covered = CandleCache(redis, exchange.pk).coverage("BTC-USD", Timeframe.H1)
    assert service.stats.refused == 1
    assert [end for _, end in covered][:-1] == [missing[0]]


def test_a_ban_stops_the_run_and_is_told(service, sandbox, stored_stats):
    sandbox.faults.add("status", status=418, retry_after=300, endpoint="klines")
    with pytest.raises(Banned):
        service.warmup(SYMBOLS)
    assert stored_stats()["status"] == "error"
    assert "banned" in stored_stats()["error"]
    assert len(sandbox.requests.candles) <= service._rest.workers


def test_after_a_ban_nothing_is_sent_by_a_new_client_either(
    service, sandbox, redis, exchange, open_rest
):
    sandbox.faults.add("status", status=418, retry_after=300, endpoint="klines")
    with pytest.raises(Banned):
        service.warmup(SYMBOLS)
    let_calls_end()
    sandbox.reset()
    with pytest.raises(Banned):
        SmartWarmupService(redis, exchange.pk, open_rest(exchange)).warmup(SYMBOLS)
    assert sum(sandbox.requests.counts.values()) == 0


def test_a_pause_too_long_to_sit_out_stops_the_run_and_is_told(service, sandbox, stored_stats):
    sandbox.faults.add("status", status=429, retry_after=600, endpoint="klines")
    with pytest.raises(Paused, match="run this again after it"):
        service.warmup(SYMBOLS)
    assert (stored_stats()["status"], stored_stats()["failures"]) == ("error", [])


def test_an_empty_answer_is_no_proof_that_there_is_no_history(service, sandbox, redis, exchange):
    sandbox.faults.add("holes", open_times=list(range(0, 2 * 10**12, Timeframe.D1.ms)))
    service.warmup(["BTC-USD"], ["1d"])
    assert CandleCache(redis, exchange.pk).coverage("BTC-USD", Timeframe.D1) == ()
    sandbox.reset()
    assert service.warmup(["BTC-USD"], ["1d"]).needs_fetching == 1
    assert redis.zcard(f"candles:{exchange.pk}:BTC-USD:1d") == 100


def test_a_display_that_fails_does_not_stop_the_run(redis, exchange, rest, stored_stats):
    def broken(stats):
        raise BrokenPipeError

    SmartWarmupService(redis, exchange.pk, rest, on_progress=broken).warmup(["BTC-USD"])
    assert (stored_stats()["status"], stored_stats()["completedPairs"]) == ("complete", 6)


def test_an_exchange_that_is_gone_is_one_error(db, redis, exchange, open_rest, stored_stats):
    Exchange.objects.filter(pk=exchange.pk).update(rest_url="http://127.0.0.1:9")
    exchange.refresh_from_db()
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9 cannot be reached"):
        SmartWarmupService(redis, exchange.pk, open_rest(exchange)).warmup(SYMBOLS)
    assert stored_stats()["status"] == "error"


def test_an_exchange_that_goes_away_in_the_middle_ends_the_run(service, sandbox, stored_stats):
    sandbox.faults.add("reset", endpoint="klines")
    symbols = ["BTC-USD", "ETH-USD", "SOL-USD", "ADA-USD", "XRP-USD", "LTC-USD"]
    with pytest.raises(Unreachable, match="in a row"):
        service.warmup(symbols)
    assert stored_stats()["status"] == "error"


def test_a_pair_with_a_short_history_is_not_asked_for_twice(service, sandbox, redis, exchange):
    service.warmup(["BTC-USD"], ["1d"])
    key = f"candles:{exchange.pk}:BTC-USD:1d"
    [(_, oldest)] = redis.zrange(key, -20, -20, withscores=True)
    sandbox.faults.add("holes", open_times=list(range(0, int(oldest), Timeframe.D1.ms)))
    redis.delete(key)
    service.warmup(["BTC-USD"], ["1d"])
    assert redis.zcard(key) == 20
    sandbox.reset()
    schedule = service.warmup(["BTC-USD"], ["1d"])
    assert (schedule.needs_fetching, schedule.exhausted_pairs) == (0, 1)
    assert sandbox.requests.candles == []


def test_no_key_is_written_that_the_contract_does_not_name(service, redis, exchange, sandbox):
    service.warmup(SYMBOLS)
    number = exchange.pk
    host = sandbox.url.removeprefix("http://")
    known = {f"exchange:{number}:warm-up-schedule:{what}" for what in ("symbols", "stats")}
    known |= {f"pacing:{host}"}
    for symbol in SYMBOLS:
        for timeframe in LONGEST_FIRST:
            known |= {f"{what}:{number}:{symbol}:{timeframe}" for what in ("candles", "coverage")}
    assert {key.decode() for key in redis.scan_iter()} == known
