"""Which pages may open a socket or send a form, and what those who may not are told."""

import logging

import pytest
from django.contrib.auth.models import User
from django.test import Client

from livermore.asgi import application
from livermore.web.origin import normal
from tests.warmup.network.operators import person
from tests.warmup.network.sockets import Browser, in_a_loop, log_in

pytestmark = pytest.mark.django_db

HTTPS = (b"x-forwarded-proto", b"https")


@pytest.fixture
def session(redis):
    return log_in(person("eve", "view_exchange"))


async def is_let_in(session, origin, host="localhost", also=(), path="/ws/network/"):
    browser = Browser(application, session, origin.encode(), path, host.encode(), also)
    connected, _ = await browser.connect()
    if connected:
        await browser.leave()
    return connected


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost", "localhost"),
        ("http://localhost:80", "localhost"),
        ("http://localhost", "localhost:80"),
        ("HTTP://LocalHost:8000", "localhost:8000"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
@in_a_loop
async def test_a_page_of_this_server_opens_its_socket(session, origin, host):
    assert await is_let_in(session, origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://localhost", "localhost"),
        ("http://localhost:8001", "localhost:8000"),
        ("http://localhost", "localhost:8000"),
        ("http://localhost:443", "localhost"),
        ("http://127.0.0.1:8000", "localhost:8000"),
        ("null", "localhost"),
        ("http://localhost/", "localhost"),
        ("http://localhost@evil.example", "localhost"),
        ("file://", "localhost"),
        ("http://localhost:99999999", "localhost"),
    ],
)
@in_a_loop
async def test_another_scheme_host_or_port_is_another_page(session, origin, host):
    assert not await is_let_in(session, origin, host)


@in_a_loop
async def test_behind_a_proxy_the_scheme_is_what_it_says(session, settings):
    assert not await is_let_in(session, "https://localhost", also=[HTTPS])
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert await is_let_in(session, "https://localhost", also=[HTTPS])
    assert await is_let_in(session, "https://localhost:443", "localhost:443", also=[HTTPS])
    assert not await is_let_in(session, "http://localhost", also=[HTTPS])


@pytest.mark.parametrize(
    ("said", "is_secure"),
    [
        ("https", True),
        ("https, http", False),
        ("http, https", True),
        ("http,https ", True),
        ("https,", False),
        ("", False),
    ],
)
def test_of_several_schemes_the_one_that_our_own_proxy_wrote_counts(
    client, settings, said, is_secure
):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    origin = "https://testserver" if is_secure else "http://testserver"
    assert told(client, origin, headers={"host": "testserver", "x-forwarded-proto": said})["ok"]


@in_a_loop
async def test_a_trusted_origin_is_let_in_by_scheme_host_and_port(session, settings):
    settings.CSRF_TRUSTED_ORIGINS = ["https://a.example:8443", "https://*.b.example"]
    assert await is_let_in(session, "https://a.example:8443")
    assert await is_let_in(session, "https://one.b.example")
    assert await is_let_in(session, "https://b.example")  # as Django lets its forms
    for other in (
        "https://a.example", "http://a.example:8443", "https://one.b.example:8443",
        "https://evilb.example", "http://one.b.example",
    ):  # fmt: skip
        assert not await is_let_in(session, other), other


@in_a_loop
async def test_a_host_that_is_not_allowed_opens_no_socket_and_is_named(session, caplog):
    assert not await is_let_in(session, "http://evil.example", "evil.example")
    assert (
        "socket.host_refused host=evil.example missing_from=LIVERMORE_ALLOWED_HOSTS" in caplog.text
    )


@in_a_loop
async def test_the_log_names_what_is_missing_and_nobody_writes_a_field_there(session, caplog):
    assert not await is_let_in(session, "https://x.example:8443", "localhost:8000")
    assert (
        "socket.origin_refused origin=https://x.example:8443 expected=http://localhost:8000 "
        "missing_from=LIVERMORE_TRUSTED_ORIGINS" in caplog.text
    )
    caplog.clear()
    assert not await is_let_in(session, "x\t expected=all")
    assert r"origin=x\x09\x20expected\x3dall expected=http://localhost " in caplog.text


# -- What a page is told


def told(client, origin, **options):
    return client.get("/ws/network/", {"origin": origin}, **options).json()


def test_a_script_learns_why_its_socket_is_refused(client, settings):
    assert told(client, "http://testserver") == {"ok": True, "text": ""}
    answer = told(client, "https://testserver")
    assert answer["ok"] is False
    assert "https://testserver is not in LIVERMORE_TRUSTED_ORIGINS" in answer["text"]
    assert "http://testserver" in answer["text"]
    assert "LIVERMORE_BEHIND_PROXY=true" in answer["text"]
    assert "BEHIND_PROXY" not in told(client, "http://testserver:81")["text"]


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_a_host_that_is_not_allowed_is_told_which_setting_lacks_it(client, accept):
    answer = client.get("/admin/", headers={"host": "new.example:81", "accept": accept})
    assert answer.status_code == 400
    text = answer.json()["text"] if accept == "application/json" else answer.content.decode()
    assert "new.example:81 is not in LIVERMORE_ALLOWED_HOSTS" in text


@pytest.fixture
def strict(db):
    """A logged-in browser whose forms are checked."""
    User.objects.create_superuser("root", password="a good password")
    client = Client(enforce_csrf_checks=True)
    client.login(username="root", password="a good password")
    client.get("/admin/password_change/")
    return client


def sent(client, **headers):
    token = client.cookies["csrftoken"].value
    return client.post("/admin/logout/", {"csrfmiddlewaretoken": token}, headers=headers)


def test_a_form_of_another_origin_is_told_which_setting_lacks_it(strict, caplog):
    answer = sent(strict, origin="https://testserver")
    assert answer.status_code == 403
    text = answer.content.decode()
    assert "https://testserver is not in LIVERMORE_TRUSTED_ORIGINS" in text
    assert "<style" not in text
    assert "form.origin_refused origin=https://testserver expected=http://testserver" in caplog.text
    json = sent(strict, origin="http://testserver:81", accept="application/json").json()
    assert "http://testserver:81 is not in LIVERMORE_TRUSTED_ORIGINS" in json["text"]


def test_a_form_and_a_socket_are_judged_alike(strict):
    assert sent(strict, origin="http://testserver", host="testserver:80").status_code == 200


def test_a_form_without_its_cookie_is_told_what_to_do(db, settings):
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/admin/login/", {"username": "ada", "password": "x"})
    assert (answer.status_code, "cookie" in answer.content.decode()) == (403, True)
    settings.CSRF_COOKIE_SECURE = True
    answer = client.post("/admin/login/", {"username": "ada", "password": "x"})
    assert "LIVERMORE_HTTPS is set" in answer.content.decode()


@pytest.mark.parametrize(
    ("origin", "same"),
    [("https://A.example:443", "https://a.example"), ("http://a:080", "http://a"),
     ("https://*.a", "https://*.a"), ("a.example", ""), ("null", ""), ("https://a/", "")],
)  # fmt: skip
def test_the_usual_port_is_none(origin, same):
    assert normal(origin) == same


def test_nobody_is_refused_without_a_line(client, caplog):
    with caplog.at_level(logging.WARNING):
        client.get("/", headers={"host": "evil.example"})
    assert "evil.example" in caplog.text
