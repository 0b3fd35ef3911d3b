"""What a benchmark stands on: the row of an exchange, its sandbox, Redis, and commands."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import requests
from django.conf import settings
from django_redis import get_redis_connection

from exchanges.models import Exchange
from exchanges.sandbox.market.listings import BINANCE, TRADING, listings
from exchanges.symbols.listing import ListedSymbol, sync_symbols
from exchanges.venues import ExchangeAdapterFactory
from livermore.running.children import Child, Children
from warmup.service import SmartWarmupService

WEIGHT_A_MINUTE = 6000  # binance.com's
LATENCY_MS = 40
NOBODY = "http://127.0.0.1:9"  # a call would fail, so a benchmark that ends has made none


class Sandbox:
    """A sandbox exchange in a process of its own, asked what was asked of it."""

    def __init__(self, url: str):
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def forget(self) -> None:
        """Forget requests and used limits."""
        self._session.post(f"{self.url}/sandbox/reset", timeout=10).raise_for_status()

    def candle_calls(self) -> int:
        return self._requests()["counts"].get("binance.klines", 0)

    def refusals(self) -> int:
        """Return how many candle calls were too many for its limits, of the last 5,000."""
        statuses = Counter(request["status"] for request in self._requests()["log"])
        return statuses[429] + statuses[418]

    def _requests(self) -> dict:
        return self._session.get(f"{self.url}/sandbox/requests", timeout=10).json()


class Bench:
    """The Redis and the database of this process, which are empty at first, as fixtures."""

    def __init__(self, thorough: bool = False):
        """`thorough`: take the time it needs to find out what shows after minutes only."""
        self.thorough = thorough
        self.redis = get_redis_connection("default")

    @contextlib.contextmanager
    def sandbox(self, symbols: int) -> Iterator[Sandbox]:
        """Run a sandbox with so many symbols and binance.com's limits."""
        url = f"http://127.0.0.1:{free_port()}"
        options = {
            "--port": url.rpartition(":")[2],
            "--symbols": str(symbols),
            "--latency-ms": str(LATENCY_MS),
            "--weight-limit": str(WEIGHT_A_MINUTE),
        }
        arguments = ["manage", "sandbox", *(text for pair in options.items() for text in pair)]
        log = Path(tempfile.gettempdir()) / "sandbox.log"
        children = Children(print)
        try:
            ping = f"{url}/api/v3/ping"
            children.start(Child("sandbox", arguments, ping, log, settings.BASE_DIR))
            yield Sandbox(url)
        finally:
            children.stop()

    def exchange(self, symbols: int, url: str = NOBODY) -> tuple[Exchange, list[str]]:
        """Return the sandbox's row, moved to `url`, and its symbols, all of them monitored."""
        exchange = Exchange.objects.get(name="sandbox")
        exchange.rest_url = url
        exchange.save()
        trading = [
            ListedSymbol(one.symbol, one.native, one.base, one.quote, True)
            for one in listings(symbols)
            if one.status == TRADING and BINANCE in one.protocols
        ]
        sync_symbols(exchange, trading)
        return exchange, [one.symbol for one in trading]

    def warm(self, exchange: Exchange, symbols: list[str]) -> float:
        """Warm the symbols in this process; return the seconds it took.

        Raises AssertionError unless every pair has its candles afterwards.
        """
        started = time.perf_counter()
        rest = ExchangeAdapterFactory(self.redis).rest(exchange)
        try:
            service = SmartWarmupService(self.redis, exchange.pk, rest)
            service.warmup(symbols)
        finally:
            rest.close()
        seconds = time.perf_counter() - started
        assert not service.stats.failed, service.stats.failures[0]
        return seconds

    def manage(self, *arguments: str) -> tuple[float, int]:
        """Run a command; return its seconds with process start, and its peak memory in bytes."""
        started = time.perf_counter()
        command = [sys.executable, settings.BASE_DIR / "manage.py", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()
        seconds = time.perf_counter() - started
        assert process.returncode == 0, f"{' '.join(arguments)} ended with {process.returncode}"
        return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
