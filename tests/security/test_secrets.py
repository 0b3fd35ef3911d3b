"""Secrets are planted wherever a deployment has them, and left nowhere by all that runs."""

import base64
import html
import json
import logging
import os
import shlex
import threading
from contextlib import closing
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import redis as redis_client

from exchanges.errors import BadCredentials, LivermoreError, Unreachable
from exchanges.lock.status import State, read_status
from exchanges.models import Exchange
from exchanges.venues.coinbase.signing import Signer
from tests.exchanges.transport.proxy import Proxy
from tests.fixtures.ports import free_port
from tests.security.canaries import KEY, PROXY, SECRET, cut, postgres, private_key, redis_url, start
from tests.warmup.runners import Running, running, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


# -- The search itself


@pytest.mark.parametrize("name", ["key", "secret", "no_key", "redis", "token", "proxy"])
def test_a_secret_is_found_wherever_it_is_put(canaries, redis, logs, everywhere, name):
    redis.set("a", 1)
    logging.getLogger("tests").debug("nothing yet")
    assert everywhere() == {}
    value = canaries[name]
    redis.set("a", f"before {value} after")
    assert everywhere() == {"redis": [name]}
    for plant in (
        lambda: redis.hset("b", "field", value),
        lambda: redis.rpush("c", value),
        lambda: redis.sadd("d", value),
        lambda: redis.zadd("e", {value: 1}),
        lambda: redis.xadd("f", {"event": json.dumps({"error": value})}),
        lambda: redis.set("g", base64.b64encode(value.encode())),
        lambda: redis.set(value, "as the name"),
    ):
        redis.flushdb()
        plant()
        assert everywhere() == {"redis": [name]}
    redis.flushdb()
    redis.set("a", value[-20:] if name != "secret" else value.splitlines()[1][:20])
    assert everywhere() == {"redis": [name]}
    redis.set("a", 1)
    row = Exchange.objects.create(name="somewhere", display_name=value[:100])
    published = {"redis": [name]}  # readers are told what an exchange is called
    assert everywhere() == {"database": [name], **published}
    row.delete()
    assert everywhere(page=f"<p>{html.escape(value)}</p>") == {"page": [name]}
    logging.getLogger("tests").debug("it is %s", value)
    found = everywhere()
    assert set(found) - {"log, text", "log, json"} == {"log, raw"}
    covered = name != "no_key"  # which is in no variable as yet
    assert (set(found) == {"log, raw"}) is covered


def test_a_signed_token_is_found(everywhere, redis):
    redis.set("a", 1)
    logging.getLogger("tests").debug("nothing")
    rest = Signer("name", private_key())("host/path")["Authorization"]
    redis.set("a", rest)
    assert everywhere() == {"redis": ["a signed token"]}


# -- A runner


def test_a_runner_that_signs_leaves_no_secret_behind(row, canaries, sandbox, logs, everywhere):
    with own_redis(canaries) as own, running(own, row, ["BTC-USD"]):
        wait_until(lambda: status(own, row)["closes"] >= 2)
        assert "/brokerage/products/BTC-USD/candles" in logs["raw"].getvalue()  # the private path
        sandbox.scenarios.add("rest_429", retry_after=1)
        sandbox.scenarios.add("malformed", chance=0.5)
        sandbox.scenarios.add("drop", times=1)
        wait_until(lambda: status(own, row).get("reconnects") and status(own, row)["malformed"])
        assert everywhere() == {}
    assert everywhere() == {}


@pytest.mark.parametrize("how", ["refused key", "unreachable", "page of errors"])
def test_a_runner_that_fails_leaves_no_secret_behind(
    row, canaries, sandbox, everywhere, short_timeouts, how
):
    if how == "refused key":
        sandbox.faults.add("status", status=401)
    elif how == "unreachable":
        sandbox.stop()
    else:
        sandbox.faults.add("html200")
    with own_redis(canaries) as own:
        one = Running(own, row, ["BTC-USD"])
        wait_until(lambda: one.ended)
        assert isinstance(one.error, (BadCredentials, Unreachable)), one.error
        told = read_status(own, row.pk)
        assert (told.state, told.phase) == (State.ERROR, str(one.error))
    assert everywhere() == {}


