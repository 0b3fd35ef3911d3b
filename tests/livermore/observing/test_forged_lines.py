"""What anybody sends is told by the log, and is never a line or a field of ours."""

import json
import logging
import re
from pathlib import Path

import pytest
from django.test import RequestFactory
from redis.exceptions import ConnectionError, ResponseError

from livermore.observing.logs import ForeignLines, JsonFormatter, TextFormatter
from livermore.web.server_errors import server_error
from tests.livermore.web_server import web_server
from tests.warmup.runners import wait_until
from warmup.network.guard import view_required

pytestmark = pytest.mark.django_db(transaction=True)

OPERATIONS = Path(__file__).parents[3] / "docs/operations.md"
FORGED = "login.failed user=root address=9.9.9.9"
QUOTED = FORGED.replace(" ", "%20")
LINE = f"2026-11-20 10:00:00,000 WARNING livermore.web.login {FORGED}"
QUOTED_LINE = LINE.replace(" ", "%20")
PATHS = [
    f"/{QUOTED}",
    f"/%0a{QUOTED_LINE}",
    f"/%0d%0a{QUOTED_LINE}",
    f"/%e2%80%a8{QUOTED_LINE}",
    f"/x%20WARNING%20livermore.web.login%20{QUOTED}",
    f"/admin/{QUOTED_LINE}/",
    f"/static/{QUOTED_LINE}",
    f"/docs/{QUOTED_LINE}/",
    f"/admin/?next={QUOTED_LINE}",
]
HEADERS = [
    f"Host: {LINE}",
    f"Host: {FORGED}",
    f"Origin: {LINE}",
    f"Referer: {LINE}",
    f"Cookie: csrftoken={LINE}; sessionid={LINE}",
    f"X-Forwarded-For: {LINE}",
    f"Accept: {LINE}",
    f"Content-Type: {LINE}",
    f"Content-Type: text/html; charset={LINE}",
    f"Upgrade: {LINE}",
]
FORM = "Content-Type: application/x-www-form-urlencoded"


def fail2ban():
    """Return the expression of the docs, as fail2ban reads a line: its date is taken out before."""
    (found,) = re.findall(r"^failregex = (.+)$", OPERATIONS.read_text(), re.MULTILINE)
    wanted = re.compile(found.replace("<HOST>", r"(?P<host>[0-9A-Fa-f:.]+)"))
    date = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}")
    return lambda line: wanted.search(date.sub("", line, count=1))


def plant(server):
    """Send what would be a line of ours, wherever a client may write."""
    for each in PATHS:
        server.get(each)
        send(server, "POST", each, FORM, body=b"a=1")
        send(server, "DELETE", each)
    for each in HEADERS:
        for where in ("/admin/login/", "/nowhere", "/ws/network/"):
            send(server, "GET", where, each)
            send(server, "POST", where, FORM, each, body=b"a=1")
    send(server, FORGED.replace(" ", "\t"), "/nowhere")
    send(server, "GET", f"/nowhere?{QUOTED}")


def send(server, method, where, *headers, body=b""):
    host = () if any(each.startswith("Host") for each in headers) else ("Host: localhost",)
    lines = [f"{method} {where} HTTP/1.1", *host, "Connection: close", *headers]
    lines += [f"Content-Length: {len(body)}"]
    return server.ask("\r\n".join([*lines, "", ""]).encode() + body)


def fail_to_log_in(server, user):
    page = server.get("/admin/login/").decode()
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', page)[1]
    cookie = re.search(r"csrftoken=(\w+)", page)[1]
    body = f"csrfmiddlewaretoken={token}&username={user}&password=x".encode()
    send(server, "POST", "/admin/login/", f"Cookie: csrftoken={cookie}", FORM, body=body)


def test_fail2ban_finds_who_failed_to_log_in_and_nobody_else(redis):
    with web_server() as server:
        plant(server)
        fail_to_log_in(server, QUOTED_LINE + "%0a" + QUOTED_LINE)
        fail_to_log_in(server, "ada")
        wait_until(lambda: "login.failed user=ada" in server.words())
        told = server.words()
    found = [match["host"] for line in told.splitlines() if (match := fail2ban()(line))]
    assert found == ["127.0.0.1"] * 2
    assert "user=root" not in told
    assert "Not Found: /login.failed user" in told  # it is told, and is no field
    assert "Invalid HTTP_HOST header" in told


def test_nobody_writes_a_field_in_json_either(redis):
    with web_server(LIVERMORE_LOG_FORMAT="json") as server:
        plant(server)
        fail_to_log_in(server, "ada")
        wait_until(lambda: "login.failed user=ada" in server.words())
        told = [json.loads(line) for line in server.words().splitlines() if line.startswith("{")]
    assert [each["user"] for each in told if "user" in each] == ["ada"]
    assert {each["address"] for each in told if "address" in each} == {"127.0.0.1"}


@pytest.mark.parametrize("line", [LINE, f"    {LINE}", f"x {LINE}", LINE + " x", LINE + "\tx"])
def test_the_expression_takes_a_line_of_ours_alone(line):
    assert bool(fail2ban()(line)) == (line == LINE)


# -- Loggers that are not ours


def formatted(name, message, *arguments, formatter=TextFormatter):
    record = logging.LogRecord(name, logging.WARNING, "x.py", 1, message, arguments, None)
    assert ForeignLines(ours=["livermore", "exchanges", "warmup"]).filter(record)
    return formatter().format(record)


@pytest.mark.parametrize(
    "name",
    ["django.request", "django.security.DisallowedHost", "django.security.csrf", "daphne.server",
     "asgiref", "twisted", "channels", "root", "livermores"],
)  # fmt: skip
def test_a_line_of_a_library_holds_no_field(name):
    assert formatted(name, "Not Found: %s", f"/{FORGED}") == (
        r"Not Found: /login.failed user\x3droot address\x3d9.9.9.9"
    )
    assert "=" not in formatted(name, f"Invalid header: {FORGED!r} 100%")


@pytest.mark.parametrize(
    "name", ["livermore", "livermore.web.login", "exchanges.x", "warmup.network"]
)
def test_a_line_of_ours_keeps_its_fields(name):
    assert formatted(name, "login.failed user=%s", "root") == "login.failed user=root"


# -- What is told of a request where Redis or the database is away


class Gone(Exception):
    pass


@pytest.mark.parametrize("error", [ConnectionError("gone"), ResponseError("no")])
def test_a_path_is_one_word_where_redis_fails(admin_user, caplog, error):
    def fail(request):
        raise error

    request = RequestFactory().get(f"/{QUOTED_LINE}", headers={"accept": "application/json"})
    request.user = admin_user
    assert view_required(fail)(request).status_code == 503
    (line,) = [each for each in caplog.records if each.getMessage().startswith("network.")]
    assert {"user", "address"}.isdisjoint(json.loads(JsonFormatter().format(line)))
    assert "user%3Droot" in line.getMessage()


def test_a_path_is_one_word_where_the_database_is_away(monkeypatch, caplog):
    monkeypatch.setattr("livermore.web.server_errors.is_away", lambda error: True)
    try:
        raise Gone("gone")
    except Gone:
        server_error(RequestFactory().get(f"/{QUOTED_LINE}"))
    (line,) = [each for each in caplog.records if each.getMessage().startswith("web.no_database")]
    assert {"user", "address"}.isdisjoint(json.loads(JsonFormatter().format(line)))
    assert r"user\x3droot" in line.getMessage()
