"""Secrets are planted wherever a deployment has them, then looked for wherever something is kept.

What the redaction of logs and error pages covers is looked for in front of it as well: `raw` logs
hold what the code wrote, before anything was taken out.
"""

import base64
import html
import io
import json
import logging
import os
import re
import secrets
import shlex
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest
import redis as redis_client
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.urls import include, path
from django.utils import timezone
from django.views.debug import get_default_exception_reporter_filter
from django_redis import get_redis_connection

from alerts.models import Alert, AlertChannel, Delivery
from exchanges.accounts import save_account
from exchanges.adapters import open_rest
from exchanges.credentials import find_credentials
from exchanges.errors import BadCredentials, LivermoreError, Unreachable
from exchanges.lock.status import State, read_status
from exchanges.models import Exchange, UserExchange
from exchanges.venues.coinbase.signing import Signer
from livermore.observing.logs import JsonFormatter, TextFormatter
from tests.alerts.receiver import Receiver
from tests.conftest import SERVER
from tests.exchanges.transport.proxy import Proxy
from tests.fixtures.ports import free_port
from tests.warmup.runners import ROOT, Running, database_url, make_row, running, serve, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

KEY, SECRET, PASSPHRASE = "COINBASE_CANARY_KEY", "COINBASE_CANARY_SECRET", "COINBASE_CANARY_PHRASE"
REDIS_USER = "canary"
PROXY = "LIVERMORE_PROXY_CANARY"
CHANNEL = "LIVERMORE_NOTIFY_CANARY"
# A signed token, or its beginning; it carries the key's name. Within a longer word it is chance.
TOKEN = re.compile(r"(?<![\w-])eyJ[\w-]{30,}")
DECODED = 45 * b"\x07"  # too much for a key
PIECE = 16  # so much of a secret in a row is a leak, where a text was cut


def canary(name):
    return f"{name}-{secrets.token_hex(24)}"


