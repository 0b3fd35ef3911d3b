"""What a command loads before it does anything: its start is what people wait for."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from livermore.running import embedded_redis

ROOT = Path(__file__).resolve().parents[2]
# Each takes some hundredths of a second to load, and is for pages, sockets or signed calls alone.
HEAVY = {
    "aiohttp", "channels.db", "cryptography.hazmat", "daphne", "jwt", "litecharts", "markdown_it",
    "prometheus_client", "psycopg", "requests", "twisted", "urllib3", "websocket", "whitenoise",
    "exchanges.admin", "exchanges.sandbox", "livermore.asgi", "livermore.urls", "warmup.network",
}  # fmt: skip
LOADED = """
import atexit, json, sys
atexit.register(lambda: print("\\n" + json.dumps(sorted(sys.modules)), file=sys.stderr))
sys.argv[0] = "manage.py"
import manage
manage.main()
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Return that of a process with a database and a Redis of its own."""
    folder = tmp_path_factory.mktemp("start")
    with embedded_redis.ensure_running(folder / "redis") as server:
        addresses = {
            "DATABASE_URL": f"sqlite:///{folder / 'livermore.sqlite3'}",
            "REDIS_URL": server.url,
        }
        usual = {name: text for name, text in os.environ.items() if "LIVERMORE" not in name}
        yield usual | addresses | {"DJANGO_SETTINGS_MODULE": "livermore.settings"}


def loaded_by(environment, *arguments):
    """Return the modules that are there when a command has ended."""
    process = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments],
        env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=90,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr[-2000:]
    return set(json.loads(process.stderr.splitlines()[-1]))


def test_a_command_loads_nothing_that_it_does_not_need(environment):
    loaded_by(environment, "migrate", "--verbosity=0")
    commands = (["exchange"], ["symbols", "sandbox"], ["exchange", "sandbox", "--json"])
    for arguments in (*commands, ["warmup", "--help"]):
        assert loaded_by(environment, *arguments) & HEAVY == set(), arguments
    # They stream, and write down what a page shows of the past.
    for command in ("start", "agent"):
        loaded = loaded_by(environment, command, "--help")
        assert loaded & HEAVY <= {"websocket", "warmup.network"}, command


def test_a_check_of_all_looks_at_every_page(environment):
    assert {"exchanges.admin", "livermore.urls"} <= loaded_by(environment, "check")
