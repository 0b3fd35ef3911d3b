import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
from django.conf import settings

from benchmarks.fixtures.bench import Bench
from benchmarks.fixtures.processes import Used, used_by
from benchmarks.measurement import Measurement
from exchanges.lock.status import State, read_status
from exchanges.models import Exchange
from exchanges.redis.client import own_client
from exchanges.sandbox.binance.listing import native_name
from exchanges.sandbox.symbols import listings
from exchanges.symbols.listed import ListedSymbol
from exchanges.symbols.listing import sync_symbols
from livermore.market import keys
from livermore.market.timeframe import Timeframe, parse_timeframe

EXCHANGES, SYMBOLS = 10, 100
MINUTES, LONG_MINUTES = 1, 5
SETTLE_SECONDS = 3
LONGEST_START_SECONDS = 240
MOST_THREADS = MOST_CONNECTIONS = 4
MB = 1_000_000


def measure(bench: Bench) -> Iterator[Measurement]:
    minutes = LONG_MINUTES if bench.thorough else MINUTES
    with bench.sandbox(SYMBOLS, latency_ms=0, weight_limit=1_000_000) as sandbox:
        rows = [_row(number, sandbox.url) for number in range(EXCHANGES)]
        for name, most in (("one process", "0"), ("spread over processes", "")):
            bench.redis.flushdb()
            with _agent(most) as agent:
                yield from _measure(bench, rows, agent, f"{name}: ", minutes, most == "")


def _measure(
    bench: Bench, rows: list[Exchange], agent: subprocess.Popen, way: str, minutes: int, new: bool
) -> Iterator[Measurement]:
    started = time.monotonic()
    while not all(_is_live(bench, row) for row in rows):
        assert agent.poll() is None, "the agent ended"
        assert time.monotonic() < started + LONGEST_START_SECONDS, "not all of them became live"
        time.sleep(0.2)
    what = f"{way}{EXCHANGES} exchanges x {SYMBOLS} symbols x 6 are live after"
    yield Measurement(what, time.monotonic() - started, "s")
    time.sleep(SETTLE_SECONDS)
    with _delays(bench, rows) as delays:
        first = used_by(agent.pid)
        _wait_for_minutes(minutes)
        last = used_by(agent.pid)
    yield from _usage(bench, way, first, last, new)
    found = sorted(delays)
    expected = minutes * EXCHANGES * SYMBOLS
    p99 = found[int(0.99 * len(found))]
    note = f"{len(found):,} closes, from the bar's end; p50 {found[len(found) // 2]:.0f} ms"
    yield Measurement(f"{way}closes published after, p99", p99, "ms", note=note)
    yield Measurement(f"{way}closes that the stream told", len(found), at_least=0.95 * expected)


def _usage(bench: Bench, way: str, first: Used, last: Used, new: bool) -> Iterator[Measurement]:
    share = 100 * (last.cpu_seconds - first.cpu_seconds) / (last.at - first.at)
    yield Measurement(f"{way}share of a core", share, "%", note=f"{last.processes} processes")
    note = f"an exchange {last.memory_bytes / MB / EXCHANGES:.0f} MB; what they share counted once"
    yield Measurement(f"{way}memory", last.memory_bytes / MB, "MB", note=note)
    limit = MOST_THREADS if new else None
    note = f"{last.threads} in all that run exchanges"
    yield Measurement(f"{way}threads an exchange", last.threads / EXCHANGES, "", limit, note)
    names = [client["name"].removeprefix("livermore:") for client in bench.redis.client_list()]
    of_exchanges = [name for name in names if ":" in name]
    kinds = ", ".join(sorted({name.partition(":")[0] for name in of_exchanges}))
    yield Measurement(
        f"{way}connections to Redis an exchange",
        len(of_exchanges) / EXCHANGES,
        at_most=MOST_CONNECTIONS,
        note=kinds,
    )


def _row(number: int, url: str) -> Exchange:
    """Return an exchange of that sandbox, with its symbols, that agents are to run."""
    row = Exchange.objects.create(
        name=f"exchange-{number}",
        display_name=f"Exchange {number}",
        venue="binance",
        rest_url=url,
        ws_url=url.replace("http", "ws"),
        pacing="weight",
        is_active=True,
        wanted=Exchange.Wanted.RUNNING,
    )
    listed = [
        ListedSymbol(one.symbol, native_name(one), one.base, one.quote, True)
        for one in listings(SYMBOLS)
        if one.is_on("binance")
    ]
    sync_symbols(row, listed)
    row.symbols.update(is_monitored=True)
    return row


@contextmanager
def _agent(most: str) -> Iterator[subprocess.Popen]:
    """Run an agent that spreads exchanges over so many processes, "" for what is usual."""
    command = [sys.executable, settings.BASE_DIR / "manage.py", "agent"]
    environment = os.environ | {"LIVERMORE_AGENT_PROCESSES": most}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _is_live(bench: Bench, row: Exchange) -> bool:
    status = read_status(bench.redis, row.pk)
    return status.state is State.ACTIVE and bool((status.details or {}).get("connections"))


def _wait_for_minutes(minutes: int) -> None:
    """Wait until so many minutes have ended, and what closes then is told."""
    ends_at = 60 * (int(time.time()) // 60 + minutes) + 10
    while time.time() < ends_at:
        time.sleep(0.5)


@contextmanager
def _delays(bench: Bench, rows: list[Exchange]) -> Iterator[list[float]]:
    """Yield the ms from the end of each bar of a minute to hearing its close, while that lasts."""
    found: list[float] = []
    stopping = threading.Event()
    patterns = [keys.close_channel(row.pk, "*", Timeframe.M1) for row in rows]

    def listen() -> None:
        with own_client(bench.redis, 5) as redis, redis.pubsub() as pubsub:
            pubsub.psubscribe(*patterns)
            while not stopping.is_set():
                message = pubsub.get_message(timeout=0.5)
                if message and message["type"] == "pmessage":
                    event = orjson.loads(message["data"])
                    ended_ms = event["timestamp"] + parse_timeframe(event["timeframe"]).ms
                    if not event["healed"]:  # REST was asked for it: the stream did not tell it
                        found.append(1000 * time.time() - ended_ms)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        stopping.set()
        thread.join()
