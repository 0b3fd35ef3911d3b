"""Nonsense, sent to every address: refused, and never an error of ours."""

import json
import re
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.urls import URLResolver, get_resolver

from tests.livermore.databases import PostgresServer, SqliteFile, database
from tests.livermore.web_server import status, web_server

NASTY = ["%00", "%ff%fe", "..%2f..%2fetc", "%", "%zz", "9" * 30, "9" * 5000, "-1", "'", "a" * 3000]
QUERIES = ["", "?q=%00", "?q=%ff", "?p=x&o=%00&e=1&_facets=x", "?id__exact=%ff&name__regex=(",
           "?next=//x", "?symbol=%00&timeframe=9w", "?" + "&".join(["a=1"] * 1500),
           "?date__gte=x", "?" + "q" * 3000]  # fmt: skip
METHODS = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "X"]
CHARSETS = [
    "foo",
    "utf-16",
    "hex",
    "undefined",
    "rot13",
    "idna",
    "latin-1",
    '"',
    "",
    "\xff",
    "u\t8",
]
FORM = "application/x-www-form-urlencoded"
BODIES = [
    (FORM, b"a=%00&name=%00&username=%00&password=%00&reason=%00&symbols=%00"),
    (FORM, b"a=%ff&name=\xff\xfe&username=%ff&symbols=%ed%a0%80"),
    (FORM, b"&".join(b"a=1" for _ in range(2000))),
    (FORM, b"=" * 1000),
    (FORM, b"symbols=" + b"B" * 100_000),
    (FORM, b"action=delete_selected&_selected_action=%00&select_across=x&index=x"),
    ("multipart/form-data", b"x"),
    ("multipart/form-data; boundary=", b"x"),
    ("multipart/form-data; boundary=\xe9", b"x"),
    ("multipart/form-data; boundary=" + "b" * 500, b"x"),
    ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; name=\r\n\r\n"),
    ("multipart/form-data; boundary=b",
     b'--b\r\nContent-Disposition: form-data; name="a"; filename="\x00"\r\n\r\nx\r\n--b--\r\n'),
    ("multipart/form-data; boundary=b",
     b'--b\r\nContent-Disposition: form-data; name="reason"\r\n\r\n\x00\xff\r\n--b--\r\n'),
    ("multipart/form-data; boundary=b",
     b'--b\r\nContent-Disposition: form-data; name="a"\r\n'
     b"Content-Transfer-Encoding: base64\r\n\r\n!!\r\n--b--\r\n"),
    ("application/json", b'{"a": '),
    ("text/html; a=" + "x" * 12_000, b"x"),
    ("\xff\xfe", b"x"),
    ("", b"\x00" * 1000),
]  # fmt: skip


def addresses(patterns=None, before=""):
    """Return every address with good values where one is wanted, and its wanted names."""
    for pattern in patterns or get_resolver().url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, route)
        else:
            yield route


def filled(route, value):
    """Return a route as a path, with `value` for what it wants."""
    route = re.sub(r"\(\?P<[^>]+>[^)]*\)", value, route)
    return "/" + re.sub(r"<[^>]+>", value, route).replace("^", "").replace("$", "")


@contextmanager
def standing_on(kind):
    """Let a web server run on a database of this kind."""
    with (
        database(kind, settings.SECRET_KEY) as base,
        web_server("--bind", "127.0.0.1", DATABASE_URL=base.url) as web,
    ):
        yield RawClient(web, base.session)


@pytest.fixture(scope="module")
def site():
    with standing_on(SqliteFile) as visited:
        yield visited


@pytest.fixture(scope="module")
def on_postgres():
    with standing_on(PostgresServer) as visited:
        yield visited


class RawClient:
    """ada, logged in, with the token that forms want."""

    def __init__(self, web, session):
        self.web = web
        self.token = "t" * 32
        self._cookie = f"sessionid={session}; csrftoken={self.token}"

    def send(self, method, path, content_type=None, body=b"", *headers):
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
        lines += [f"Cookie: {self._cookie}", f"X-CSRFToken: {self.token}", *headers]
        lines += [f"Content-Length: {len(body)}"] if body else []
        lines += [f"Content-Type: {content_type}"] if content_type is not None else []
        return self.web.ask("\r\n".join([*lines, "", ""]).encode("latin-1") + body)


ROUTES = sorted({route for route in addresses() if "logout" not in route})


