from collections.abc import Iterator, Sequence

from benchmarks.fixtures.bench import WEIGHT_A_MINUTE, Bench, Sandbox
from benchmarks.measurement import Measurement, median_seconds
from benchmarks.plain import loop as plain_loop
from exchanges.models import Exchange
from exchanges.venues.binance.rest import BinanceRest
from livermore.market.pair import pairs_of
from livermore.market.timeframe import Timeframe
from warmup.scanner import DEFAULT_CANDLE_TARGET

FEW, FEW_RUNS, FEW_TARGET_SECONDS = 25, 5, 1.5
MANY, MANY_RUNS, MANY_TARGET_SECONDS = 200, 3, 8
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

    def measurements(
        self, runs: int, target_seconds: float, loop_rate: float
    ) -> Iterator[Measurement]:
        self._warm()  # the first call of each pair costs the sandbox the most
        seconds = median_seconds(self._what, [self._warm() for _ in range(runs)], target_seconds)
        yield seconds
        rate = self.calls / seconds.value
        note = f"allowed {CALLS_A_MINUTE:,} a minute, {CALLS_A_MINUTE / 60:.0f}/s"
        note += f"; plain loop {loop_rate:.3g}/s, {rate / loop_rate:.0f} times slower"
        yield Measurement("its candle calls", rate, "/s", note=note)
        yield Measurement("its calls refused by 429 or 418", self._refused, at_most=0)

    def _warm(self) -> float:
        self._bench.redis.flushdb()
        self._sandbox.forget()
        seconds = self._bench.warm(self._exchange, self._symbols)
        assert self._sandbox.candle_calls() >= self.calls
        self._refused += self._sandbox.refusals()
        return seconds


def _loop(sandbox: Sandbox, exchange: Exchange, symbols: Sequence[str]) -> float:
    names = dict(exchange.symbols.values_list("symbol", "native_symbol"))
    pairs = pairs_of(names[symbol] for symbol in symbols)
    return plain_loop.fetch(sandbox.url, pairs, DEFAULT_CANDLE_TARGET)
