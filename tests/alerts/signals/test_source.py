"""Signals from the events of an exchange to alerts: each close once, whatever happens between."""

import pytest
from django.db import DatabaseError
from redis.exceptions import ConnectionError

from alerts.evaluating.evaluator import Evaluator
from alerts.models import Alert, AlertProgress, AlertRule, Delivery, SignalState
from alerts.signals import exchange_signals
from alerts.signals.source import Signals
from exchanges.models import Exchange
from livermore.market import keys
from tests.alerts.signals.market import (
    BEYOND_150,
    BEYOND_200,
    BTC,
    MINUTE_MS,
    TURNS,
    Market,
    candles,
    closes_of_drop,
    opens,
)
from warmup.cache.indicators import IndicatorCache

pytestmark = pytest.mark.django_db

BARS = candles(closes_of_drop(40))


def bars(first, last):
    """Return the bars from the first to the last, counted from the drop on; -99 is the oldest."""
    return BARS[99 + first : 100 + last]


@pytest.fixture
def market(redis, no_rules):
    return Market(redis, Exchange.objects.get(name="sandbox").pk)


@pytest.fixture
def evaluator(redis):
    return NewEvaluator(redis)


class NewEvaluator:
    """Looks as a process would that has just started, or one that goes on."""

    def __init__(self, redis):
        self.redis = redis
        self.now_ms = opens(1)
        self.restart()

    def restart(self):
        self._evaluator = Evaluator(self.redis, [Signals()], lambda: self.now_ms / 1000)

    def look(self, bar=None):
        """Look just after a bar has closed."""
        done = self.step(bar)
        assert not done.faults
        return done

    def step(self, bar=None):
        """Do the same, where it may fail."""
        if bar is not None:
            self.now_ms = opens(bar + 1) + 2000
        return self._evaluator.step()


def told():
    """Return what rang, in order: the pair and the first line of each."""
    return [
        f"{name.partition(' (')[0]}: {text.splitlines()[0]}"
        for alert in Alert.objects.filter(is_late=False).order_by("pk")
        for name, text in alert.members.items()
    ]


LEVEL_150 = "BTC-USD 1m: MACD-V is beyond -150"
LEVEL_200 = "BTC-USD 1m: MACD-V is beyond -200"
TURNED = "BTC-USD 1m: the extreme move turns up: its histogram is above 5% of |MACD-V|"


@pytest.fixture
def rules(no_rules):
    return [AlertRule.objects.create(what=each, cool_down=0) for each in ("level", "reversal")]


def test_each_close_rings_once_where_the_hand_calculation_puts_it(market, evaluator, rules):
    market.write(bars(-99, 0))
    evaluator.look(0)
    for n in range(1, 30):
        market.close(bars(n, n))
        evaluator.look(n)
        rings = (n >= BEYOND_150, n >= BEYOND_200, n >= TURNS)
        assert len(told()) == sum(rings), n
        if n % 3 == 0:
            evaluator.restart()
        evaluator.look(n)
    assert told() == [LEVEL_150, LEVEL_200, TURNED]


def test_a_message_has_price_stages_and_what_it_stands_on(market, evaluator, rules, redis):
    market.write(bars(-99, 0))
    stored = b'{"value":27.2,"stage":"rallying","coverageComplete":true,"timestamp":1795046400000}'
    redis.set(keys.indicator(market.number, "BTC-USD", "1h"), stored)
    evaluator.look(0)
    market.close(bars(1, BEYOND_150))
    evaluator.look(BEYOND_150)
    assert Alert.objects.get().text == (
        f"sandbox: {LEVEL_150}\n"
        "price 90, MACD-V -167.9, signal -75.4, histogram -92.4, oversold\n"
        "closed 2026-11-19 01:44 UTC\n"
        "1d unknown, 4h unknown, 1h 27 rallying, 15m unknown, 5m unknown, 1m -168 oversold\n"
        "inputs complete"
    )


def test_an_evaluator_that_was_away_rings_the_newest_and_keeps_the_rest_for_the_page(
    market, evaluator, rules, redis
):
    market.write(bars(-99, 0))
    evaluator.look(0)
    market.close(bars(1, 1))
    evaluator.look(1)
    redis.xtrim(keys.events(market.number), 0, approximate=False)  # more were told than are kept
    market.write(bars(2, TURNS - 1))
    market.close(bars(TURNS, TURNS))
    evaluator.restart()
    evaluator.look(TURNS)
    assert told() == [TURNED]
    late = Alert.objects.get(is_late=True)
    assert late.text.startswith("2 levels crossed of sandbox:\n\nBTC-USD 1m: not told, as it came")
    assert late.told_at is None and not Delivery.objects.exists()


def test_a_redis_that_lost_all_tells_no_close_twice(market, evaluator, rules, redis):
    market.write(bars(-99, 0))
    evaluator.look(0)
    market.close(bars(1, BEYOND_200))
    evaluator.look(BEYOND_200)
    redis.flushdb()
    evaluator.look()
    market.close(bars(-99, BEYOND_200), again=True)
    evaluator.look()
    market.close(bars(BEYOND_200 + 1, TURNS))
    evaluator.look(TURNS)
    assert told() == [LEVEL_150, LEVEL_200, TURNED]


