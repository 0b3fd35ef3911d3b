"""Who is let in to the Network page's addresses, and led there."""

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from exchanges.models import UserExchange
from tests.warmup.network.operators import person
from tests.warmup.network.views.addresses import ACTIONS, JSON, RUNNING, STOPPED, url, wanted

pytestmark = pytest.mark.django_db


# -- Who is let in


def test_the_addresses_lie_below_the_admin():
    assert url("page") == "/admin/network/"
    for name in ACTIONS:
        assert reverse(f"network:{name}", args=[4]) == f"/admin/network/4/{name}/"
    assert reverse("network:pair", args=[4, "BTC-USD", "1h"]) == (
        "/admin/network/4/pairs/BTC-USD/1h/"
    )


@pytest.mark.parametrize("name", ACTIONS)
def test_nothing_is_changed_by_get(row, browser, name):
    for accept in ("text/html", JSON):
        assert browser.get(url(name, row), headers={"Accept": accept}).status_code == 405
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("name", [*ACTIONS, "setup"])
def test_who_may_only_look_is_refused(row, client, name):
    client.force_login(person("viewer", "view_exchange"))
    page = client.post(url(name, row), {"display_name": "Mine"})
    assert (page.status_code, "You may not do this" in page.content.decode()) == (403, True)
    answer = client.post(url(name, row), headers={"Accept": JSON})
    assert (answer.status_code, answer.json()["ok"]) == (403, False)
    assert (wanted(row), LogEntry.objects.count(), UserExchange.objects.count()) == (STOPPED, 0, 0)


def test_who_may_look_sees_the_page_without_its_buttons(row, client):
    client.force_login(person("viewer", "view_exchange"))
    for address in (url("page"), url("signals"), url("pair", row, "BTC-USD", "1h")):
        response = client.get(address)
        assert response.status_code == 200
        assert "formaction" not in response.content.decode()
        assert "data-action" not in response.content.decode()


def test_who_may_operate_sees_the_buttons(row, page):
    text, status = page("page")
    assert (status, url("connect", row) in text) == (200, True)


@pytest.mark.parametrize(
    ("permissions", "values"),
    [((), {}), (("operate_exchange", "view_exchange"), {"is_staff": False})],
    ids=["no permission", "no staff"],
)
def test_others_see_nothing(row, client, permissions, values):
    client.force_login(person("other", *permissions, **values))
    assert client.get(url("page")).status_code in (302, 403)
    assert client.get(url("page"), headers={"Accept": JSON}).status_code == 403
    assert client.get(url("signals"), headers={"Accept": JSON}).status_code == 403
    assert client.post(url("connect", row), headers={"Accept": JSON}).status_code == 403
    assert wanted(row) == STOPPED


def test_who_has_no_login_is_sent_to_it_and_scripts_are_told(row, client):
    login = reverse("admin:login")
    pair = url("pair", row, "BTC-USD", "1h")
    assert client.get(pair).url == f"{login}?next={pair}"
    assert client.post(url("stop", row)).url == f"{login}?next={url('page')}"
    answer = client.post(url("stop", row), headers={"Accept": JSON})
    assert (answer.status_code, answer.json()["text"]) == (
        401,
        "Log in again: the session has ended.",
    )


def test_a_post_without_the_token_is_refused(row, ada):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    assert strict.post(url("connect", row)).status_code == 403
    assert wanted(row) == STOPPED
    strict.get(url("page"))
    token = strict.cookies["csrftoken"].value
    strict.post(url("connect", row), {"csrfmiddlewaretoken": token})
    assert wanted(row) == RUNNING


# -- The index


@pytest.mark.parametrize(
    ("permissions", "linked"),
    [(("operate_exchange",), True), (("view_exchange",), True), (("view_symbol",), False)],
)
def test_the_admins_index_leads_to_it(client, permissions, linked):
    client.force_login(person("somebody", *permissions))
    text = client.get(reverse("admin:index")).content.decode()
    assert ('href="/admin/network/"' in text) is linked
    assert ('href="/admin/network/signals/"' in text) is linked
    assert "Recent actions" in text