def refused_only(site, asked):
    """Send requests; hold each to an answer that is no error of ours."""
    before = len(site.web.words())
    failed = {}
    for request in asked:
        found = status(site.send(*request))
        if found is None or found >= 500:
            failed[str(request)[:200]] = found
    said = site.web.words()[before:]
    where = said.find("Traceback")
    assert (failed, where) == ({}, -1), said[max(0, where - 500) :][:5000]


def each_with(values):
    """Yield every route with each of the values, those of the admin's tables with a third each.

    Tables have the same views all of them: what one is not asked the next one is.
    """
    tables = 0
    for route in ROUTES:
        is_table = route.startswith("admin/") and not route.startswith("admin/network")
        tables += is_table
        for value in values[tables % 3 :: 3] if is_table else values:
            yield route, value


PATHS = [("GET", filled(r, v)) for r, v in each_with(NASTY) if "<" in r or v == "%"]
ASKED = [("GET", filled(r, "1") + query) for r, query in each_with(QUERIES)]
SENT = [("POST", filled(r, "1"), *body) for r, body in each_with(BODIES)]


def test_no_path_is_an_error_of_ours(site):
    refused_only(site, PATHS)


def test_no_query_is_an_error_of_ours(site):
    refused_only(site, ASKED)


def test_no_method_is_an_error_of_ours(site):
    refused_only(site, [(method, filled(route, "1")) for route, method in each_with(METHODS)])


def test_no_body_is_an_error_of_ours(site):
    refused_only(site, SENT)


def test_what_postgresql_takes_less_of_is_no_error_of_ours_either(on_postgres):
    """Of text and numbers PostgreSQL is stricter than SQLite; the rest does not reach it."""
    asked = [each for each in PATHS + ASKED if re.search("%00|%ff|9{9}|=-1|=x|[(]", each[1])]
    sent = [each for each in SENT if b"%00" in each[3] or b"\x00" in each[3] or b"\xff" in each[3]]
    refused_only(on_postgres, asked + sent)


@pytest.mark.parametrize("charset", CHARSETS)
def test_a_charset_that_is_none_is_told_so(site, charset):
    for method, path in (("GET", "/admin/?q=x"), ("POST", "/admin/login/"), ("GET", "/health/")):
        for kind in (FORM, "text/html", "multipart/form-data; boundary=b"):
            answer = site.send(method, path, f"{kind}; charset={charset}", b"a=1")
            assert status(answer) == 415
            assert b"\r\nA request's charset is utf-8 here.\n\r\n" in answer
    assert "Traceback" not in site.web.words()


@pytest.mark.parametrize("charset", ["utf-8", "UTF8", '"utf-8"', "us-ascii"])
def test_a_charset_that_is_read_is_taken(site, charset):
    assert status(site.send("GET", "/health/live/", f"{FORM}; charset={charset}")) == 200


def test_a_script_is_told_in_json(site):
    answer = site.send("GET", "/admin/", "text/html; charset=x", b"", "Accept: application/json")
    told = json.loads(answer[answer.index(b"{") : answer.rindex(b"}") + 1])
    assert told == {"ok": False, "text": "A request's charset is utf-8 here."}


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-For: \xff",
        "X-Forwarded-Port: \xff",
        "X-Forwarded-Proto: \xff",
        "Daphne-Root-Path: \xff",
        "Cookie: sessionid=\x01\xff; csrftoken=\xff",
        "Accept: \xff",
        "Accept-Language: " + "a," * 2000,
        "Range: bytes=x",
        "If-Modified-Since: x",
        "If-None-Match: \xff",
        "Referer: \xff",
        "Origin: \xff",
        "Origin: http://[",
        "Host: [",
        "Host: \xff",
        "Authorization: Bearer \xff",
        "Expect: x",
        "Upgrade: websocket",
        "Upgrade: h2c",
    ],
)
def test_no_header_is_an_error_of_ours(site, header):
    paths = ("/", "/admin/", "/admin/network/", "/health/", "/metrics", "/ws/network/",
             "/static/network/page.js", "/admin/login/")  # fmt: skip
    refused_only(site, [(m, path, FORM, b"", header) for m in ("GET", "POST") for path in paths])


def test_a_client_can_not_move_the_site_below_another_path(site):
    assert b"/evil" not in site.send("GET", "/admin/", None, b"", "Daphne-Root-Path: /evil")