def test_who_looked_in_vain_begins_where_the_other_one_stands(market, evaluator, rules, redis):
    market.write(bars(-99, 0))
    other = NewEvaluator(redis)
    evaluator.look(0)
    market.close(bars(1, BEYOND_150))
    other.look(BEYOND_150)
    evaluator.look(BEYOND_150)
    market.close(bars(BEYOND_150 + 1, BEYOND_200))
    evaluator.look(BEYOND_200)
    other.look(BEYOND_200)
    assert told() == [LEVEL_150, LEVEL_200]


def test_a_look_that_could_not_be_written_is_made_again(market, evaluator, rules, monkeypatch):
    market.write(bars(-99, 0))
    evaluator.look(0)
    market.close(bars(1, BEYOND_150))

    def fail(self, *args, **kwargs):
        raise DatabaseError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Alert, "save", fail)
        with pytest.raises(DatabaseError):
            evaluator.look(BEYOND_150)
    assert told() == []
    evaluator.look(BEYOND_150)
    assert told() == [LEVEL_150]


def test_what_a_look_has_no_time_for_the_next_ones_do(market, evaluator, rules, monkeypatch):
    monkeypatch.setattr(exchange_signals, "SECONDS_TO_READ", -1.0)
    market.write(bars(-99, 0))
    evaluator.look(0)
    market.close(bars(1, BEYOND_150))
    evaluator.look(BEYOND_150)
    assert told() == []
    monkeypatch.undo()
    evaluator.restart()
    evaluator.look(BEYOND_150)
    assert told() == [LEVEL_150]


def test_a_candle_that_comes_late_revises_what_was_told(market, evaluator, rules):
    market.write(bars(-99, 0))
    evaluator.look(0)
    market.close(bars(1, 2))
    high = candles([90.0, 97.0, 90.0], opens(3) - MINUTE_MS)[1:2]  # the price was up in bar 3
    market.close(bars(4, BEYOND_200))  # 3 is missing
    evaluator.look(BEYOND_200)
    assert told() == [LEVEL_150, LEVEL_200]
    assert "inputs NOT complete: 1 of 106 bars of 1m are missing" in Alert.objects.get().text
    market.close(high, healed=True, late=True)
    evaluator.look(BEYOND_200)
    assert told()[2:] == [
        f"BTC-USD 1m: revised, as a candle came late: MACD-V beyond {level} is not so"
        for level in (-150, -200)
    ]
    assert "inputs complete" in Alert.objects.first().text
    evaluator.restart()
    evaluator.look(BEYOND_200)
    assert len(told()) == 4


def test_a_candle_that_comes_late_and_changes_nothing_is_silent(market, evaluator, rules):
    market.write(bars(-99, 0))
    evaluator.look(0)
    market.close(bars(1, 2))
    market.close(bars(4, BEYOND_200))
    evaluator.look(BEYOND_200)
    market.close(bars(3, 3), healed=True, late=True)
    evaluator.look(BEYOND_200)
    assert told() == [LEVEL_150, LEVEL_200]


def test_a_rule_rings_from_when_it_is_there(market, evaluator, no_rules):
    market.write(bars(-99, 0))
    evaluator.look(0)
    market.close(bars(1, BEYOND_150))
    evaluator.look(BEYOND_150)
    rule = AlertRule.objects.create(what="level", cool_down=0)
    evaluator.look(BEYOND_150)
    market.close(bars(BEYOND_150 + 1, BEYOND_200))
    evaluator.look(BEYOND_200)
    assert told() == [LEVEL_200]
    rule.delete()
    evaluator.look(BEYOND_200)
    assert not SignalState.objects.exists()
    assert AlertProgress.objects.get().positions["signals"][str(market.number)] == {}


def test_rules_ring_of_what_they_are_about_alone(market, evaluator, no_rules):
    AlertRule.objects.create(what="level", threshold=200, cool_down=0)
    AlertRule.objects.create(what="level", symbols=["ETH-USD"], cool_down=0)
    AlertRule.objects.create(what="level", timeframes=["1h"], cool_down=0)
    AlertRule.objects.create(what="price_below", threshold=95.0, symbols=["BTC-USD"], cool_down=0)
    market.write(bars(-99, 0))
    evaluator.look(0)
    for n in range(1, BEYOND_200 + 1):
        market.close(bars(n, n))
        evaluator.look(n)
    assert told() == ["BTC-USD 1m: the price is below 95", LEVEL_200]


class Meanwhile:
    """A source that lets something happen once, while others look."""

    name = "meanwhile"
    needs_redis = False

    def __init__(self, happen):
        self._happen = [happen]

    def look(self, look):
        while self._happen:
            self._happen.pop()()
        return []


