"""The drawer of alerts: what it says of each, how many, and to whom."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from alerts.kinds import KINDS
from alerts.models import Alert, AlertChannel, AlertRule, Delivery
from alerts.page import reader, runbook
from livermore.documents.views import documents, read_document
from tests.alerts.page.conftest import alert
from tests.warmup.network.operators import person

JSON = {"Accept": "application/json"}
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>'
MANY = 1000
MOST_QUERIES = 20

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer(client, looked):
    client.force_login(person("eve", "view_exchange"))
    return client


def drawer(client):
    """Return the drawer's list as HTML."""
    return client.get(reverse("alerts:page"), headers=JSON).json()["html"]


def delivery(of, state, *, is_end=False, **values):
    channel, _ = AlertChannel.objects.get_or_create(name="phone", variable="LIVERMORE_NOTIFY_P")
    now = timezone.now()
    times = dict.fromkeys(("next_try_at", "created_at", "changed_at"), now)
    return Delivery.objects.create(
        alert=of, channel=channel, text="…", state=state, is_end=is_end, **times, **values
    )


def test_open_ones_come_first_and_what_was_over_within_a_day(row, viewer):
    alert(row, text="over lately", over=60)
    alert(row, text="over long ago", minutes=3000, over=1500)
    alert(row, text="open for hours", minutes=185)
    html = drawer(viewer)
    assert html.index("open for hours") < html.index("over lately")
    assert "over long ago" not in html
    assert "for 3 h 5 min" in html
    assert f'<a href="/admin/network/#exchange-{row.pk}">Sandbox</a>' in html
    assert "Resolved at " in html
    assert "On the page only" in html


def test_its_pairs_are_links_and_so_many_that_one_can_read_them(row, viewer):
    members = {f"S{n:03}/A-USD 1h": "a hole" for n in range(40)}
    alert(row, members=members, lasting=list(members)[1:])
    html = drawer(viewer)
    assert f'href="/admin/network/{row.pk}/pairs/S001%2FA-USD/1h/"' in html
    assert html.count("<li>") == reader.MEMBERS_SHOWN + 1  # and how it was told
    assert ("40 pairs" in html, "and 28 more" in html) == (True, True)
    assert "S000" not in html  # it is over: those that last come first
    alert(row, "halted", {"BTC-USD": "halted", "ETH-USD": "trades"}, lasting=["BTC-USD"])
    html = drawer(viewer)
    assert f'href="/admin/network/{row.pk}/pairs/BTC-USD/1h/"' in html
    assert html.count(">over</span>") == 1


@pytest.mark.parametrize(
    ("state", "values", "said"),
    [
        ("waiting", {}, 'the message: <span class="alert-tag" data-tone="warn">waiting<'),
        ("waiting", {"tries": 2, "fault": "HTTP 500"}, "waiting: 2 tries: HTTP 500; again at 20"),
        ("delivered", {}, "delivered at 20"),
        ("failed", {"tries": 1, "fault": "HTTP 404"}, "failed: given up after 1 try: HTTP 404"),
        ("sending", {"is_end": True}, 'its end: <span class="alert-tag" data-tone="warn">being'),
    ],
)
def test_where_it_went_is_said(row, viewer, state, values, said):
    delivery(alert(row), state, **values)
    html = drawer(viewer)
    assert said in html
    assert "On the page only" not in html


def test_what_waits_says_why(row, viewer):
    alert(row, told_at=None)
    assert "it waits for the end of a cool-down" in drawer(viewer)
    Alert.objects.update(resolved_at=timezone.now())
    assert "over before it was told" in drawer(viewer)


def test_a_secret_in_what_is_quoted_is_not_shown(row, viewer, monkeypatch):
    monkeypatch.setenv("LIVERMORE_NOTIFY_P", "tgram://123456789:AAFq3kLm9XyZ0Tq/15544")
    told = alert(
        row,
        members={"x": "refused 123456789:AAFq3kLm9XyZ0Tq"},
        text="told 123456789:AAFq3kLm9XyZ0Tq",
    )
    delivery(told, "failed", fault="no 123456789:AAFq3kLm9XyZ0Tq")
    assert "123456789:AAFq3kLm9XyZ0Tq" not in drawer(viewer)


