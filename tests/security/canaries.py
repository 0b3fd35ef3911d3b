"""Secrets that are planted wherever a deployment has them, and how they are looked for.

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
import subprocess
import sys
from contextlib import contextmanager
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.db import connection

from livermore.observing.logs import JsonFormatter, TextFormatter
from tests.conftest import SERVER
from tests.warmup.runners import ROOT, database_url

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


def cut(address, password):
    """Return an address whose password holds, unquoted, what ends a host."""
    half = len(password) - 24
    return address.replace(password, f"{password[:half]}/{password[half:]}")


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


def fetch(browser, address, **options):
    """Return a page's text, its headers before it."""
    answer = browser.get(address, **options)
    return answer.status_code, f"{answer.headers}\n{answer.content.decode()}"
