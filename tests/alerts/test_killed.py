"""Whoever dies, whatever is lost: each event is told once, and its end once."""

import pytest
from django.db import connection
from django.utils import timezone

from alerts.models import Alert, AlertChannel, AlertProgress, AlertRule, Delivery
from exchanges.models import Exchange, Symbol
from livermore.market import keys
from tests.alerts.looked import Looked
from tests.warmup.runners import end, processes, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SYMBOLS = ["BTC-USD", "ETH-USD", "SOL-USD"]
EVALUATE = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "livermore.settings"
django.setup()
from django_redis import get_redis_connection
from alerts.evaluating.service import AlertService
from alerts.events.sources import all_sources
AlertService(get_redis_connection("default"), all_sources(), 0.1, 1.5).run()
"""


class Killed(BaseException):
    """Stands for the end of the process at a statement."""


def killed_at(number):
    """Return what lets a process end at its so manieth statement."""
    left = iter(range(number, -1, -1))

    def execute(run, sql, params, many, context):
        if next(left, 1) == 0:
            raise Killed
        return run(sql, params, many, context)

    return connection.execute_wrapper(execute)


def test_wherever_a_look_is_killed_each_event_is_told_once(redis, no_rules):
    """At each statement in turn, until a look gets through."""
    channel = AlertChannel.objects.create(name="phone", variable="LIVERMORE_NOTIFY_TEST")
    AlertRule.objects.create(what="halted", channel=channel, cool_down=0)
    AlertRule.objects.create(what="take_over", channel=channel, cool_down=0)
    AlertProgress.objects.get_or_create(pk=1)
    number, kills = 0, 0
    while True:
        looked = Looked(redis)
        with killed_at(number):
            try:
                looked.happens("take_over", "")
                break
            except Killed:
                kills += 1
        number += 1
        looked.see("halted", f"S{number}-USD", at=number)
        looked.see("halted", at=number)
    assert kills > 5
    assert [each for each in looked.messages if "it was so" in each] == ["sandbox: it was so"]
    halted = [each for each in looked.messages if "S1-USD" in each]
    assert len(halted) == 2  # it began, and was over


def add_symbols():
    exchange = Exchange.objects.get(name="sandbox")
    for each in SYMBOLS:
        base, quote = each.split("-")
        Symbol.objects.create(
            exchange=exchange, symbol=each, native_symbol=base + quote, base=base, quote=quote,
            is_monitored=True,
        )  # fmt: skip


def become(status, *symbols):
    Symbol.objects.filter(symbol__in=symbols).update(status=status)


def test_killed_taken_over_and_with_redis_lost(redis, channel, receiver, no_rules):
    AlertRule.objects.create(what="halted", channel=channel, cool_down=0)
    add_symbols()
    with processes() as start:
        first = start(code=EVALUATE)
        wait_until(lambda: redis.exists(keys.alerts_turn()))
        second = start(code=EVALUATE)
        become("halted", "BTC-USD")
        wait_until(lambda: Delivery.objects.filter(state="delivered").exists())
        first.kill()
        become("halted", "ETH-USD")  # while nobody looks
        wait_until(lambda: len(receiver.told) == 2)
        redis.flushall()
        become("halted", "SOL-USD")
        wait_until(lambda: len(receiver.told) == 3)
        become("trading", "BTC-USD")
        wait_until(lambda: Delivery.objects.filter(state="delivered").count() == 4)
        status, _, _ = end(second)
        assert status in (-15, 143)
    assert [each.partition(": ")[2] for each in receiver.messages[:3]] == [
        f"{symbol}: it is halted" for symbol in SYMBOLS
    ]
    assert receiver.messages[3].endswith("sandbox: BTC-USD: it is halted")
    assert len(receiver.told) == 4
    assert Alert.objects.filter(resolved_at=None).count() == 2
    assert AlertProgress.objects.get().looked_at < timezone.now()