@pytest.mark.parametrize("variable", [KEY, SECRET])
def test_a_runner_whose_key_is_none_goes_on_without_and_leaves_no_secret_behind(
    row, canaries, logs, everywhere, monkeypatch, variable
):
    monkeypatch.setenv(variable, canaries["no_key"])
    with own_redis(canaries) as own, running(own, row, ["BTC-USD"]):
        wait_until(lambda: status(own, row)["closes"] >= 2)
        told = logs["raw"].getvalue()
        assert "/market/products/BTC-USD/candles" in told
        assert "/brokerage/products" not in told
        assert f"key.not_used exchange=coinbase reason={variable}" in told
    assert everywhere() == {}


# In one process: the last command ends it, whatever comes of it.
CHECK_AND_WARM = """
import sys
from contextlib import suppress
import django
from django.core.management import execute_from_command_line
django.setup()
from exchanges.rest import client
from warmup.harness.steps import names, network
client.CONNECT_SECONDS = names.PROXY_SECONDS = network.CONNECT_SECONDS = float(sys.argv[1])
with suppress(SystemExit):
    execute_from_command_line(["manage.py", "check_exchange", "coinbase", "--json"])
execute_from_command_line(["manage.py", "warmup", "coinbase", "--traceback"])
"""


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
@pytest.mark.parametrize("how", ["it works", "refused", "another kind", "gone", "cut"])
def test_a_proxys_password_is_left_nowhere(row, canaries, everywhere, monkeypatch, scheme, how):
    password = canaries["proxy"]
    kind = {"http": "http", "socks5h": "socks"}[scheme]
    if how == "another kind":
        kind = {"http": "socks", "socks": "http"}[kind]
    wanted = ("ada", "another" if how == "refused" else password)
    seconds = "1" if how == "another kind" else "10"  # one of them never answers
    with Proxy(kind, login=wanted, leads={"127.0.0.1": "127.0.0.1"}) as proxy:
        address = f"{scheme}://ada:{password}@{proxy.place}"
        monkeypatch.setenv(PROXY, cut(address, password) if how == "cut" else address)
        Exchange.objects.filter(pk=row.pk).update(proxy=PROXY)
        if how == "gone":
            proxy.leave()
        changes = {PROXY: os.environ[PROXY]}
        process = start(canaries, ["-c", CHECK_AND_WARM, seconds], changes)
        said = process.communicate(timeout=120)[0]
    works = how == "it works"
    assert (process.returncode, wanted in proxy.logins) == (0 if works else 1, works), said
    assert '"steps"' in said  # the check's answer
    assert ("warmup of coinbase" if works else "Traceback") in said
    logging.getLogger("tests").info("nothing else is logged here")
    assert everywhere(commands=said) == {}
    told = base64.b64encode(f"ada:{password}".encode()).decode()
    assert told not in said


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was sent, as some proxies do when they refuse it."""

    def do_GET(self):
        text = f"you sent {self.headers['Authorization']}"
        json_text = json.dumps({"error": "no", "message": text, "error_details": text})
        status, body = self.server.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write((json_text if body == "json" else text).encode())

    def log_message(self, *_arguments):
        pass


@pytest.mark.parametrize(
    ("status", "body"), [(200, "text"), (401, "json"), (403, "text"), (500, "json")]
)
def test_an_exchange_that_tells_what_it_was_sent_spreads_nothing(
    row, canaries, everywhere, short_timeouts, status, body
):
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.answer = (status, body)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        row.rest_url = f"http://127.0.0.1:{server.server_port}/api/v3/brokerage"
        with own_redis(canaries) as own:
            one = Running(own, row, ["BTC-USD"])
            wait_until(lambda: one.ended)
        server.shutdown()
    assert isinstance(one.error, LivermoreError), one.error
    assert everywhere(error=repr(one.error)) == {}


def own_redis(canaries):
    return redis_client.Redis.from_url(redis_url(canaries))


def status(redis, row):
    return read_status(redis, row.pk).details


# -- Commands


COMMANDS = {
    "it works": ("warmup coinbase", {}, 0, "warmup of coinbase"),
    "it works, as json": ("symbols coinbase --sync", {"LIVERMORE_LOG_FORMAT": "json"}, 0, "lists"),
    "no key": ("symbols coinbase --sync --traceback", {SECRET: "no_key"}, 0, "key.not_used"),
    "no key, checked": ("check_exchange coinbase --json", {SECRET: "no_key"}, 1, "neither a PEM"),
    "a database that is gone": ("warmup coinbase", {"DATABASE_URL": postgres}, 1, "The database"),
    "a redis that refuses": (
        "warmup coinbase --traceback",
        {"REDIS_URL": lambda planted: redis_url(planted, "nobody")},
        1,
        "refuses",
    ),
    "a redis that is gone": (
        "warmup coinbase",
        {"REDIS_URL": lambda planted: f"redis://:{planted['redis']}@127.0.0.1:1/0"},
        1,
        "is gone",
    ),
    "a redis whose address is cut": (
        "warmup coinbase",
        {"REDIS_URL": lambda planted: cut(redis_url(planted), planted["redis"])},
        1,
        "REDIS_URL is not an address",
    ),
    "a database whose address is cut": (
        "warmup coinbase",
        {"DATABASE_URL": lambda planted: cut(postgres(planted), planted["database"])},
        1,
        "is not an address",
    ),
    "a command of Django's": ("migrate", {"DATABASE_URL": postgres}, 1, "The database"),
    "an error that nobody catches": (
        "shell --no-imports --command 'import os; raise RuntimeError(dict(os.environ))'",
        {"POSTGRES_PASSWORD": "database", "LIVERMORE_LOG_FORMAT": "json"},
        1,
        "process.died",
    ),
}


def test_no_command_says_a_secret_whatever_goes_wrong(row, canaries, sandbox, everywhere):
    logging.getLogger("tests").info("the commands begin")  # they log to their own output
    started = {
        name: start(canaries, ["manage.py", *shlex.split(command)], changes)
        for name, (command, changes, *_) in COMMANDS.items()
    }
    said = {name: process.communicate(timeout=120)[0] for name, process in started.items()}
    for name, (_, _, returned, expected) in COMMANDS.items():
        assert (started[name].returncode, expected in said[name]) == (returned, True), said[name]
    assert everywhere(**said) == {}


# -- Services


@pytest.mark.parametrize(
    "changes",
    [
        {"DATABASE_URL": postgres, "REDIS_URL": lambda planted: redis_url(planted, "nobody")},
        {"REDIS_URL": lambda planted: cut(redis_url(planted), planted["redis"])},
    ],
    ids=["what refuses", "an address that is cut"],
)
def test_a_web_server_that_lacks_all_says_no_secret(redis, canaries, everywhere, changes):
    redis.set("something", 1)
    logging.getLogger("tests").info("the web server begins")
    port = free_port()
    daphne = ["-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "livermore.asgi:application"]
    web = start(canaries, daphne, changes)
    bearer = {"Authorization": f"Bearer {canaries['token']}"}
    try:
        wait_until(lambda: answer(port, "/health/live/"))
        said = {path: answer(port, path, bearer) for path in ("/health/", "/metrics", "/admin/")}
        said["ps"] = Path(f"/proc/{web.pid}/cmdline").read_text()
    finally:
        web.terminate()
        said["web"] = web.communicate(timeout=20)[0]
    assert '"redis"' in said["/health/"]
    assert "health.failing part=redis" in said["web"]
    assert everywhere(**said) == {}


def answer(port, path, headers=()):
    """Return what a web server says, "" where there is none yet."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as web:
        try:
            web.request("GET", path, headers=dict(headers))
            reply = web.getresponse()
        except ConnectionError:
            return ""
        return f"{reply.status} {reply.headers}\n{reply.read().decode()}"


def test_an_agent_that_lacks_all_says_no_secret(redis, canaries, everywhere):
    redis.set("something", 1)
    logging.getLogger("tests").info("the agent begins")
    nobody = {"DATABASE_URL": postgres, "REDIS_URL": lambda planted: redis_url(planted, "nobody")}
    agent = start(canaries, ["manage.py", "agent"], nobody)
    said = {"agent": ""}
    while "agent.not_registered" not in said["agent"]:
        line = agent.stdout.readline()
        assert line, said["agent"]
        said["agent"] += line
    said["ps"] = Path(f"/proc/{agent.pid}/cmdline").read_text()
    agent.terminate()
    said["agent"] += agent.communicate(timeout=20)[0]
    assert (agent.returncode, "agent.ended" in said["agent"]) == (0, True)
    assert everywhere(**said) == {}
