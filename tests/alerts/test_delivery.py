"""Messages on their way: tried again, in order, none held up by another channel, no secret told."""

import json
import logging
import threading
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from alerts.delivery import senders
from alerts.delivery.dead_man import DeadMan
from alerts.delivery.senders import AGAIN, Senders
from alerts.delivery.sending import service_at, tell
from alerts.evaluating.service import AlertService
from alerts.models import Alert, AlertChannel, Delivery
from livermore.market import keys
from livermore.observing.redaction import redacted
from tests.alerts.receiver import Receiver
from tests.warmup.runners import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "s3cret-t0ken-of-a-webhook"


@pytest.fixture
def sending():
    found = Senders()
    yield found
    found.stop()


def queue(channel, *texts, **values):
    now = timezone.now()
    times = {"next_try_at": now, "created_at": now, "changed_at": now}
    for text in texts:
        alert = Alert.objects.create(what="stale", text=text, first_seen=now, last_seen=now)
        made = {"alert": alert, "channel": channel, "text": text} | times | values
        Delivery.objects.create(**made)


def state(**values):
    return Delivery.objects.filter(**values).count()


def test_messages_arrive_in_order_each_with_a_key_of_its_own(channel, receiver, sending):
    queue(channel, *"abc")
    sending.step()
    wait_until(lambda: state(state="delivered") == 3)
    assert receiver.messages == ["a", "b", "c"]
    assert len({key for key, _ in receiver.told}) == 3
    assert receiver.agents == {"Livermore"}


def test_what_is_refused_is_tried_again_until_it_is_taken(channel, receiver, sending, monkeypatch):
    monkeypatch.setattr(senders, "delay_after", lambda tries: 0)
    monkeypatch.setattr(senders, "STEP_SECONDS", 0.05)
    monkeypatch.setattr(senders, "PAUSE_SECONDS", 0.05)
    receiver.status = 503
    queue(channel, "a", "b")
    sending.step()
    wait_until(lambda: receiver.calls > 2)
    assert Delivery.objects.first().fault in ("", "the receiver answered HTTP 503")
    assert "takes nothing" not in sending.why_not_well()  # for so short a while
    receiver.status = 200
    wait_until(lambda: state(state="delivered") == 2)
    assert receiver.messages == ["a", "b"]


def test_a_message_that_is_never_taken_holds_up_none_but_its_own_end(
    channel, receiver, sending, monkeypatch
):
    monkeypatch.setattr(senders, "STEP_SECONDS", 0.05)
    monkeypatch.setattr(senders, "PAUSE_SECONDS", 0.05)
    receiver.refuses = "bad"
    queue(channel, "bad", "good")
    bad = Delivery.objects.get(text="bad")
    queue(channel, "over", alert=bad.alert, is_end=True)
    sending.step()
    wait_until(lambda: receiver.messages == ["good"])
    wait_until(lambda: state(text="good", state="delivered"))
    assert state(text="over", state="waiting", tries=0)
    receiver.refuses = None
    Delivery.objects.filter(text="bad").update(next_try_at=timezone.now())
    wait_until(lambda: receiver.messages == ["good", "bad", "over"])


def test_a_channel_that_hangs_holds_up_no_other(channel, receiver, sending, monkeypatch):
    other = Receiver()
    monkeypatch.setenv("LIVERMORE_NOTIFY_OTHER", other.url)
    quick = AlertChannel.objects.create(name="quick", variable="LIVERMORE_NOTIFY_OTHER")
    receiver.hold.clear()
    queue(channel, "slow")
    queue(quick, "fast")
    sending.step()
    wait_until(lambda: other.messages == ["fast"], 3)
    assert receiver.messages == []
    receiver.hold.set()
    wait_until(lambda: state(state="delivered") == 2)
    other.close()


def test_what_a_killed_process_was_sending_is_told_again_as_such(channel, receiver, sending):
    long_ago = timezone.now() - timedelta(minutes=3)
    queue(channel, "a", state="sending", sender="dead", tries=1, changed_at=long_ago)
    queue(channel, "b", state="sending", sender="alive", tries=1)
    sending.step()
    wait_until(lambda: receiver.messages)
    assert receiver.messages == [f"{AGAIN}a"]
    wait_until(lambda: state(state="delivered") == 1)
    assert state(state="sending") == 1


def test_what_came_of_a_message_is_noted_when_the_database_is_back(
    channel, receiver, sending, monkeypatch
):
    """It is away for longer than a sender that says nothing is believed to live."""
    is_away, note = threading.Event(), senders.note

    def note_if_there(*arguments):
        if is_away.is_set():
            raise OperationalError("database is locked")
        note(*arguments)

    monkeypatch.setattr(senders, "note", note_if_there)
    monkeypatch.setattr(senders, "STEP_SECONDS", 0.02)
    monkeypatch.setattr(senders, "SURELY_OVER", timedelta(0))
    is_away.set()
    queue(channel, "a", "b")
    sending.step()
    wait_until(lambda: receiver.messages == ["a"])
    sending.step()
    is_away.clear()
    wait_until(lambda: state(state="delivered", tries=1) == 2)
    assert receiver.messages == ["a", "b"]