def private_key():
    key = generate_private_key(SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class Canaries(dict):
    """The planted values by name; `sung` are the names of those that a text holds."""

    def sung(self, text):
        found = [name for name, value in self.items() if any(f in text for f in forms(value))]
        return found + ["a signed token"] * bool(TOKEN.search(text))


def forms(value):
    """Return how a secret may stand in a text: in pieces, quoted, or encoded."""
    lines = [line for line in value.splitlines() if not line.startswith("-----")]
    if len(lines) == 1 and "-" in lines[0]:
        lines = [lines[0].rpartition("-")[2]]  # its random part
    found = {form for line in lines for form in (line[:PIECE], line[-PIECE:])}
    found |= {repr(value)[1:-1], json.dumps(value)[1:-1], html.escape(value), quote(value, safe="")}
    raw = value.encode()
    return found | {
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        raw.hex(),
    }


# -- Planting


@pytest.fixture
def canaries(monkeypatch, settings, redis):
    """Plant a secret in every place that has one; Redis and the admin work with theirs."""
    planted = Canaries(
        key=f"organizations/{uuid4()}/apiKeys/{uuid4()}",
        secret=private_key(),
        no_key=canary("no-key"),
        passphrase=canary("passphrase"),
        secret_key=canary("of-sessions"),
        token=canary("metrics"),
        proxy=canary("proxy"),
        channel=canary("channel"),
        dead_man=canary("dead-man"),
        redis=canary("redis"),
        database=canary("database"),
    )
    monkeypatch.setenv(KEY, planted["key"])
    monkeypatch.setenv(SECRET, planted["secret"])
    monkeypatch.setenv(PASSPHRASE, planted["passphrase"])
    for name, value in environment(planted).items():
        monkeypatch.setenv(name, value)
    settings.SECRET_KEY = planted["secret_key"]
    settings.LIVERMORE_METRICS_TOKEN = planted["token"]
    settings.LIVERMORE_DEAD_MAN_URL = os.environ["LIVERMORE_DEAD_MAN_URL"]
    settings.DATABASE_URL = postgres(planted)
    settings.REDIS_URL = os.environ["REDIS_URL"]
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": settings.REDIS_URL}}
    redis.acl_setuser(
        REDIS_USER, enabled=True, passwords=[f"+{planted['redis']}"],
        keys=["*"], channels=["*"], categories=["+@all"],
    )  # fmt: skip
    yield planted
    redis.acl_deluser(REDIS_USER)


def environment(planted):
    return {
        "LIVERMORE_SECRET_KEY": planted["secret_key"],
        "LIVERMORE_METRICS_TOKEN": planted["token"],
        PROXY: f"http://ada:{planted['proxy']}@127.0.0.1:1",
        CHANNEL: channel_address(planted, 1),
        "LIVERMORE_DEAD_MAN_URL": f"http://127.0.0.1:1/ping/{planted['dead_man']}",
        "REDIS_URL": redis_url(planted),
    }


def channel_address(planted, port):
    """Return an address with its secret in each of its places."""
    secret = planted["channel"]
    return f"json://ada:{secret}@127.0.0.1:{port}/{secret}?token={secret}&+X-Token={secret}"


def redis_url(planted, user=REDIS_USER):
    return SERVER.url.replace("unix://", f"unix://{user}:{planted['redis']}@")


def postgres(planted):
    return f"postgres://livermore:{planted['database']}@127.0.0.1:1/livermore"


@pytest.fixture
def receiver():
    with closing(Receiver()) as receiver:
        yield receiver


@pytest.fixture
def short_timeouts(monkeypatch):
    """Let no call be tried again."""
    monkeypatch.setattr("exchanges.rest.client.ATTEMPTS", 1)


@pytest.fixture
def sandbox():
    with serve() as server:
        yield server


@pytest.fixture
def row(canaries, sandbox):
    """Return Coinbase's row at the sandbox, with an account that names the planted variables."""
    exchange, _ = Exchange.objects.get_or_create(name="coinbase", defaults={"venue": "coinbase"})
    account = save_account(
        UserExchange(
            user=get_user_model().objects.create_superuser("admin", password="of the admin"),
            exchange=exchange,
            display_name="main",
            api_key_env=KEY,
            api_secret_env=SECRET,
            passphrase_env=PASSPHRASE,
        )
    )
    Exchange.objects.filter(pk=exchange.pk).update(account=account)
    return make_row(sandbox, "coinbase", ["BTC-USD"])


# -- Looking


def redis_text(redis):
    """Return all that Redis holds."""
    found = []
    for key in redis.scan_iter(count=1000):
        kind = redis.type(key).decode()
        read = {
            "string": redis.get,
            "hash": redis.hgetall,
            "list": lambda key: redis.lrange(key, 0, -1),
            "set": redis.smembers,
            "zset": lambda key: redis.zrange(key, 0, -1, withscores=True),
            "stream": redis.xrange,
        }[kind]
        found.append(f"{key!r} {read(key)!r}")
    return "\n".join(found)


def database_text():
    """Return all that the database holds."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found += [f"{table} {row!r}" for row in cursor.fetchall()]
    return "\n".join(found)


@pytest.fixture
def logs():
    """Collect all that is logged, down to DEBUG, in three forms: raw, text and json."""
    with collecting_logs() as streams:
        yield streams


@contextmanager
def collecting_logs():
    formatters = {"raw": logging.Formatter(), "text": TextFormatter(), "json": JsonFormatter()}
    streams, handlers = {}, []
    for name, formatter in formatters.items():
        streams[name] = io.StringIO()
        handlers.append(logging.StreamHandler(streams[name]))
        handlers[-1].setFormatter(formatter)
    loggers = [
        logging.getLogger(name) for name in (None, "livermore", "exchanges", "warmup", "urllib3")
    ]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    loggers[0].handlers[:0] = handlers  # before those that write a line anew
    try:
        yield streams
    finally:
        for handler in handlers:
            loggers[0].removeHandler(handler)
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@pytest.fixture
def everywhere(redis, logs, canaries):
    """Return which canaries were found in which place: nothing, where all is well."""

    def everywhere(**more):
        places = {"redis": redis_text(redis), "database": database_text()}
        places |= {f"log, {name}": stream.getvalue() for name, stream in logs.items()} | more
        assert all(places.values()), [name for name, text in places.items() if not text]
        return {name: found for name, text in places.items() if (found := canaries.sung(text))}

    return everywhere


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


def cut(address, password):
    """Return an address whose password holds, unquoted, what ends a host."""
    half = len(password) - 24
    return address.replace(password, f"{password[:half]}/{password[half:]}")


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


def start(planted, arguments, changes):
    """Start a program that logs all it can, with the planted environment and some changes."""
    environment = {
        name: value(planted) if callable(value) else planted.get(value, value)
        for name, value in changes.items()
    }
    usual = {"DATABASE_URL": database_url(), "LIVERMORE_LOG_LEVEL": "DEBUG"}
    return subprocess.Popen(
        [sys.executable, *arguments],
        env=os.environ | usual | environment,
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip


# -- Channels of alerts

TELL = """
import sys
import traceback
import django
from django.core.management import execute_from_command_line
django.setup()
from django.conf import settings
from alerts.delivery.dead_man import fetch
from alerts.delivery.senders import ChannelSender
from alerts.models import AlertChannel
for channel in AlertChannel.objects.all():
    try:
        execute_from_command_line(["manage.py", "alert", "--test", channel.name, "--traceback"])
    except Exception:
        traceback.print_exc()
    sender = ChannelSender(channel.pk)
    sender.stop()
    sender.step()
fetch(settings.LIVERMORE_DEAD_MAN_URL)
fetch(settings.LIVERMORE_DEAD_MAN_URL.replace(":1/", f":{sys.argv[1]}/"))
execute_from_command_line(["manage.py", "alert", "--list"])
"""
SAID = (
    "takes: the message was taken",
    "gone: Connection refused",
    f"unknown: {CHANNEL}_UNKNOWN: apprise knows no such address",
    "private: 127.0.0.2 is not called",
)


@pytest.fixture
def channels(row, canaries, receiver, settings, monkeypatch):
    """Return the variables of channels that each go wrong in a way, a message waiting in each."""
    monkeypatch.setenv("LIVERMORE_PRIVATE_EXCHANGE_HOSTS", "127.0.0.1")
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["127.0.0.1"]
    gone, secret = os.environ[CHANNEL], canaries["channel"]
    addresses = {
        "takes": channel_address(canaries, receiver.port),
        "gone": gone,
        "unknown": f"nothing://ada:{secret}@127.0.0.1/{secret}",
        "private": gone.replace("127.0.0.1:1", "127.0.0.2"),
    }
    now = timezone.now()
    times = {"next_try_at": now, "created_at": now, "changed_at": now}
    alert = Alert.objects.create(what="ban", text="it is banned", first_seen=now, last_seen=now)
    for name, address in addresses.items():
        variable = f"{CHANNEL}_{name.upper()}"
        monkeypatch.setenv(variable, address)
        channel = AlertChannel.objects.create(name=name, variable=variable)
        Delivery.objects.create(alert=alert, channel=channel, text="it is banned", **times)
    return {channel.name: channel for channel in AlertChannel.objects.all()}


def test_a_channels_address_is_left_nowhere(
    channels, canaries, receiver, redis, browser, everywhere
):
    redis.set("something", 1)
    told = start(canaries, ["-c", TELL, str(receiver.port)], {}).communicate(timeout=120)[0]
    assert [text for text in SAID if text not in told] == [], told
    assert canaries["dead_man"] in receiver.paths[-1]
    assert receiver.messages[-1] == "it is banned"
    logging.getLogger("tests").info("the pages follow")
    pages = {
        address: fetch(browser, address)[1]
        for address in (
            *(f"/admin/alerts/{name}/" for name in ("alertchannel", "alert", "delivery")),
            *(f"/admin/alerts/alertchannel/{each.pk}/change/" for each in channels.values()),
            "/admin/network/alerts/",
        )
    }
    assert "Connection refused" in pages["/admin/alerts/delivery/"]
    for name, channel in channels.items():
        form = {"name": name, "variable": channel.variable, "is_active": "on", "_test": "on"}
        if name != "takes":  # urllib3 says at DEBUG, which is off, which path it called
            pages[f"tried {name}"] = change(browser, channel, form)
    form = {"name": "pasted", "variable": os.environ[CHANNEL], "is_active": "on"}
    pages["pasted"] = change(browser, channels["takes"], form)
    assert "was not stored" in pages["pasted"]
    assert everywhere(commands=told, **pages) == {}
    login = base64.b64encode(f"ada:{canaries['channel']}".encode()).decode()
    assert not [name for name, text in (pages | {"told": told}).items() if login in text]


def change(browser, channel, form):
    address = f"/admin/alerts/alertchannel/{channel.pk}/change/"
    return browser.post(address, form, follow=True).content.decode()


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


# -- Pages


def careless(request):
    """Hold every secret in a local variable, and say some of them in an error."""
    planted = {name: os.environ[name] for name in (KEY, SECRET, PASSPHRASE, "REDIS_URL")}
    everything = dict(os.environ)
    credentials = find_credentials(Exchange.objects.get(name="coinbase"))
    key, secret = credentials.key, credentials.secret
    options = get_redis_connection("default").connection_pool.connection_kwargs
    addresses = (django_settings.DATABASE_URL, django_settings.REDIS_URL)
    cut_in_it = 4060 * "x" + django_settings.LIVERMORE_METRICS_TOKEN  # Django shows 4096 characters
    token = Signer(key, secret)("host/path")
    raise RuntimeError(planted, everything, options, addresses, token, cut_in_it[-9:])


def signing(request):
    Signer(os.environ[KEY], os.environ[SECRET] + "spoilt")


def decoding(request):
    Signer(os.environ[KEY], base64.b64encode(DECODED).decode())


def fetching(request):
    with closing(open_rest(Exchange.objects.get(name="coinbase"))) as rest:
        rest.list_symbols()


def refused_by_redis(request):
    redis_client.Redis.from_url(django_settings.REDIS_URL.replace(REDIS_USER, "nobody")).ping()


def refused_by_the_database(request):
    psycopg.connect(django_settings.DATABASE_URL)


FAILING = [signing, decoding, fetching, refused_by_redis, refused_by_the_database]
urlpatterns = [
    *(path(f"{view.__name__}/", view) for view in (careless, *FAILING)),
    path("", include("livermore.urls")),
]


@pytest.fixture
def browser(row, settings):
    settings.ROOT_URLCONF = __name__
    browser = Client(raise_request_exception=False)
    browser.force_login(get_user_model().objects.get(username="admin"))
    return browser


def fetch(browser, address, **options):
    """Return a page's text, its headers before it."""
    answer = browser.get(address, **options)
    return answer.status_code, f"{answer.headers}\n{answer.content.decode()}"


@pytest.mark.parametrize(
    ("debug", "accept"), [(False, "text/html"), (True, "text/html"), (True, "text/plain")]
)
def test_an_error_page_shows_no_secret(
    browser, settings, sandbox, everywhere, redis, short_timeouts, debug, accept
):
    settings.DEBUG = debug
    sandbox.stop()
    redis.set("something", 1)
    pages = {}
    for view in FAILING:
        code, pages[view.__name__] = fetch(
            browser, f"/{view.__name__}/", headers={"accept": accept}
        )
        assert (code, "Traceback" in pages[view.__name__]) == (500, debug)
    assert everywhere(**pages) == {}


@pytest.mark.parametrize("accept", ["text/html", "text/plain"])
def test_an_error_page_shows_no_secret_that_code_was_careless_with(
    browser, settings, canaries, logs, accept
):
    settings.DEBUG = True
    code, page = fetch(browser, "/careless/", headers={"accept": accept})
    assert code == 500
    assert canaries.sung(page) == []
    assert ("connection_pool" in page) is (accept == "text/html")  # variables and source
    assert canaries.sung(logs["raw"].getvalue())  # it was very careless
    assert canaries.sung(logs["text"].getvalue() + logs["json"].getvalue()) == []


@pytest.fixture
def djangos_own(settings):
    """Let errors be shown as Django would without us."""
    settings.DEFAULT_EXCEPTION_REPORTER = "django.views.debug.ExceptionReporter"
    settings.DEFAULT_EXCEPTION_REPORTER_FILTER = "django.views.debug.SafeExceptionReporterFilter"
    get_default_exception_reporter_filter.cache_clear()
    yield
    get_default_exception_reporter_filter.cache_clear()


def test_djangos_own_error_page_would_show_them(browser, settings, canaries, djangos_own):
    settings.DEBUG = True
    _, page = fetch(browser, "/careless/", headers={"accept": "text/html"})
    assert {"secret", "redis", "database"} <= set(canaries.sung(page))


def test_an_error_page_does_not_show_what_became_of_a_secret(browser, settings):
    settings.DEBUG = True
    _, page = fetch(browser, "/decoding/", headers={"accept": "text/html"})
    assert "BadCredentials" in page
    assert PIECE * "\\x07" not in page


def test_djangos_own_error_page_would_show_that_too(browser, settings, djangos_own):
    settings.DEBUG = True
    _, page = fetch(browser, "/decoding/", headers={"accept": "text/html"})
    assert PIECE * "\\x07" in page


def test_no_page_shows_a_secret(browser, row, canaries, sandbox, everywhere, monkeypatch):
    account = UserExchange.objects.get()
    pages = {
        address: fetch(browser, address)[1]
        for address in (
            "/admin/", "/admin/exchanges/exchange/", "/admin/exchanges/userexchange/",
            f"/admin/exchanges/exchange/{row.pk}/change/", "/health/", "/metrics",
            f"/admin/exchanges/userexchange/{account.pk}/change/",
        )
    }  # fmt: skip
    assert f"{SECRET}: set" in pages[f"/admin/exchanges/userexchange/{account.pk}/change/"]
    bearer = {"Authorization": f"Bearer {canaries['token']}"}
    status_code, pages["metrics"] = fetch(browser, "/metrics", headers=bearer)
    assert status_code == 200
    pages["pasted"] = paste_secrets(browser, account, canaries)
    monkeypatch.setenv(SECRET, canaries["no_key"])
    pages["synced"] = sync(browser, row)
    assert "newly monitored" in pages["synced"]
    assert everywhere(**pages) == {}


def paste_secrets(browser, account, canaries):
    """Write the secrets where the names of their variables belong."""
    form = {
        "user": account.user_id, "exchange": account.exchange_id, "display_name": "main",
        "api_key_env": canaries["key"], "api_secret_env": canaries["secret"],
        "passphrase_env": canaries["passphrase"], "is_active": "on",
    }  # fmt: skip
    page = browser.post(f"/admin/exchanges/userexchange/{account.pk}/change/", form)
    assert b"was not stored" in page.content
    return page.content.decode()


def sync(browser, row):
    form = {"action": "sync_symbols", "_selected_action": row.pk}
    return browser.post("/admin/exchanges/exchange/", form, follow=True).content.decode()
