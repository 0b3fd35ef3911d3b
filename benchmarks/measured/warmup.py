import time
from collections.abc import Iterator, Sequence
from statistics import median

from benchmarks.fixtures.bench import WEIGHT_A_MINUTE, Bench, Sandbox
from benchmarks.measurement import Measurement, median_seconds
from benchmarks.plain import loop as plain_loop
from exchanges.models import Exchange
from exchanges.rest.pacing.memory import forget_all
from exchanges.venues.binance.rest import BinanceRest
from livermore.market.pair import pairs_of
from livermore.market.timeframe import Timeframe
from warmup.scanner import DEFAULT_CANDLE_TARGET

FEW, FEW_RUNS, FEW_TARGET_SECONDS = 25, 5, 0.32
MANY, MANY_RUNS, MANY_TARGET_SECONDS = 200, 3, 2.1
CPU_TARGET_MS = 0.9  # of this process, a pair
CALLS_A_MINUTE = WEIGHT_A_MINUTE // BinanceRest.candle_weight


def measure(bench: Bench) -> Iterator[Measurement]:
    with bench.sandbox(MANY) as sandbox:
        exchange, symbols = bench.exchange(MANY, sandbox.url)
        loop_seconds = _loop(sandbox, exchange, symbols[:FEW])
        loop_rate = FEW * len(Timeframe) / loop_seconds
        few = _Warmups(bench, sandbox, exchange, symbols[:FEW])
        yield from few.measurements(FEW_RUNS, FEW_TARGET_SECONDS, loop_rate)
        yield Measurement(f"plain loop over the same {few.calls} calls", loop_seconds, "s")
        many = _Warmups(bench, sandbox, exchange, symbols)
        yield from many.measurements(MANY_RUNS, MANY_TARGET_SECONDS, loop_rate)
        what = f"plain loop over the same {many.calls:,} calls"
        yield Measurement(what, many.calls / loop_rate, "s", note=f"not run: at {loop_rate:.3g}/s")


class _Warmups:
    """Warmups of some symbols, each from an empty Redis, with none of its weight used."""

    def __init__(self, bench: Bench, sandbox: Sandbox, exchange: Exchange, symbols: Sequence[str]):
        self.calls = len(symbols) * len(Timeframe)
        self._what = f"warmup of {len(symbols)} symbols x {len(Timeframe)}"
        self._bench = bench
        self._sandbox = sandbox
        self._exchange = exchange
        self._symbols = symbols
        self._refused = 0
        self._cpu_seconds: list[float] = []

    def measurements(
        self, runs: int, target_seconds: float, loop_rate: float
    ) -> Iterator[Measurement]:
        self._warm()  # the first call of each pair costs the sandbox the most
        self._cpu_seconds.clear()
        seconds = median_seconds(self._what, [self._warm() for _ in range(runs)], target_seconds)
        yield seconds
        rate = self.calls / seconds.value
        note = f"allowed {CALLS_A_MINUTE:,} a minute, {CALLS_A_MINUTE / 60:.0f}/s"
        note += f"; plain loop {loop_rate:.3g}/s, {rate / loop_rate:.0f} times slower"
        yield Measurement("its candle calls", rate, "/s", note=note)
        cpu_ms = 1000 * median(self._cpu_seconds) / self.calls
        yield Measurement("its CPU time a pair", cpu_ms, "ms", CPU_TARGET_MS)
        yield Measurement("its calls refused by 429 or 418", self._refused, at_most=0)

    def _warm(self) -> float:
        self._bench.redis.flushdb()
        forget_all()  # else what the run before used up is put back
        self._sandbox.forget()
        began = time.process_time()
        seconds = self._bench.warm(self._exchange, self._symbols)
        self._cpu_seconds.append(time.process_time() - began)
        assert self._sandbox.candle_calls() >= self.calls
        self._refused += self._sandbox.refusals()
        return seconds


def _loop(sandbox: Sandbox, exchange: Exchange, symbols: Sequence[str]) -> float:
    names = dict(exchange.symbols.values_list("symbol", "native_symbol"))
    pairs = pairs_of(names[symbol] for symbol in symbols)
    return plain_loop.fetch(sandbox.url, pairs, DEFAULT_CANDLE_TARGET)