def test_who_began_in_vain_goes_on_from_what_another_one_has_written(
    market, evaluator, rules, redis
):
    market.write(bars(-99, 0))
    sources = [Signals(), Meanwhile(lambda: evaluator.look(0))]
    other = Evaluator(redis, sources, lambda: evaluator.now_ms / 1000)
    assert other.step().in_vain
    market.close(bars(1, BEYOND_150))
    evaluator.look(BEYOND_150)
    assert not other.step().in_vain
    assert SignalState.objects.count() == 1
    market.close(bars(BEYOND_150 + 1, BEYOND_200))
    evaluator.now_ms = opens(BEYOND_200 + 1) + 2000
    other.step()
    assert told() == [LEVEL_150, LEVEL_200]


def test_a_pair_is_followed_in_its_own_place(market, evaluator, rules):
    market.write(bars(-99, 0))
    market.write(bars(-99, 0), "ETH-USD")
    evaluator.look(0)
    market.close(bars(1, BEYOND_150), "ETH-USD")
    market.close(bars(1, 1))
    evaluator.look(BEYOND_150)
    assert told() == [LEVEL_150.replace("BTC", "ETH")]
    assert {row.symbol for row in SignalState.objects.all()} == {BTC.symbol, "ETH-USD"}


def test_a_candle_that_comes_late_of_a_pair_that_was_not_followed_rings_nothing(
    market, evaluator, rules
):
    evaluator.look(0)
    market.write(bars(-99, BEYOND_150))
    market.close(bars(1, 1), healed=True, late=True)
    evaluator.look(BEYOND_150)
    assert told() == []
    market.close(bars(BEYOND_150 + 1, BEYOND_200))
    evaluator.look(BEYOND_200)
    assert told() == [LEVEL_200]


def test_each_pair_cools_down_by_itself(market, evaluator, no_rules):
    AlertRule.objects.create(what="level", cool_down=15)
    for symbol in ("BTC-USD", "ETH-USD"):
        market.write(bars(-99, 0), symbol)
    evaluator.look(0)
    for n in range(1, BEYOND_150 + 18):
        market.close(bars(n, n))
        if n > 1:  # a minute behind
            market.close(bars(n - 1, n - 1), "ETH-USD")
        evaluator.look(n)
    at = [
        (*alert.members, (alert.told_at.timestamp() * 1000 - opens(1) - 2000) // MINUTE_MS)
        for alert in Alert.objects.order_by("told_at")
    ]
    # Both cross -150 and two minutes later -200, one a minute behind.
    assert at == [
        ("BTC-USD 1m", 4), ("ETH-USD 1m", 5), ("BTC-USD 1m", 19), ("ETH-USD 1m", 20)
    ]  # fmt: skip


def test_of_what_was_missed_for_long_the_newest_is_kept(market, evaluator, no_rules):
    AlertRule.objects.create(what="stage", cool_down=0)
    market.write(bars(-99, 0))
    evaluator.look(0)
    market.close(bars(1, 1))
    evaluator.look(1)
    swings = candles([90.0 + 8 * (at // 3 % 2) for at in range(61)], opens(1))[1:]
    market.close(swings)
    evaluator.look(1 + len(swings) + 30)
    late = Alert.objects.get(is_late=True)
    assert len(late.members) == 10
    at = "\n".join(late.members.values())
    assert "closed 2026-11-19 02:38 UTC" in at and "closed 2026-11-19 01:50" not in at


def test_a_state_that_somebody_else_wrote_begins_anew(market, evaluator, rules):
    market.write(bars(-99, 0))
    evaluator.look(0)
    market.close(bars(1, 1))
    evaluator.look(1)
    SignalState.objects.update(state='{"evaluated": 1}')
    evaluator.restart()
    market.close(bars(2, BEYOND_150))
    evaluator.look(BEYOND_150)
    assert told() == [LEVEL_150]


def test_an_exchange_that_can_not_be_read_costs_no_other_and_loses_nothing(
    market, evaluator, rules, redis
):
    other = Exchange.objects.get(name="coinbase").pk
    market.write(bars(-99, 0))
    evaluator.look(0)
    market.close(bars(1, BEYOND_150))
    redis.set(keys.events(other), "not ours")
    evaluator.look(BEYOND_150)
    assert told() == [LEVEL_150]
    redis.delete(keys.events(other))
    elsewhere = Market(redis, other)
    elsewhere.write(bars(-99, 0))
    elsewhere.close(bars(1, BEYOND_150))
    evaluator.look(BEYOND_150)
    assert told() == [LEVEL_150, LEVEL_150]


def test_where_redis_fails_in_the_middle_no_close_is_lost(market, evaluator, rules, monkeypatch):
    market.write(bars(-99, 0))
    evaluator.look(0)
    market.close(bars(1, BEYOND_150))
    with monkeypatch.context() as patched:
        patched.setattr(IndicatorCache, "read_many", _away)
        assert evaluator.step(BEYOND_150).faults == ["signals"]
    assert told() == []
    evaluator.look(BEYOND_150)
    assert told() == [LEVEL_150]


def _away(*_):
    raise ConnectionError("Redis is away")
