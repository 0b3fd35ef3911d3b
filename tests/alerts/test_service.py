"""The evaluator's process: one at a time, what is old goes, and whether all is well."""

from datetime import timedelta

import pytest
from django.utils import timezone

from alerts.delivery.senders import Senders
from alerts.evaluating.retention import KEPT, Retention
from alerts.evaluating.service import AlertService
from alerts.evaluating.turn import Turn
from alerts.models import Alert, Delivery
from livermore.market import keys

pytestmark = pytest.mark.django_db(transaction=True)


def alert(**values):
    now = timezone.now()
    usual = {"what": "ban", "text": "a", "first_seen": now, "last_seen": now}
    return Alert.objects.create(**usual | values)


def test_one_has_the_turn_until_it_gives_it_back_or_loses_it(redis):
    first, second = Turn(redis), Turn(redis)
    assert (first.take(), second.take(), first.take()) == (True, False, True)
    first.give_back()
    assert (second.take(), first.take()) == (True, False)
    redis.delete(keys.alerts_turn())  # as where Redis lost its data
    assert (first.take(), second.take()) == (True, False)


def test_what_was_over_long_ago_is_deleted_and_nothing_else(channel):
    now = timezone.now()
    old = alert(resolved_at=now - KEPT - timedelta(days=1))
    times = {"next_try_at": now, "created_at": now, "changed_at": now}
    Delivery.objects.create(alert=old, channel=channel, text="a", **times)
    kept = [alert(resolved_at=now - KEPT + timedelta(days=1)), alert()]
    Retention().step()
    assert list(Alert.objects.order_by("pk")) == kept
    assert not Delivery.objects.exists()


def test_all_is_well_once_it_looked_and_no_channel_refuses_for_long(redis, channel):
    service = AlertService(redis, [])
    assert service.why_not_well() != ""
    service.step()
    assert service.why_not_well() == ""
    now = timezone.now()
    times = {"next_try_at": now, "created_at": now - timedelta(minutes=11), "changed_at": now}
    Delivery.objects.create(alert=alert(), channel=channel, text="a", tries=3, **times)
    assert service.why_not_well() == Senders().why_not_well() == "the channel phone takes nothing"