def test_what_a_living_sender_has_let_go_is_told_again(channel, receiver, sending):
    """It marked it as being sent, and then the database was away."""
    queue(channel, "a")
    sending.step()
    wait_until(lambda: state(state="delivered") == 1)
    (thread,) = sending._threads.values()
    long_ago = timezone.now() - timedelta(minutes=3)
    queue(channel, "b", state="sending", sender=thread.sender, tries=1, changed_at=long_ago)
    sending.step()
    wait_until(lambda: receiver.messages == ["a", f"{AGAIN}b"])


def test_what_was_not_answered_says_that_it_may_be_known(channel, receiver, sending, monkeypatch):
    monkeypatch.setattr(senders, "delay_after", lambda tries: 0)
    monkeypatch.setattr(senders, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(receiver, "_take", Unanswered(receiver))
    queue(channel, "a", "b")
    sending.step()
    wait_until(lambda: state(state="delivered") == 2)
    assert receiver.messages == ["a", f"{AGAIN}a", "b"]


class Unanswered:
    """Takes the first message without an answer, and answers the others."""

    def __init__(self, receiver):
        self._take, self._receiver = receiver._take, receiver

    def __call__(self, handler, body):
        if self._receiver.told:
            self._take(handler, body)
        else:
            self._receiver.told.append(("", json.loads(body)["message"]))
            handler.close_connection = True


def test_a_receiver_has_half_a_minute_unless_the_address_says_otherwise():
    assert service_at("json://localhost/").socket_read_timeout == 30
    assert service_at("json://localhost/?rto=7").socket_read_timeout == 7


def test_what_takes_long_is_known_to_be_on_its_way(channel, receiver, sending, monkeypatch):
    monkeypatch.setattr(senders, "ALIVE_SECONDS", 0.02)
    receiver.hold.clear()
    queue(channel, "a")
    sending.step()
    wait_until(lambda: receiver.calls)
    at = timezone.now()
    wait_until(lambda: state(state="sending", changed_at__gt=at))
    receiver.hold.set()
    wait_until(lambda: state(state="delivered", tries=1))


def test_in_the_end_it_is_given_up(channel, receiver, sending):
    receiver.status = 400
    queue(channel, "a", tries=senders.MOST_TRIES - 1)
    sending.step()
    wait_until(lambda: state(state="failed", fault="the receiver answered HTTP 400"))


def test_what_does_not_work_is_said_without_the_address(db, monkeypatch, caplog):
    channel = AlertChannel(name="phone", variable="LIVERMORE_NOTIFY_TEST")
    with caplog.at_level(logging.DEBUG):
        assert tell(channel, "a").fault == "LIVERMORE_NOTIFY_TEST is not set where alerts are sent"
        for address, fault in (
            (SECRET, "apprise knows no such address"),
            (f"nothing://{SECRET}", "apprise knows no such address"),
            (f"json://user:{SECRET}@127.0.0.1:1/{SECRET}/", "Connection refused"),
            (f"json://localhost:1/{SECRET}/", "is not called"),
            (f"json://169.254.169.254/{SECRET}/", "LIVERMORE_PRIVATE_EXCHANGE_HOSTS"),
        ):
            monkeypatch.setenv("LIVERMORE_NOTIFY_TEST", address)
            outcome = tell(channel, "a")
            assert not outcome.is_sent and fault in outcome.fault
            assert SECRET not in outcome.fault
            assert redacted(f"so {address} is") == "so *** is"
    assert SECRET not in caplog.text


def test_a_redirect_leads_to_no_private_host(channel, receiver, settings):
    """The first host is allowed, that to which it leads is not."""
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = [f"127.0.0.1:{receiver.port}"]
    receiver.status, receiver.location = 302, "http://127.0.0.1:1/"
    outcome = tell(channel, "a")
    assert not outcome.is_sent
    assert "127.0.0.1 is not called" in outcome.fault


def test_the_dead_mans_address_is_fetched_while_all_is_well_alone(receiver, settings):
    settings.LIVERMORE_DEAD_MAN_URL = f"http://127.0.0.1:{receiver.port}/ping/{SECRET}"
    wrong = []
    man = DeadMan(lambda: wrong[0] if wrong else "")
    assert man.step()
    assert receiver.paths == [f"/ping/{SECRET}"]
    wrong.append("a channel takes nothing")
    assert not man.step()
    assert receiver.calls == 1
    wrong.clear()
    receiver.status = 500
    assert not man.step()
    assert redacted(settings.LIVERMORE_DEAD_MAN_URL) == "***"


def test_a_process_that_waits_for_its_turn_says_nothing_of_the_dead_man(db, redis, caplog):
    redis.set(keys.alerts_turn(), "another's")
    service = AlertService(redis, [])
    assert not service.step()
    assert not DeadMan(service.why_not_well).step()
    assert caplog.text == ""
    redis.delete(keys.alerts_turn())
    assert service.step()
    assert service.why_not_well() == ""
