"""Where people meet a venue they read whether anybody has ever seen it live."""

from dataclasses import replace
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse

from exchanges.models import Exchange
from exchanges.venues import VENUES

pytestmark = pytest.mark.django_db


@pytest.fixture(params=[True, False], ids=["seen", "not seen"])
def row(request, monkeypatch):
    found = Exchange.objects.get(name="okx")
    monkeypatch.setitem(VENUES, "okx", replace(VENUES["okx"], seen_live=request.param))
    return found, request.param


def test_the_admin_says_it(admin_client, row):
    exchange, is_seen = row
    page = admin_client.get(reverse("admin:exchanges_exchange_change", args=[exchange.pk]))
    assert ("not seen live yet" in page.content.decode()) is not is_seen


def test_the_command_says_it(row):
    exchange, is_seen = row
    output = StringIO()
    call_command("exchange", exchange.name, "--json", stdout=output)
    assert f'"seenLive": {str(is_seen).lower()}' in output.getvalue()
