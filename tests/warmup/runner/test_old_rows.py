"""Sessions that are over and log entries of long ago go by themselves."""

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import OperationalError
from django.utils import timezone

from exchanges.models import Episode, Exchange
from livermore.market import keys
from tests.warmup.network.operators import person
from warmup.network.actions.audit import record
from warmup.runner import old_rows
from warmup.runner.agent import Agent
from warmup.runner.old_rows import LOG_DAYS, OldRows

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows():
    """Sessions, and log entries, an old one and a young one of each, as days of age."""
    now = timezone.now()
    for name, days in (("old", 1), ("young", -1)):
        Session.objects.create(session_key=name, expire_date=now - timedelta(days=days))
    user, exchange = person("ada"), Exchange.objects.first()
    for days in (LOG_DAYS + 1, LOG_DAYS - 1):
        record(exchange, user, f"{days}")
        LogEntry.objects.filter(change_message=f"{days}").update(
            action_time=now - timedelta(days=days)
        )


def left():
    sessions = Session.objects.values_list("session_key", flat=True)
    return [*sessions, *LogEntry.objects.values_list("change_message", flat=True)]


YOUNG = ["young", f"{LOG_DAYS - 1}"]


def test_what_is_old_goes_and_the_rest_stays(redis, rows):
    OldRows(redis).step()
    assert left() == YOUNG


@pytest.mark.django_db(transaction=True)
def test_an_agent_does_it(redis, rows):
    Exchange.objects.update(is_active=False)
    Agent(redis, print).step()
    assert left() == YOUNG


def test_many_go_in_pieces(redis, rows, monkeypatch):
    monkeypatch.setattr(old_rows, "ROWS_AT_ONCE", 3)
    now = timezone.now()
    Session.objects.bulk_create(
        Session(session_key=f"{number}", expire_date=now) for number in range(10)
    )
    OldRows(redis).step()
    assert left() == YOUNG


def test_one_of_all_agents_does_it_and_a_day_later_one_does_it_again(redis, rows):
    OldRows(redis).step()
    assert 86_000 < redis.ttl(keys.old_rows_cleared()) <= 86_400
    Session.objects.create(session_key="later", expire_date=timezone.now() - timedelta(days=1))
    other = OldRows(redis)
    other.step()
    assert "later" in left()
    redis.delete(keys.old_rows_cleared())
    other.step()  # it has just looked
    assert "later" in left()
    OldRows(redis).step()
    assert "later" not in left()


def test_who_fails_leaves_it_to_another_soon(redis, rows, monkeypatch):
    def fail(*arguments):
        raise OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(old_rows, "clear_old_rows", fail)
        with pytest.raises(OperationalError):
            OldRows(redis).step()
    assert 0 < redis.ttl(keys.old_rows_cleared()) <= 600


@pytest.mark.django_db(transaction=True)
def test_an_agent_goes_on_where_that_fails(redis, rows, monkeypatch, caplog):
    monkeypatch.setattr(OldRows, "step", lambda self: (_ for _ in ()).throw(OperationalError("no")))
    Exchange.objects.update(is_active=False)
    Agent(redis, print).step()
    assert "agent.old_rows_left error=no" in caplog.text


def test_what_became_of_an_exchange_goes_after_a_month_and_what_goes_on_stays(redis, rows):
    now, exchange = timezone.now(), Exchange.objects.first()
    for days, ended in ((40, 32), (40, 29), (40, None)):
        Episode.objects.create(
            exchange=exchange, kind=f"of {ended}", tone="good", text="",
            began_at=now - timedelta(days=days), seen_at=now,
            ended_at=None if ended is None else now - timedelta(days=ended),
        )  # fmt: skip
    OldRows(redis).step()
    assert set(Episode.objects.values_list("kind", flat=True)) == {"of 29", "of None"}


def test_a_command_does_it_now(redis, rows):
    said = StringIO()
    call_command("clear_old_rows", "--log-days", "7", stdout=said)
    assert said.getvalue() == "cleared 1 sessions, 2 log entries and 0 episodes of exchanges\n"
    assert left() == ["young"]
