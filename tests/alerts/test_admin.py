"""Channels and rules in the admin: what is wrong is said in a line, and no address is told."""

import re
from html import unescape

import pytest
from django.urls import reverse
from django.utils import timezone

from alerts.models import Alert, AlertChannel, AlertRule, Delivery
from tests.warmup.network.operators import listed_exchange, person

pytestmark = pytest.mark.django_db

SECRET = "s3cret-t0ken-of-a-webhook"
VARIABLE = "LIVERMORE_NOTIFY_TEST"
CHANNEL = {"name": "phone", "variable": VARIABLE, "is_active": "on"}
RULE = {"what": "stale", "cool_down": "15", "is_active": "on"}


@pytest.fixture
def admin_client(client, redis):
    rights = [
        f"{verb}_{model}"
        for verb in ("add", "change", "view")
        for model in ("alertchannel", "alertrule", "alert", "delivery")
    ]
    client.force_login(person("ada", *rights, "view_exchange"))
    return client


def text_of(answer):
    return unescape(re.sub(r"\s+", " ", answer.content.decode()))


def post(client, name, values, *arguments):
    answer = client.post(reverse(f"admin:alerts_{name}", args=arguments), values, follow=True)
    assert answer.status_code == 200
    return text_of(answer)


def test_a_channel_is_added_by_the_name_of_a_variable(admin_client, monkeypatch):
    monkeypatch.setenv(VARIABLE, f"json://example.org/{SECRET}")
    said = post(admin_client, "alertchannel_add", CHANNEL)
    assert "was added successfully" in said and "is not set" not in said
    assert SECRET not in said
    assert AlertChannel.objects.get().variable == VARIABLE


@pytest.mark.parametrize(
    "variable",
    [f"json://h/{SECRET}", f"json://h/{SECRET}/{80 * 'a'}", "SECRET_KEY", "livermore_notify_a"],
)
def test_an_address_in_place_of_a_name_is_refused_and_not_repeated(admin_client, variable):
    values = CHANNEL | {"variable": variable}
    answer = admin_client.post(reverse("admin:alerts_alertchannel_add"), values)
    assert AlertChannel.objects.count() == 0
    page = answer.content.decode()
    (said,) = re.findall(r'<ul class="errorlist"[^>]*>(.*?)</ul>', page, re.S)
    assert "This is not the name of a variable LIVERMORE_NOTIFY_" in said
    assert SECRET not in page


def test_a_variable_that_is_not_set_is_said(admin_client, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert f"{VARIABLE} is not set in the web server" in post(
        admin_client, "alertchannel_add", CHANNEL
    )
    assert AlertChannel.objects.count() == 1


def test_a_variable_that_holds_no_address_is_said_without_it(admin_client, monkeypatch):
    monkeypatch.setenv(VARIABLE, f"nothing://{SECRET}")
    said = post(admin_client, "alertchannel_add", CHANNEL)
    assert "apprise knows no such address" in said and SECRET not in said
    assert AlertChannel.objects.count() == 0


def test_a_button_sends_a_test(admin_client, channel, receiver):
    page = admin_client.get(reverse("admin:alerts_alertchannel_change", args=[channel.pk]))
    assert 'value="Save and send a test"' in page.content.decode()
    values = CHANNEL | {"_test": "Save and send a test"}
    said = post(admin_client, "alertchannel_change", values, channel.pk)
    assert "Phone: the test message was taken." in said
    assert receiver.messages == [
        "This is a test of the channel phone: alerts of Livermore come here."
    ]
    receiver.status = 404
    said = post(admin_client, "alertchannel_change", values, channel.pk)
    assert "Phone: the receiver answered HTTP 404." in said


def test_a_rule_is_added(admin_client, channel):
    row = listed_exchange()
    values = {"symbols": "btc-usd", "timeframes": ["1h"], "exchange": row.pk}
    post(admin_client, "alertrule_add", RULE | values | {"channel": channel.pk, "threshold": "3"})
    rule = AlertRule.objects.get(exchange=row)
    assert (rule.symbols, rule.timeframes, rule.limit) == (["BTC-USD"], ["1h"], 3)
    listed = text_of(admin_client.get(reverse("admin:alerts_alertrule_changelist")))
    assert "the newest candles are missing" in listed and "3 minutes" in listed


def test_a_rule_about_a_price_is_added_and_shown_with_all_its_digits(admin_client):
    row = listed_exchange()
    values = {"what": "price_above", "symbols": "BTC-USD", "exchange": row.pk}
    post(admin_client, "alertrule_add", RULE | values | {"threshold": "66647.89"})
    listed = text_of(admin_client.get(reverse("admin:alerts_alertrule_changelist")))
    assert "the price is above" in listed and "66647.89 price" in listed


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"what": "ban", "symbols": "BTC-USD"}, "This is about an exchange as a whole"),
        ({"symbols": "NO-USD"}, "does not list NO-USD"),
        ({"what": "halted", "timeframes": ["1h"]}, "This has no timeframe"),
        ({"what": "absent", "timeframes": ["1h"]}, "Name symbols too"),
        ({"quiet_from": "22:00"}, "Quiet hours have a beginning and an end"),
        ({"quiet_from": "22:00", "quiet_until": "22:00"}, "They begin and end at the same time"),
        ({"exchange": "", "symbols": "BTC-USD, NO-USD"}, "No exchange lists NO-USD"),
        ({"what": "redis_away"}, "This is about the whole installation: choose no exchange"),
        ({"threshold": "-1"}, "It is from 0 to 44640"),
        ({"what": "level", "threshold": "100"}, "It is from 150 to 1000"),
        ({"what": "stage", "threshold": "3"}, "This has no threshold: leave it empty"),
        ({"what": "price_above", "symbols": ""}, "Which price?"),
        ({"what": "price_above", "threshold": "9"}, "A price is one of a symbol: name it"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_in_a_line(admin_client, values, said):
    before = AlertRule.objects.count()
    row = listed_exchange()
    assert said in post(admin_client, "alertrule_add", RULE | {"exchange": row.pk} | values)
    assert AlertRule.objects.count() == before


def test_what_was_told_is_looked_at_and_tried_again(admin_client, channel):
    now = timezone.now()
    alert = Alert.objects.create(
        what="stale", text="sandbox: BTC-USD 1m: gone\nclosed at noon",
        members={"BTC-USD 1m": "gone"}, first_seen=now, last_seen=now, told_at=now,
    )  # fmt: skip
    delivery = Delivery.objects.create(
        alert=alert, channel=channel, text=alert.text, state="failed", tries=30,
        fault="the receiver answered HTTP 404", next_try_at=now, created_at=now, changed_at=now,
    )  # fmt: skip
    listed = text_of(admin_client.get(reverse("admin:alerts_delivery_changelist")))
    assert "gone" in listed and "closed at noon" not in listed
    listed = text_of(admin_client.get(reverse("admin:alerts_alert_changelist"), {"state": "open"}))
    assert "closed at noon" not in listed
    assert "sandbox: BTC-USD 1m: gone" in listed and "phone: given up" in listed
    one = text_of(admin_client.get(reverse("admin:alerts_alert_change", args=[alert.pk])))
    assert "the receiver answered HTTP 404" in one
    values = {"action": "try_again", "_selected_action": [delivery.pk]}
    assert "1 message will be tried again" in post(admin_client, "delivery_changelist", values)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries) == ("waiting", 0)
