"""Two processes with one bucket: who has the turn writes, and a late write is found out."""

import json
import os
import signal
from io import StringIO

import pytest
from django.core.management import call_command

from history.places.place import configured_place
from history.store.store import HistoryStore
from history.turn import Turn, TurnTaken
from livermore.market import keys
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from tests.history.places.s3_server import KEY, s3_server
from tests.warmup.runners import MIDNIGHT_MS, make_row, processes, serve, true_rows

pytestmark = pytest.mark.django_db(transaction=True)

SINCE, SINCE_MS = "2026-11-17", MIDNIGHT_MS - 2 * Timeframe.D1.ms
HOURS = Pair("BTC-USD", Timeframe.H1)
# A writer that stands still when it is about to send its first file of hours.
STALLED = """
import os, signal, sys, django
from django.core.management import execute_from_command_line
os.environ["DJANGO_SETTINGS_MODULE"] = "livermore.settings"
django.setup()
from history.places.s3 import Bucket
write = Bucket.write
def late(self, path, content):
    if "timeframe=1h" in path:
        print("stalled", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
    write(self, path, content)
Bucket.write = late
execute_from_command_line(["manage.py", "history", "sandbox", *sys.argv[1:]])
"""
FILL = ("--timeframes", "1d,1h", "--json")


def run(*arguments):
    output, status = StringIO(), 0
    try:
        call_command("history", "sandbox", *arguments, stdout=output, stderr=StringIO())
    except SystemExit as error:
        status = error.code
    return status, json.loads(output.getvalue())


def test_a_writer_that_stood_still_is_found_out(redis, settings, monkeypatch):
    with (
        s3_server() as server,
        processes() as start,
        serve(speed=1, start_ms=MIDNIGHT_MS + 7 * 60_000) as sandbox,
    ):
        ports = [url.rpartition(":")[2] for url in (server.url, sandbox.url)]
        hosts = [f"127.0.0.1:{port}" for port in ports]
        settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = hosts
        settings.HISTORY = server.address()
        variables = KEY | {
            "LIVERMORE_HISTORY": server.address(),
            "LIVERMORE_PRIVATE_EXCHANGE_HOSTS": ",".join(hosts),
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        row = make_row(sandbox, "sandbox", ["BTC-USD"])
        slow = start("--since", "2026-11-18", *FILL, code=STALLED)
        assert slow.stdout.readline() == "stalled\n"
        with pytest.raises(TurnTaken, match="another process"):
            Turn(redis, row).__enter__()
        redis.delete(keys.history_turn(row.pk))  # as it ends 30 s after the last sign of life
        assert run("--since", SINCE, *FILL)[0] == 0
        assert run("--verify", "--json")[1]["differences"] == []
        os.kill(slow.pid, signal.SIGCONT)
        _, error = slow.communicate(timeout=60)
        assert slow.returncode == 1
        assert "another process has written" in error
        store = HistoryStore(configured_place(), row)
        assert store.read(HOURS, SINCE_MS, MIDNIGHT_MS).covered == ()  # nothing wrong is read
        status, told = run("--verify", "--json")
        assert (status, [each["kind"] for each in told["differences"]]) == (1, ["altered"])
        assert run("--repair", "--json")[0] == 0
        found = store.read(HOURS, SINCE_MS, MIDNIGHT_MS)
        assert found.covered == ((SINCE_MS, MIDNIGHT_MS),)
        assert found.rows == true_rows(sandbox, row, *HOURS, SINCE_MS, MIDNIGHT_MS)
        assert run("--verify", "--json")[0] == 0
