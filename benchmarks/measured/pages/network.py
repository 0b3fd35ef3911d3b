import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from benchmarks.fixtures.bench import Bench, Sandbox
from benchmarks.fixtures.web import Web, sessions, web_server
from benchmarks.measurement import Measurement
from benchmarks.programs.helper import Helper
from exchanges.models import Exchange
from livermore.market.candle import Ticker
from warmup.cache.tickers import TickerCache

SYMBOLS = 100
BROWSERS = 200
PRICED, SECONDS_OF_PRICES = 1000, 30
RUNS, LONG_RUNS = 15, 45
MB = 1_000_000
SECONDS_TO_SETTLE = 2
SECONDS_TO_FREEZE = 15  # a browser that says nothing is dropped after ten


def measure(bench: Bench) -> Iterator[Measurement]:
    runs = LONG_RUNS if bench.thorough else RUNS
    with bench.sandbox(SYMBOLS) as sandbox, web_server() as web:
        exchange, symbols = bench.exchange(SYMBOLS, sandbox.url)
        watched = _Watched(bench, sandbox, web, exchange, symbols)
        watched.run(looking=False)  # the first call of each pair costs the sandbox the most
        watched.run(looking=True)
        watched.forget()
        for number in range(runs):
            for looking in (True, False) if number % 2 else (False, True):
                watched.run(looking)
        watched.run(looking=True, stay_seconds=SECONDS_TO_FREEZE)
        yield from watched.measurements()
        yield from _prices(bench, web, watched.sessions)


class _Watched:
    """Warmups of some symbols, with nobody and with many browsers looking."""

    def __init__(
        self,
        bench: Bench,
        sandbox: Sandbox,
        web: Web,
        exchange: Exchange,
        symbols: Sequence[str],
    ):
        self._bench = bench
        self._sandbox = sandbox
        self._web = web
        self._exchange = exchange
        self._symbols = symbols
        self.sessions = Path(tempfile.gettempdir()) / "sessions"
        self.sessions.write_text("\n".join(sessions(BROWSERS)))
        self.forget()

    def forget(self) -> None:
        self._seconds: dict[bool, list[float]] = {False: [], True: []}
        self._seen: list[dict] = []
        self._resident = [self._web.resident_bytes()]
        self._cpu_seconds: list[float] = []

    def run(self, looking: bool, stay_seconds: float = 0) -> None:
        self._bench.redis.flushdb()
        self._sandbox.forget()
        if not looking:
            self._seconds[False].append(self._bench.warm(self._exchange, self._symbols))
            return
        with Helper("benchmarks.programs.browsers", self._web.port, self.sessions) as browsers:
            time.sleep(SECONDS_TO_SETTLE)
            used = self._web.cpu_seconds()
            seconds = self._bench.warm(self._exchange, self._symbols)
            self._cpu_seconds.append((self._web.cpu_seconds() - used) / seconds)
            self._seconds[True].append(seconds)
            time.sleep(stay_seconds)
            self._resident.append(self._web.resident_bytes())
            self._seen.append(orjson.loads(browsers.end()))

    def measurements(self) -> Iterator[Measurement]:
        alone, looked_at = (statistics.median(self._seconds[each]) for each in (False, True))
        what = f"warmup of {len(self._symbols)} symbols x 6, slower by {BROWSERS} browsers"
        runs = self._seconds[False]
        note = f"{alone:.2f} and {looked_at:.2f} s, medians of {len(runs)} in turn, "
        note += f"{min(runs):.2f} to {max(runs):.2f} s alone"
        yield Measurement(what, 100 * (looked_at / alone - 1), "%", 5, note)
        delays, waits = (
            sorted(each for seen in self._seen for each in seen[name])
            for name in ("delays_ms", "waits_ms")
        )
        note = f"median {statistics.median(delays):.0f} ms, of {len(delays):,} messages"
        yield Measurement("from write to browser, p99", _p99(delays), "ms", 250, note)
        note = "with its wait for the next message, at the most"
        yield Measurement("from any write to browser, p99", _p99(waits), "ms", note=note)
        last, settled = self._resident[-1], self._resident[len(self._resident) // 3]
        times = len(self._resident) * 2 // 3
        note = f"over the last {times} times {BROWSERS} browsers, at {last / MB:.0f} MB"
        yield Measurement("the web server's growth of memory", (last - settled) / MB, "MB", 5, note)
        share = 100 * statistics.median(self._cpu_seconds)
        yield Measurement("share of a core that it takes meanwhile", share, "%")
        yield Measurement("browsers lost", sum(seen["lost"] for seen in self._seen), at_most=0)
        kept = int(not self._seen[-1]["frozen"])
        yield Measurement(
            "frozen browsers kept", kept, at_most=0, note="after a quarter of a minute"
        )


def _prices(bench: Bench, web: Web, sessions: Path) -> Iterator[Measurement]:
    """Measure what it costs to show the prices of many symbols, all of which change each second."""
    exchange, symbols = bench.exchange(PRICED)
    still, moving = (
        _ticking(bench, web, sessions, exchange, symbols if moves else ())
        for moves in (False, True)
    )
    what = f"prices of {len(symbols):,} symbols, to one browser"
    note = f"without prices {still[0] / 1000:.1f} kB/s"
    yield Measurement(what, (moving[0] - still[0]) / 1000, "kB/s", 10, note)
    note = f"of the web server with {BROWSERS} browsers; without prices {100 * still[1]:.0f} %"
    yield Measurement(
        "share of a core that prices take", 100 * (moving[1] - still[1]), "%", 15, note
    )


def _ticking(
    bench: Bench, web: Web, sessions: Path, exchange: Exchange, symbols: Sequence[str]
) -> tuple[float, float]:
    """Return the bytes a second to one browser, and the web server's share of a core."""
    cache = TickerCache(bench.redis, exchange.pk)
    bench.redis.flushdb()
    with Helper("benchmarks.programs.browsers", web.port, sessions) as browsers:
        time.sleep(SECONDS_TO_SETTLE)
        used, began = web.cpu_seconds(), time.monotonic()
        for second in range(SECONDS_OF_PRICES):
            moved = second / 100
            cache.write_many(
                Ticker(
                    symbol, 67_012.37 + number + moved, 1.0, moved, 1.0, 1.0, 1.0, 1_790_000_000_000
                )
                for number, symbol in enumerate(symbols)
            )
            time.sleep(max(0.0, began + second + 1 - time.monotonic()))
        seconds = time.monotonic() - began
        share = (web.cpu_seconds() - used) / seconds
        return orjson.loads(browsers.end())["bytes"] / (BROWSERS - 1) / seconds, share


def _p99(ascending: Sequence[float]) -> float:
    return ascending[int(0.99 * (len(ascending) - 1))]
