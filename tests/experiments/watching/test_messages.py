"""What is looked for in the messages that arrived would be found."""

from datetime import timedelta

import pytest
from django.utils import timezone

from alerts.delivery.senders import AGAIN
from alerts.models import Alert, AlertChannel, AlertRule, Delivery
from tests.experiments.watching.messages import Messages, faults_of_alerts
from tests.experiments.watching.webhook import Doubt, Told

pytestmark = pytest.mark.django_db

BEGAN, OVER = "it began", "it is over"


class Kept:
    """What a webhook would have taken."""

    def __init__(self):
        self.taken, self.unanswered, self.failed = [], [], {}


@pytest.fixture
def messages():
    channel = AlertChannel.objects.create(name="phone", variable="LIVERMORE_NOTIFY_TEST")
    return Messages(Kept(), channel, [])


@pytest.fixture
def told(messages):
    """Return the two deliveries of an alert that was told, and told to be over."""
    now = timezone.now()
    alert = _alert(now, resolved_at=now)
    return [_delivery(messages, alert, text) for text in (BEGAN, OVER)]


def _alert(now, **more):
    rule = AlertRule.objects.filter(what="stale").first()
    return Alert.objects.create(
        rule=rule, what="stale", text=BEGAN, members={"BTC-USD 1m": "it was so"}, first_seen=now,
        last_seen=now, **more,
    )  # fmt: skip


def _delivery(messages, alert, text):
    now = timezone.now()
    delivery = Delivery.objects.create(
        alert=alert, channel=messages.channel, is_end=text == OVER, text=text, state="delivered",
        next_try_at=now, created_at=now, changed_at=now,
    )  # fmt: skip
    arrives(messages, delivery)
    return delivery


def arrives(messages, delivery, text="", later=0):
    """Let a message arrive, so many seconds later than now."""
    at = timezone.now().timestamp() + later
    messages.webhook.taken.append(Told(at, delivery.pk, text or delivery.text))


def kill(messages, delivery, later=0):
    """Let the sender of a message have been killed before it could note what came of it."""
    messages._kills.append(Doubt(timezone.now().timestamp() + later, delivery.pk))


def test_each_once_and_its_end_is_as_it_should_be(messages, told):
    assert list(messages.faults()) == []
    assert list(faults_of_alerts()) == []
    assert messages.begun() == {"stale": 1}


def test_what_is_told_twice_is_found(messages, told):
    arrives(messages, told[0])
    assert any("told 2 times" in text for text in messages.faults())


def test_once_more_for_each_kill_that_met_it_is_no_fault(messages, told):
    for later in (20, 40):
        arrives(messages, told[1], AGAIN + OVER, later=later)
        assert any("no kill is why" in text for text in messages.faults())
        kill(messages, told[1], later=later - 19)
        assert list(messages.faults()) == []
        assert messages.again() == (1, 0)
    arrives(messages, told[1], AGAIN + OVER, later=60)
    assert any("told 4 times, and no kill is why" in text for text in messages.faults())


@pytest.mark.parametrize("later", [-30, 30])
def test_a_kill_at_another_time_or_of_another_sender_excuses_nothing(messages, told, later):
    arrives(messages, told[1], AGAIN + OVER, later=20)
    kill(messages, told[1], later=later)
    kill(messages, told[0], later=1)
    assert any("no kill is why" in text for text in messages.faults())


def test_what_is_told_again_has_to_say_so(messages, told):
    arrives(messages, told[1], later=20)
    kill(messages, told[1], later=1)
    assert any("says that it is told again: False" in text for text in messages.faults())


def test_what_says_that_it_is_told_again_has_to_be(messages, told):
    messages.webhook.taken.pop()
    arrives(messages, told[1], AGAIN + OVER, later=20)
    assert any("says that it is told again: True" in text for text in messages.faults())
    messages.webhook.unanswered.append(Doubt(timezone.now().timestamp(), told[1].pk))
    assert list(messages.faults()) == []
    assert messages.again() == (0, 1)


def test_what_is_told_to_nobody_is_found(messages, told):
    messages.webhook.taken.pop()
    assert any("told 0 times" in text for text in messages.faults())


def test_an_end_that_is_not_told_is_found(messages, told):
    told[1].delete()
    messages.webhook.taken.pop()
    assert any("its end was told 0 times" in text for text in messages.faults())


def test_an_end_that_is_told_first_is_found(messages, told):
    messages.webhook.taken.reverse()
    found = list(messages.faults())
    assert any("its end was told first" in text for text in found)
    assert any("out of order" in text for text in found)


def test_a_subject_in_two_alerts_at_the_same_time_is_found(messages, told):
    _alert(timezone.now() - timedelta(minutes=1))
    assert any("twice at the same time" in text for text in faults_of_alerts())


def test_what_happened_once_and_is_in_two_alerts_is_found(messages, told):
    for _ in range(2):
        _alert(timezone.now(), resolved_at=timezone.now(), is_moment=True)
    assert any(text == "twice: it was so" for text in faults_of_alerts())
