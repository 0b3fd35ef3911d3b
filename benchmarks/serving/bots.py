"""Many bots that start together, with pairs that are not in the cache."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import gettempdir

from django.conf import settings

from benchmarks.fixtures.bench import LATENCY_MS, Bench
from benchmarks.measurement import Measurement
from benchmarks.serving.cores import Cores
from benchmarks.serving.exchange import klines_path
from benchmarks.serving.load import once
from benchmarks.serving.servers import serve
from exchanges.lock.status import State, read_status
from exchanges.models import Exchange, Symbol
from livermore.market.timeframe import Timeframe
from livermore.running.children import Child, Children

BOTS, SYMBOLS, ROWS = 100, 40, 500
TIMEFRAMES = (Timeframe.M15, Timeframe.H1, Timeframe.H4)
WARM = 5  # symbols that the runner keeps itself
SECONDS_TO_START = 60.0


def measure(bench: Bench, cores: Cores) -> Iterator[Measurement]:
    with bench.sandbox(WARM + SYMBOLS) as sandbox:
        exchange, symbols = bench.exchange(WARM + SYMBOLS, sandbox.url)
        others = symbols[WARM:]
        Symbol.objects.filter(exchange=exchange, symbol__in=others).update(is_monitored=False)
        with _runner(bench, exchange), serve(cores) as server:
            sandbox.forget()
            found = once(server.port, list(_paths(exchange, others)), BOTS)
            calls, refusals = sandbox.calls_by_pair(), sandbox.refusals()
    pairs = len(others) * len(TIMEFRAMES)
    what = f"{BOTS} bots that start together, {len(others)} symbols x {len(TIMEFRAMES)} each"
    of_closed = sum(each["start_ms"] is not None for made in calls.values() for each in made)
    note = f"{of_closed} for {pairs} pairs that the cache lacked, at {LATENCY_MS} ms"
    yield Measurement(f"{what}: calls a pair", of_closed / pairs, at_most=1, note=note)
    ages = [ms for made in calls.values() for ms in _ages_ms(made)]
    note = f"each {min(ages, default=0):,} ms or more after the call before it of its pair"
    yield Measurement("its calls for open candles alone", len(ages), note=note)
    yield Measurement("its answers with 429 or 418 by the exchange", refusals, at_most=0)
    lacking = BOTS * pairs - found.statuses.get("200", 0)
    note = f"of {BOTS * pairs:,}; others first: {found.failed}"
    yield Measurement("its requests that were not served", lacking, at_most=0, note=note)
    note = f"{found.per_second:,.0f} answers a second, p99 {found.p99:.0f} ms"
    yield Measurement("until all have all", found.seconds, "s", note=note)
    bench.redis.flushdb()


def _ages_ms(calls: list[dict]) -> Iterator[int]:
    """Yield how long after the one before it each call came that asks for the open candle alone."""
    for before, call in pairwise(calls):
        if call["start_ms"] is None:
            yield call["arrived_ms"] - before["arrived_ms"]


def _paths(exchange: Exchange, symbols: list[str]) -> Iterator[str]:
    for symbol in symbols:
        for timeframe in TIMEFRAMES:
            yield f"/{exchange.name}{klines_path(symbol.replace('-', ''), timeframe, ROWS)}"


@contextmanager
def _runner(bench: Bench, exchange: Exchange) -> Iterator[None]:
    """Run an exchange as `./run start` does, from when it streams on."""
    children, log = Children(print), Path(gettempdir()) / "runner.log"
    arguments = ["manage", "start", exchange.name]
    try:
        children.start(Child("runner", arguments, None, log, settings.BASE_DIR))
        deadline = time.monotonic() + SECONDS_TO_START
        while read_status(bench.redis, exchange.pk).state is not State.ACTIVE:
            assert time.monotonic() < deadline, f"it did not begin: {log.read_text()[-500:]}"
            time.sleep(0.1)
        yield
    finally:
        children.stop()
