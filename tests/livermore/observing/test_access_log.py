"""What the log of a real web server tells of each request, and what it must not."""

import asyncio
import json
import os
import subprocess
import sys

import pytest
import websockets

from tests.livermore.web_server import status, web_server
from tests.warmup.runners import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "a/secret of=an account"
QUOTED = "a%2Fsecret%20of%3Dan%20account"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abcdefgh"
HOSTILE = [
    f"/nowhere/{QUOTED}/",
    f"/nowhere/{TOKEN}",
    f"/nowhere/?key={QUOTED}&password=never-seen-before",
    "/nowhere/%0Ahttp.request%20address=10.9.9.9%20status=200/%1b[2J/%E2%80%AE/%FF",
    "/nowhere/%20status=200%20bytes=1",
]


def lines(server, word="/nowhere/"):
    return [line for line in server.words().splitlines() if f"path={word}" in line]


@pytest.fixture(scope="module")
def text(django_db_setup):
    """A web server that logs as it does by itself."""
    with web_server(BINANCE_SECRET=SECRET, LIVERMORE_LOG_FORMAT="text") as server:
        yield server


@pytest.fixture(scope="module")
def proxied(django_db_setup):
    """One behind a proxy that logs JSON."""
    settings = {"LIVERMORE_LOG_FORMAT": "json", "LIVERMORE_BEHIND_PROXY": "true"}
    with web_server(BINANCE_SECRET=SECRET, **settings) as server:
        yield server


def asked(server, *headers):
    """Send hostile requests; return the log's lines of them, and all of its words since then."""
    before, words = len(lines(server)), len(server.words())
    for path in HOSTILE:
        assert status(server.get(path, *headers)) == 404
    wait_until(lambda: len(lines(server)) >= before + len(HOSTILE))
    return lines(server)[before:], server.words()[words:]


def assert_no_secret(told, words):
    for part in ("secret of", "secret%20of", QUOTED, "eyJzdWI", "never-seen-before", "\x1b"):
        assert part not in words
    assert len(told) == len(HOSTILE)
    assert [line for line in told if "***" in line] == told[:2]


def test_a_line_has_no_secret_and_nobody_writes_another(redis, text):
    assert_no_secret(*asked(text))


def test_a_line_of_json_has_none_either(redis, proxied):
    told, words = asked(proxied)
    assert_no_secret(told, words)
    fields = [json.loads(line) for line in told]
    assert {each["event"] for each in fields} == {"http.request"}
    assert {each["status"] for each in fields} == {404}
    assert {each["address"] for each in fields} == {"127.0.0.1"}
    assert all(each["bytes"] > 1 and each["seconds"] >= 0 for each in fields)


def test_a_line_tells_who_asked_for_what_and_how_it_ended(redis, text):
    before = len(lines(text, "/elsewhere/"))
    assert status(text.get("/elsewhere/?x=1", "X-Forwarded-For: 10.0.0.9")) == 404
    wait_until(lambda: len(lines(text, "/elsewhere/")) > before)
    line = lines(text, "/elsewhere/")[-1]
    assert "GET /elsewhere" not in text.words()  # daphne's own
    assert "http.request address=127.0.0.1 method=GET path=/elsewhere/?… status=404 bytes=" in line
    assert " INFO livermore.observing.access_log " in line


def test_behind_a_proxy_the_address_is_the_clients(redis, proxied):
    told, _ = asked(proxied, "X-Forwarded-For: 10.0.0.9, 203.0.113.7")
    assert {json.loads(line)["address"] for line in told} == {"203.0.113.7"}


def test_a_socket_is_told_of_too(redis, text):
    async def knock(port):
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(
                f"ws://127.0.0.1:{port}/ws/network/?token=none-of-it", origin="null"
            )

    asyncio.run(knock(text.port))
    wait_until(lambda: "socket.refused" in text.words())
    assert "socket.refused address=127.0.0.1 path=/ws/network/?… code=" in text.words()
    assert "none-of-it" not in text.words()


def test_daphne_started_by_itself_logs_the_same(redis):
    code = (
        "import daphne.server\n"
        "import livermore.asgi\n"
        "import sys\n"
        "from daphne.access import AccessLogGenerator\n"
        "details = {'client': 'x', 'method': 'GET', 'path': '/?secret', 'status': 200, 'size': 1}\n"
        "AccessLogGenerator(sys.stdout)('http', 'complete', details)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def log_in_a_process(messages):
    """Log by names as a process does that has our settings; return all that it wrote."""
    code = (
        "import django, logging\n"
        "django.setup()\n"
        f"for name, message, values in {messages!r}:\n"
        "    logging.getLogger(name).warning(message, *values)\n"
    )
    own = {"DJANGO_SETTINGS_MODULE": "livermore.settings", "BINANCE_SECRET": SECRET}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | own, capture_output=True, text=True
    )
    return done.stdout + done.stderr


def test_whatever_serves_logs_by_the_same_rules():
    libraries = ("daphne.http_protocol", "daphne.server", "twisted", "asyncio")
    of_django = ("django.server", '"%s" %s', (f"GET /?key={SECRET} \x1b[2J", 200))
    written = log_in_a_process([of_django, *((n, "failed for %s", (SECRET,)) for n in libraries)])
    assert "secret of" not in written
    assert "\x1b" not in written
    for name in ("django.server", *libraries):
        assert f" {name} " in written
