"""What the log of a real web server tells of each request, and what it must not."""

import asyncio
import json
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


def lines(server):
    return [line for line in server.words().splitlines() if "path=/nowhere/" in line]


def asked(*headers, **environment):
    """Return the log's lines of hostile requests."""
    with web_server(BINANCE_SECRET=SECRET, **environment) as server:
        for path in HOSTILE:
            assert status(server.get(path, *headers)) == 404
        wait_until(lambda: len(lines(server)) >= len(HOSTILE))
        return lines(server), server.words()


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_line_has_no_secret_and_nobody_writes_another(redis, form):
    told, words = asked(LIVERMORE_LOG_FORMAT=form)
    for part in ("secret of", "secret%20of", QUOTED, "eyJzdWI", "never-seen-before", "\x1b"):
        assert part not in words
    assert len(told) == len(HOSTILE)
    assert [line for line in told if "***" in line] == told[:2]
    if form == "json":
        fields = [json.loads(line) for line in told]
        assert {each["event"] for each in fields} == {"http.request"}
        assert {each["status"] for each in fields} == {404}
        assert {each["address"] for each in fields} == {"127.0.0.1"}
        assert all(each["bytes"] > 1 and each["seconds"] >= 0 for each in fields)


def test_a_line_tells_who_asked_for_what_and_how_it_ended(redis):
    with web_server() as server:
        assert status(server.get("/nowhere/?x=1", "X-Forwarded-For: 10.0.0.9")) == 404
        wait_until(lambda: lines(server))
        (line,) = lines(server)
        assert "GET /nowhere" not in server.words()  # daphne's own
    assert "http.request address=127.0.0.1 method=GET path=/nowhere/?… status=404 bytes=" in line
    assert " INFO livermore.observing.access_log " in line


def test_behind_a_proxy_the_address_is_the_clients(redis):
    told, _ = asked("X-Forwarded-For: 10.0.0.9, 203.0.113.7", LIVERMORE_BEHIND_PROXY="true")
    assert all("address=203.0.113.7 " in line for line in told)


def test_a_socket_is_told_of_too(redis):
    async def knock(port):
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(
                f"ws://127.0.0.1:{port}/ws/network/?token=never", origin="null"
            )

    with web_server() as server:
        asyncio.run(knock(server.port))
        wait_until(lambda: "socket.refused" in server.words())
        assert "socket.refused address=127.0.0.1 path=/ws/network/?… code=" in server.words()
        assert "never" not in server.words()


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


def test_djangos_own_server_logs_by_the_same_rules(written_by):
    text = written_by("django.server", '"%s" %s', f"GET /?key={SECRET} \x1b[2J", 200)
    assert "secret of" not in text
    assert "\x1b" not in text


@pytest.fixture
def written_by(monkeypatch):
    """Log by a name as a process does that has our settings."""
    monkeypatch.setenv("BINANCE_SECRET", SECRET)

    def written_by(name, message, *values):
        code = (
            "import django, logging, os\n"
            "os.environ['DJANGO_SETTINGS_MODULE'] = 'livermore.settings'\n"
            "django.setup()\n"
            f"logging.getLogger({name!r}).warning({message!r}, *{values!r})\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stderr
        return done.stdout + done.stderr

    return written_by


@pytest.mark.parametrize("name", ["daphne.http_protocol", "daphne.server", "twisted", "asyncio"])
def test_what_serves_it_logs_by_the_same_rules(written_by, name):
    assert "secret of" not in written_by(name, "failed for %s", SECRET)
