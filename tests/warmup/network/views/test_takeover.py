"""Taking over what is held elsewhere."""

import pytest
from django.contrib.admin.models import LogEntry

from livermore.market import keys
from tests.warmup.network.operators import agent, held_by
from tests.warmup.network.views.addresses import RUNNING, STOPPED, url, wanted

pytestmark = pytest.mark.django_db


def test_what_is_held_elsewhere_is_answered_with_its_holder_and_a_form(redis, row, script):
    held_by(redis, row)
    status, answer = script("connect", row)
    assert (status, answer["ok"]) == (409, False)
    assert "sandbox is held by host-1 (10.0.0.9)" in answer["text"]
    for text in ("host-1", "10.0.0.9", "4711", 'name="holder" value="instance-1"'):
        assert text in answer["html"]
    assert "1 min ago" in answer["html"]
    assert "says nothing of itself" in answer["html"]
    assert "<html" not in answer["html"]
    assert (wanted(row), LogEntry.objects.count()) == (STOPPED, 0)


def test_the_form_says_how_old_the_holders_heartbeat_is(redis, row, script):
    held_by(redis, row, state="active")
    redis.pexpire(keys.status(row.pk), 45_000 - 7_000)
    html = script("connect", row)[1]["html"]
    assert "7 s ago" in html or "8 s ago" in html


def test_without_scripts_the_form_is_a_page_of_its_own(redis, row, browser):
    held_by(redis, row)
    response = browser.post(url("connect", row))
    text = response.content.decode()
    assert (response.status_code, "<html" in text) == (409, True)
    assert 'name="holder" value="instance-1"' in text
    assert "csrfmiddlewaretoken" in text


def test_a_confirmed_take_over_is_asked_of_the_agents(redis, row, script):
    agent(redis)
    held_by(redis, row)
    status, answer = script(
        "connect", row, holder="instance-1", confirm="sandbox", reason="it hangs"
    )
    assert (status, answer["ok"]) == (200, True)
    assert wanted(row) == RUNNING
    assert (row.take_over_from, row.take_over_reason) == ("instance-1", "it hangs")
    assert LogEntry.objects.get().get_change_message() == (
        "Take over from host-1 (10.0.0.9), process 4711 (it hangs)"
    )


@pytest.mark.parametrize("scripts", [True, False])
def test_a_take_over_that_is_not_confirmed_comes_back_with_its_errors(
    redis, row, script, browser, scripts
):
    agent(redis)
    held_by(redis, row)
    typed = {"holder": "instance-1", "confirm": '"><script>', "reason": ""}
    if scripts:
        status, answer = script("connect", row, **typed)
        assert set(answer["errors"]) == {"confirm", "reason"}
        text = answer["html"]
    else:
        response = browser.post(url("connect", row), typed)
        status, text = response.status_code, response.content.decode()
    assert status == 400
    assert "write the exchange&#x27;s name: sandbox" in text
    assert "Say why" in text
    assert '"><script>' not in text
    assert (wanted(row), LogEntry.objects.count()) == (STOPPED, 0)


def test_a_holder_that_changed_meanwhile_is_shown_anew(redis, row, script):
    agent(redis)
    held_by(redis, row, 2)
    status, answer = script(
        "connect", row, holder="instance-1", confirm="sandbox", reason="it hangs"
    )
    assert status == 409
    assert 'name="holder" value="instance-2"' in answer["html"]
    assert 'value="it hangs"' in answer["html"]
    assert (wanted(row), row.take_over_from, LogEntry.objects.count()) == (STOPPED, "", 0)
