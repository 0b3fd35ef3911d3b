"""The page of an exchange's past: who sees it, and what stands there."""

from datetime import timedelta

import pytest
from django.utils import timezone

from exchanges.models import Episode
from tests.warmup.network.operators import person
from tests.warmup.network.views.addresses import JSON, url

pytestmark = pytest.mark.django_db


@pytest.fixture
def broken(row):
    """An exchange whose runner died an hour ago, and that goes on with another since."""
    now = timezone.now()
    died, again = now - timedelta(hours=1), now - timedelta(minutes=50)
    common = {"exchange": row, "count": 0}
    gone = {"ending": "ended without a word", "seen_at": died, "ended_at": died}
    since = now - timedelta(hours=20)
    for kind, tone, text, began_at, fields in (
        ("run", "good", "a <b> (10.0.0.1), process 7", since, gone),
        ("run", "good", "c (10.0.0.2), process 8", again, {"seen_at": now}),
        ("state", "good", "Active: streaming", since, gone | {"ending": ""}),
        ("state", "bad", "Offline: waits for an agent", died,
         {"seen_at": again, "ended_at": again}),
        ("state", "good", "Active: streaming", again, {"seen_at": now}),
    ):  # fmt: skip
        Episode.objects.create(
            kind=kind, tone=tone, text=text, began_at=began_at, **common | fields
        )
    return row


def test_it_says_when_it_broke_and_that_a_runner_said_no_word(broken, page):
    text, status = page("past", broken)
    assert status == 200
    assert "1 break, 10 min in all" in text
    assert "ended without a word; last seen at" in text
    assert "Offline: waits for an agent" in text
    assert "a &lt;b&gt; (10.0.0.1), process 7" in text
    assert text.count('<a href="?day=') == 30


def test_a_day_can_be_chosen_and_what_is_none_is_told(broken, page):
    today = f"{timezone.now():%Y-%m-%d}"
    text, status = page("past", broken, day=today)
    assert (status, 'aria-current="page"' in text) == (200, True)
    for day in ("yesterday", "2001-01-01", "9999-12-31", "2026-13-40", "\0", "<b>"):
        text, status = page("past", broken, day=day)
        assert status == 400 and "<b>:" not in text, day


def test_a_script_gets_it_as_json(broken, browser):
    found = browser.get(url("past", broken), headers={"Accept": JSON}).json()
    assert [(each["kind"], each["tone"]) for each in found["episodes"]] == [
        ("State", "good"), ("Run by", "good"), ("State", "bad"), ("State", "good"),
        ("Run by", "good"),
    ]  # fmt: skip
    assert found["episodes"][-1]["note"].startswith("ended without a word; last seen at")


def test_where_nobody_looked_it_says_so(row, page):
    text, status = page("past", row)
    assert status == 200 and "no agent looked" in text and "Nobody looked for 1 d." in text


def test_who_may_not_view_sees_nothing(broken, client):
    client.force_login(person("mallory"))
    assert client.get(url("past", broken)).status_code == 403
    assert client.post(url("past", broken)).status_code in (403, 405)
