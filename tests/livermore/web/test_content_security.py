"""What each answer tells browsers: which scripts and styles, and whose frames and forms."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import path
from django.views.defaults import server_error

from livermore import urls

pytestmark = pytest.mark.django_db

HEADER = "Content-Security-Policy"


def broken(request):
    raise RuntimeError("on purpose")


urlpatterns = [*urls.urlpatterns, path("broken/", broken)]
handler400 = urls.handler400
handler500 = server_error


@pytest.fixture
def root(redis):
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("root"))
    return client


def policy(response):
    return dict(each.strip().split(" ", 1) for each in response.headers[HEADER].split(";"))


ADDRESSES = {
    "/admin/": 200,
    "/admin/login/?next=/": 302,
    "/admin/network/": 200,
    "/admin/password_change/": 200,
    "/admin/exchanges/exchange/": 200,
    "/admin/exchanges/exchange/add/": 200,
    "/health/live/": 200,
    "/static/network/styles/base.css": 200,
    "/nowhere/": 404,
    "/broken/": 500,
    "/metrics": 404,
}


@pytest.mark.urls(__name__)
@pytest.mark.parametrize(("address", "status"), ADDRESSES.items())
def test_every_answer_lets_pages_run_what_this_server_sends_alone(root, address, status):
    response = root.get(address)
    assert response.status_code == status
    told = policy(response)
    assert "unsafe" not in response.headers[HEADER]
    assert "*" not in response.headers[HEADER]
    assert (told["default-src"], told["script-src"], told["style-src"]) == (
        "'none'", "'self'", "'self'",
    )  # fmt: skip
    assert told["connect-src"] == "'self' ws://testserver"
    for name in ("frame-ancestors", "base-uri", "object-src"):
        assert told[name] == "'none'"
    assert told["form-action"] == "'self'"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert "camera=()" in response.headers["Permissions-Policy"]


def test_a_refused_host_or_form_is_answered_with_it_too():
    client = Client(enforce_csrf_checks=True)
    refused = client.post("/admin/login/", {"username": "a", "password": "b"})
    assert (refused.status_code, policy(refused)["script-src"]) == (403, "'self'")
    unknown = client.get("/admin/", headers={"host": "evil.example; script-src *"})
    assert (unknown.status_code, policy(unknown)["connect-src"]) == (400, "'self'")
    assert policy(unknown)["script-src"] == "'self'"


def test_over_https_the_socket_is_too(root, settings):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    response = root.get("/admin/", headers={"x-forwarded-proto": "https", "host": "localhost:8443"})
    assert policy(response)["connect-src"] == "'self' wss://localhost:8443"


@pytest.mark.parametrize(
    "address",
    ["/admin/", "/admin/network/", "/admin/exchanges/exchange/", "/admin/exchanges/exchange/add/",
     "/admin/auth/user/add/", "/admin/auth/user/", "/admin/password_change/",
     "/admin/exchanges/userexchange/add/"],
)  # fmt: skip
def test_no_page_has_a_script_or_a_style_in_it(root, address):
    text = root.get(address).content.decode().lower()
    assert " style=" not in text
    assert "<style" not in text
    assert "javascript:" not in text
    for script in text.split("<script")[1:]:
        assert " src=" in script.partition(">")[0] or 'type="application/json"' in script
    assert not [each for each in ("onclick=", "onload=", "onsubmit=", "onchange=") if each in text]
