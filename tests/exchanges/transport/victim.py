"""A process that calls an attacker, and says what it was told and how much its memory grew.

`python -m tests.exchanges.transport.victim` reads lines of JSON: KIND, URL, SECONDS. For each it
forks, so that the memory of one is not another's, and prints a line of JSON. KIND is `rest`,
`long` for an answer as long as a listing's, `stream`, or `listing` and `parsing`, which are told
what venue it is to be (`binance` or `coinbase`) in the place of SECONDS; `grew` is in megabytes.
"""

import atexit
import contextlib
import functools
import json
import os
import resource
import subprocess
import sys
import time
import traceback
from pathlib import Path

import django


def victim(*arguments):
    """Return what a process of its own met."""
    process = victims()
    process.stdin.write(json.dumps([str(each) for each in arguments]) + "\n")
    process.stdin.flush()
    found = json.loads(process.stdout.readline())
    assert "fault" not in found, found["fault"]
    return found


@functools.cache
def victims():
    """Start the process that forks for each, once: it takes longer than most attacks."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.exchanges.transport.victim"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.communicate)
    return process


class NoPacer:
    """Lets every call go out at once, and keeps nothing."""

    host = "attacker"
    ask_limits = None

    def should_ask_limits(self):
        return False

    def assume_limits(self):
        return True

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
    from exchanges.rest.client import RestClient
    from exchanges.rest.response_limits import ResponseLimits

    client = RestClient(url, NoPacer(), workers=1, limits=ResponseLimits(seconds=seconds))
    with contextlib.closing(client):
        try:
            client.get("/api/x", long=long)
        except Exception as error:
            return type(error).__name__, str(error), client.calls
    return "", "", client.calls


def listing(url, venue):
    from exchanges.rest.client import RestClient
    from exchanges.venues.binance.rest import BinanceRest
    from exchanges.venues.coinbase.rest import CoinbaseRest

    client = RestClient(url, NoPacer(), workers=1)
    rest = {"binance": BinanceRest, "coinbase": CoinbaseRest}[venue](1, client)
    with contextlib.closing(client):
        try:
            found = rest.list_symbols()
        except Exception as error:
            return type(error).__name__, str(error), client.calls
    return "", f"{len(found)} and {len(found.refused)}", client.calls


def stream(url, venue="binance"):
    from exchanges.stream.connection import Connection
    from exchanges.venues.binance.stream import BinanceStream
    from exchanges.venues.coinbase.stream import CoinbaseStream

    stream = {"binance": BinanceStream, "coinbase": CoinbaseStream}[venue]
    topic = {"binance": "btcusd@kline_1m", "coinbase": "ticker_batch:BTC-USD"}[venue]
    native = {"binance": "BTCUSD", "coinbase": "BTC-USD"}[venue]
    connection = Connection(stream(url, {"BTC-USD": native}), [topic])
    connection.start()
    while not connection.ended.wait(0.05):
        connection.read()
    connection.read()
    return "", connection.reason, 1


def megabytes():
    status = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1000


def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "livermore.settings")
    django.setup()
    from django.conf import settings

    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["127.0.0.1"]
    import exchanges.stream.connection
    import exchanges.venues.binance.rest
    import exchanges.venues.coinbase.rest  # noqa: F401  # what is loaded is no growth

    for line in sys.stdin:
        if child := os.fork():
            os.waitpid(child, 0)
            continue
        try:
            found = meet(*json.loads(line))
        except BaseException:
            found = {"fault": traceback.format_exc()}
        print(json.dumps(found), flush=True)
        os._exit(0)


def meet(kind, url, seconds="60"):
    before, began = megabytes(), time.monotonic()
    if kind in ("stream", "parsing"):
        name, text, calls = stream(url, *([seconds] if kind == "parsing" else []))
    elif kind == "listing":
        name, text, calls = listing(url, seconds)
    else:
        name, text, calls = call(url, float(seconds), kind == "long")
    grew = megabytes() - before
    took = time.monotonic() - began
    cpu = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    return {"error": name, "text": text, "calls": calls, "grew": grew, "took": took, "cpu": cpu}


if __name__ == "__main__":
    main()
