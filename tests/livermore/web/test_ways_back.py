"""From each of the admin's pages a link leads back to the Network page."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from exchanges.models import Exchange
from tests.warmup.network.operators import person

pytestmark = pytest.mark.django_db

PAGES = [
    "/admin/", "/admin/exchanges/", "/admin/exchanges/exchange/", "/admin/exchanges/exchange/add/",
    "/admin/exchanges/exchange/{pk}/change/", "/admin/exchanges/exchange/{pk}/history/",
    "/admin/exchanges/exchange/{pk}/delete/", "/admin/exchanges/symbol/",
    "/admin/exchanges/userexchange/add/", "/admin/auth/user/", "/admin/auth/user/{user}/change/",
    "/admin/auth/user/{user}/password/", "/admin/password_change/", "/admin/password_change/done/",
]  # fmt: skip


def leads_back(response):
    link = f'<a class="to-network" href="{reverse("network:page")}">Network</a>'
    return link in response.content.decode()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_of_the_admin_leads_back(client, path):
    root = User.objects.create_superuser("root")
    client.force_login(root)
    exchange = Exchange.objects.get(name="sandbox")
    response = client.get(path.format(pk=exchange.pk, user=root.pk))
    assert response.status_code == 200
    assert leads_back(response)


def test_the_login_and_the_logout_do_too(client):
    assert leads_back(client.get("/admin/login/"))
    client.force_login(person("eve", "view_exchange"))
    assert leads_back(client.post("/admin/logout/"))


def test_who_may_not_see_it_is_not_led_there(client):
    client.force_login(person("bob", "view_symbol"))
    response = client.get("/admin/")
    assert response.status_code == 200
    assert not leads_back(response)


def test_a_refused_form_leads_back_too(db):
    client = Client(enforce_csrf_checks=True)
    assert leads_back(client.post("/admin/login/", {"username": "ada", "password": "x"}))
