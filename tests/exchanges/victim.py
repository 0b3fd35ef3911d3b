"""A process that calls an attacker, and says what it was told and how much its memory grew.

`python -m tests.exchanges.victim KIND URL SECONDS` prints a line of JSON; KIND is `rest`,
`long` for a listing, or `stream`; `grew` is in megabytes.
"""

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import django


def victim(*arguments):
    """Return what a process of its own met."""
    command = [sys.executable, "-m", "tests.exchanges.victim", *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


class NoPacer:
    """Lets every call go out at once, and keeps nothing."""

    host = "attacker"

    def wait_turn(self, weight, lane):
        pass

    def take_back(self, *counted):
        pass

    def sleep(self, seconds):
        pass

    def hold(self, seconds):
        pass

    def turn_away(self, seconds):
        from exchanges.errors import TurnedAway

        return TurnedAway(self.host, seconds)

    def answered(self):
        pass

    def close(self):
        pass


def call(url, seconds, long):
    from exchanges.answers import AnswerLimits
    from exchanges.rest_client import RestClient

    client = RestClient(url, NoPacer(), workers=1, limits=AnswerLimits(seconds=seconds))
    with contextlib.closing(client):
        try:
            client.get("/api/x", long=long)
        except Exception as error:
            return type(error).__name__, str(error), client.calls
    return "", "", client.calls


def stream(url):
    from exchanges.connection import Connection
    from exchanges.venues.binance.stream import BinanceStream

    connection = Connection(BinanceStream(url, {}), ["btcusdt@kline_1m"])
    connection.start()
    while not connection.ended.wait(0.05):
        connection.read()
    return "", connection.reason, 1


def megabytes():
    status = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1000


def main(kind, url, seconds="60"):
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "livermore.settings")
    django.setup()
    from django.conf import settings

    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["127.0.0.1"]
    import exchanges.connection
    import exchanges.rest_client  # noqa: F401  # what is loaded is no growth

    before, began = megabytes(), time.monotonic()
    if kind == "stream":
        name, text, calls = stream(url)
    else:
        name, text, calls = call(url, float(seconds), kind == "long")
    grew = megabytes() - before
    took = time.monotonic() - began
    cpu = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    found = {"error": name, "text": text, "calls": calls, "grew": grew, "took": took, "cpu": cpu}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
