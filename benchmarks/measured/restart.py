import signal
import subprocess
import sys
import time
from collections.abc import Iterator

from django.conf import settings

from benchmarks.fixtures.bench import Bench, Sandbox
from benchmarks.measurement import Measurement, median_seconds
from livermore.market.timeframe import Timeframe

SYMBOLS = 200
RUNS = 5
START_TARGET_SECONDS = 0.3
STREAMED_SYMBOLS, STREAMED_RUNS = 1005, 3
STREAMED_TARGET_SECONDS = 5
STREAMED_WITHIN_SECONDS = 60
LOOK_SECONDS = 0.05
PLENTY_OF_WEIGHT = 1_000_000  # the warmup before the restarts isn't what is measured


def measure(bench: Bench) -> Iterator[Measurement]:
    yield from _of_commands(bench)
    yield from _until_streamed(bench)


def _of_commands(bench: Bench) -> Iterator[Measurement]:
    with bench.sandbox(SYMBOLS) as sandbox:
        exchange, symbols = bench.exchange(SYMBOLS, sandbox.url)
        bench.warm(exchange, symbols)
        sandbox.forget()
        what = f"warm restart of {SYMBOLS} symbols x 6"
        yield median_seconds(what, [bench.warm(exchange, symbols) for _ in range(RUNS)])
        yield Measurement("its candle calls", sandbox.candle_calls(), at_most=0)
        yield median_seconds(
            "the same with process start",
            [bench.manage("warmup", exchange.name)[0] for _ in range(RUNS)],
        )
        yield Measurement("its candle calls", sandbox.candle_calls(), at_most=0)
        yield median_seconds(
            "a command that shows an exchange, with process start",
            [bench.manage("exchange", exchange.name)[0] for _ in range(RUNS)],
            START_TARGET_SECONDS,
        )


def _until_streamed(bench: Bench) -> Iterator[Measurement]:
    """Start an exchange that is warm until it is subscribed to every stream of every pair."""
    with bench.sandbox(STREAMED_SYMBOLS, weight_limit=PLENTY_OF_WEIGHT) as sandbox:
        exchange, symbols = bench.exchange(STREAMED_SYMBOLS, sandbox.url)
        bench.warm(exchange, symbols)
        sandbox.forget()
        topics = len(symbols) * len(Timeframe) + 1  # one has all tickers
        took = [_start(exchange.name, sandbox, topics) for _ in range(STREAMED_RUNS)]
        what = f"start of {len(symbols):,} warm symbols until {topics:,} streams are subscribed"
        yield median_seconds(what, took, STREAMED_TARGET_SECONDS)
        yield Measurement("its candle calls", sandbox.candle_calls(), at_most=0)


def _start(name: str, sandbox: Sandbox, topics: int) -> float:
    """Return the seconds from the process's start until the sandbox has its subscriptions."""
    started = time.perf_counter()
    command = [sys.executable, settings.BASE_DIR / "manage.py", "start", name]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while sandbox.subscriptions() < topics:
            assert process.poll() is None, f"start ended with {process.returncode}"
            assert time.perf_counter() - started < STREAMED_WITHIN_SECONDS, "not all are streamed"
            time.sleep(LOOK_SECONDS)
        return time.perf_counter() - started
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STREAMED_WITHIN_SECONDS)