def test_what_a_listing_calls_itself_does_nothing(row, viewer):
    rule = AlertRule.objects.create(what="hole")
    members = {f"{HOSTILE} 1h": HOSTILE, HOSTILE: HOSTILE}
    told = alert(row, text=HOSTILE, members=members, rule=rule)
    delivery(told, "failed", fault=HOSTILE)
    AlertChannel.objects.update(name=HOSTILE)
    type(row).objects.update(display_name=HOSTILE)
    for html in (drawer(viewer), viewer.get(reverse("alerts:page")).content.decode()):
        assert "<img" not in html
        assert "alert(2)</script>" not in html
        assert "&lt;script&gt;alert(2)" in html


def test_of_a_thousand_a_few_are_shown_and_all_are_counted(row, viewer):
    Alert.objects.bulk_create(
        Alert(what="hole", text=f"n{n}", first_seen=(now := timezone.now()), last_seen=now)
        for n in range(MANY)
    )
    with CaptureQueriesContext(connection) as queries:
        html = drawer(viewer)
    assert html.count("<article") == reader.OPEN_SHOWN
    assert f'<span class="alerts-count">{MANY}</span>' in html
    assert f"and {MANY - reader.OPEN_SHOWN} more that are open" in html
    assert len(queries) < MOST_QUERIES


def test_where_nobody_looked_it_says_so_in_place_of_nothing(row, viewer, looked):
    assert "Nothing is open." in drawer(viewer)
    looked(seconds=3600)
    html = drawer(viewer)
    assert "It is not known what is open now:" in html
    assert "Nothing is open." not in html


def test_who_may_not_see_exchanges_sees_no_alerts(row, client, looked):
    alert(row, text="something")
    address = reverse("alerts:page")
    assert client.get(address, headers=JSON).status_code == 401
    client.force_login(person("other", "view_symbol"))
    assert client.get(address, headers=JSON).status_code == 403
    index = client.get(reverse("admin:index")).content.decode()
    assert "data-alerts" not in index
    assert "alerts.js" not in index
    login = client.get(reverse("admin:login")).content.decode()
    assert "data-alerts" not in login


def test_it_is_for_reading_alone(row, viewer):
    assert viewer.post(reverse("alerts:page"), headers=JSON).status_code == 405
    assert "<form" not in drawer(viewer)


@pytest.mark.parametrize(
    "page", ["admin:index", "network:page", "network:signals", "docs:contents"]
)
def test_all_pages_say_how_many_are_open(row, viewer, redis, page):
    alert(row)
    text = viewer.get(reverse(page)).content.decode()
    assert "<b data-count>1</b>" in text
    assert 'href="/admin/network/alerts/"' in text


def test_rows_of_the_admin_are_linked_for_who_may_see_them(row, viewer):
    rule = AlertRule.objects.create(what="hole")
    told = alert(row, rule=rule)
    delivery(told, "delivered")
    assert "/admin/alerts/" not in drawer(viewer)
    viewer.force_login(person("boss", "view_exchange", "view_alert", "view_delivery"))
    html = drawer(viewer)
    assert f'href="/admin/alerts/alert/{told.pk}/change/"' in html
    assert f'href="/admin/alerts/delivery/{told.deliveries.get().pk}/change/"' in html
    assert "/admin/alerts/alertrule/" not in html


def test_all_that_are_open_are_one_click_away(row, viewer):
    now = timezone.now()
    one = Alert(what="hole", exchange=row, text="t", first_seen=now, last_seen=now)
    Alert.objects.bulk_create([one] * (reader.OPEN_SHOWN + 1))
    viewer.force_login(person("boss", "view_exchange", "view_alert"))
    link = re.search(r'1 more that are open: <a href="([^"]+)"', drawer(viewer))[1]
    assert f"{reader.OPEN_SHOWN + 1} alerts" in viewer.get(link).content.decode()


def test_a_text_of_several_lines_keeps_them(row, viewer):
    alert(
        row, "level", text="BTC-USD 1h: above 150\n1h 151.2 overbought", told_at=None, is_late=True
    )
    html = drawer(viewer)
    assert "above 150\n1h 151.2 overbought" in html
    assert "too old when it was seen" in html


@pytest.mark.parametrize("what", runbook.PLACES)
def test_what_to_do_stands_in_the_documents(what):
    document, anchor = runbook.PLACES[what]
    assert what in KINDS
    assert anchor in {heading.anchor for heading in read_document(documents()[document]).headings}
    assert runbook.address(what) == f"/docs/{document}/#{anchor}"


def test_each_kind_leads_to_a_document():
    for what in (*KINDS, "something else"):
        assert runbook.address(what).startswith("/docs/")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (7205, "2 h 5 s"), (180_000, "2 d 2 h")],
)
def test_a_length_is_told_in_its_two_largest_units(seconds, said):
    assert reader.length(timedelta(seconds=seconds)) == said
