"""API clients in the admin, as somebody meets it who has never seen it."""

import re
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.urls import reverse

from serving.models import ApiClient, digest
from tests.warmup.network.operators import person

pytestmark = pytest.mark.django_db
TOKEN = re.compile(r"<code>(lm_[\w-]{40,})</code>")
LIST = reverse("admin:serving_apiclient_changelist")
VALUES = {"name": "freqtrade-1", "is_active": "on", "requests_per_second": "50", "sockets": "20"}


@pytest.fixture(autouse=True)
def ada(client, redis):
    client.force_login(get_user_model().objects.create_superuser("ada", password="x"))


def add(client, **values):
    return client.post(reverse("admin:serving_apiclient_add"), VALUES | values)


def change(client, row, **values):
    return client.post(reverse("admin:serving_apiclient_change", args=[row.pk]), VALUES | values)


def errors(answer):
    return re.findall(r'<ul class="errorlist"[^>]*><li>([^<]*)', answer.content.decode())


def test_a_token_is_shown_once_and_nowhere_later(client):
    form = client.get(reverse("admin:serving_apiclient_add")).content.decode()
    assert "Its token is shown once, when this is saved." in form
    assert "_addanother" not in form
    answer = add(client)
    (token,) = TOKEN.findall(answer.content.decode())
    assert "no-store" in answer["Cache-Control"]
    row = ApiClient.objects.get()
    assert row.token_digest == digest(token)
    for path in (LIST, reverse("admin:serving_apiclient_change", args=[row.pk])):
        text = client.get(path).content.decode()
        assert token not in text
        assert row.token_digest not in text
        assert "never" in text  # seen
    assert token not in str(LogEntry.objects.values())


def test_the_form_says_of_limits_what_the_model_does(client):
    form = unescape(client.get(reverse("admin:serving_apiclient_add")).content.decode())
    for name in ("requests_per_second", "sockets"):
        assert ApiClient._meta.get_field(name).help_text in form
    assert "more are answered with HTTP 429" in form


def test_a_new_token_ends_the_old_one_by_a_button_or_for_many(client):
    add(client)
    row = ApiClient.objects.get()
    old = row.token_digest
    answer = change(client, row, sockets="7", _new_token="Save and give a new token")
    (token,) = TOKEN.findall(answer.content.decode())
    row.refresh_from_db()
    assert (row.token_digest, row.sockets) == (digest(token), 7)
    assert row.token_digest != old
    assert "token" in str(LogEntry.objects.first())
    add(client, name="second")
    chosen = [str(each) for each in ApiClient.objects.values_list("pk", flat=True)]
    answer = client.post(LIST, {"action": "give_new_tokens", "_selected_action": chosen})
    assert len(TOKEN.findall(answer.content.decode())) == 2


def test_what_is_changed_without_that_keeps_its_token(client):
    add(client)
    row = ApiClient.objects.get()
    answer = change(client, row, name="other", is_active="")
    assert answer.status_code == 302
    after = ApiClient.objects.get()
    assert (after.name, after.is_active) == ("other", False)
    assert after.token_digest == row.token_digest


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"name": " "}, "Give it a name."),
        ({"name": "freqtrade-1"}, "There is an API client of this name already."),
        ({"name": "a\u202eb"}, "A name holds only characters that can be seen."),
        ({"name": "x" * 101}, "Ensure this value has at most 100 characters (it has 101)."),
        ({"name": "b", "sockets": "0"}, "Ensure this value is greater than or equal to 1."),
        ({"name": "b", "requests_per_second": "-1"},
         "Ensure this value is greater than or equal to 0."),
        ({"name": "b", "requests_per_second": "many"}, "Enter a whole number."),
        ({"name": "b", "requests_per_second": ""}, "This field is required."),
    ],
)  # fmt: skip
def test_what_is_wrong_gets_one_clear_line(client, values, line):
    add(client)
    answer = add(client, **values)
    assert errors(answer)[:1] == [line]
    assert ApiClient.objects.count() == 1


def test_who_may_only_look_gets_no_button(client):
    add(client)
    row = ApiClient.objects.get()
    path = reverse("admin:serving_apiclient_change", args=[row.pk])
    assert "_new_token" in client.get(path).content.decode()
    client.force_login(person("bob", "view_apiclient"))
    page = client.get(path)
    assert page.status_code == 200
    assert "_new_token" not in page.content.decode()
    assert change(client, row, _new_token="x").status_code == 403
