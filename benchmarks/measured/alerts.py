import random
import time
from collections.abc import Iterator, Sequence

import orjson

from alerts.evaluating.evaluator import Evaluator
from alerts.models import Alert, AlertRule
from alerts.signals.choice import LEVEL, PRICE_BELOW, REVERSAL, STAGE
from alerts.signals.source import Signals
from benchmarks.fixtures.bench import Bench
from benchmarks.fixtures.live import natives, peak_bytes
from benchmarks.measurement import Measurement
from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.pair import Pair, pairs_of
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CANDLES_KEPT, CandleCache, CandleWrite
from warmup.cache.indicator_window import ROW

TARGET_SECONDS = 2
ROUNDS, RULES = 5, 50
CANDLES = CANDLES_KEPT - 10  # of each pair
SYMBOLS = 500
MIDNIGHT_MS = 1_795_046_400_000  # all six timeframes close then
FIRST_PRICE, WIDEST_STEP = 50_000.0, 100.0
DROP = 0.06  # of the price, in every 20th symbol: levels are crossed
SYMBOLS_A_DROP = 20


def measure(bench: Bench) -> Iterator[Measurement]:
    exchange, _ = bench.exchange(1)
    symbols = list(natives(SYMBOLS))
    market = Market(bench, exchange.pk, symbols)
    rules = _write_rules(symbols)
    source, now = Signals(), MIDNIGHT_MS / 1000 + 2
    evaluator = Evaluator(bench.redis, [source], lambda: now)
    evaluator.step()  # from here on

    market.close()
    with Timed() as timed:
        evaluator.step()
        while source.behind:
            evaluator.step()
    what = f"the first {market.pairs:,} closes, with {CANDLES:,} candles before each to be read"
    yield Measurement(what, timed.seconds, "s", note=timed.note)

    rounds, told = [], _told()
    for _ in range(ROUNDS):
        market.close()
        with Timed() as timed:
            evaluator.step()
        rounds.append(timed)
    worst = max(rounds, key=lambda each: each.seconds)
    note = f"the worst of {ROUNDS}; {worst.note}; {(_told() - told) / ROUNDS:,.0f} signals each"
    what = f"{market.pairs:,} closes in the same second against {rules} rules"
    yield Measurement(what, worst.seconds, "s", TARGET_SECONDS, note)

    with Timed() as timed:
        evaluator.step()
    yield Measurement("a look when nothing has closed", timed.seconds, "s", 0.1, timed.note)
    with Timed() as timed:
        Evaluator(bench.redis, [Signals()], lambda: now).step()
    what = f"the first look of a process that takes {market.pairs:,} pairs over"
    yield Measurement(what, timed.seconds, "s", TARGET_SECONDS, timed.note)
    yield Measurement("memory of this process at its peak", peak_bytes() / 1e6, "MB")


class Timed:
    """How long something took: by the clock, and of a core."""

    def __enter__(self) -> "Timed":
        self._began = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.seconds = time.perf_counter() - self._began[0]
        self.note = f"{time.process_time() - self._began[1]:.2f} s of a core"


class Market:
    """Pairs that close all at once, each on a walk of its own."""

    def __init__(self, bench: Bench, number: int, symbols: Sequence[str]):
        """Fill the cache."""
        self._bench = bench
        self._number = number
        self._random = random.Random(1)
        self._cache = CandleCache(bench.redis, number)
        self._newest: dict[Pair, Candle] = {}
        for timeframe in Timeframe:
            pairs = pairs_of(symbols, [timeframe])
            walk = self._walk(timeframe)
            covered = ((walk[0].timestamp, walk[-1].close_time_ms),)
            self._cache.write_many(CandleWrite(*pair, walk, covered) for pair in pairs)
            self._newest |= dict.fromkeys(pairs, walk[-1])
        self.pairs = len(self._newest)

    def close(self) -> None:
        """Let the next bar of every pair close; some of them fall deep."""
        for at, (pair, before) in enumerate(self._newest.items()):
            step = self._random.uniform(-WIDEST_STEP, WIDEST_STEP)
            step -= DROP * before.close if at % SYMBOLS_A_DROP == 0 else 0
            self._newest[pair] = _after(before, step)
        self._cache.write_many(
            CandleWrite(*pair, [each], ((each.timestamp, each.close_time_ms),))
            for pair, each in self._newest.items()
        )
        pipe = self._bench.redis.pipeline(transaction=False)
        for (symbol, timeframe), candle in self._newest.items():
            event = {"exchangeId": self._number, "symbol": symbol, "timeframe": timeframe}
            event |= dict(zip(ROW, candle.values(), strict=True))
            event |= {"closed": True, "healed": False}
            pipe.xadd(keys.events(self._number), {"event": orjson.dumps(event)})
        pipe.execute()

    def _walk(self, timeframe: Timeframe) -> list[Candle]:
        opens_ms = MIDNIGHT_MS - (CANDLES + 1) * timeframe.ms
        price = FIRST_PRICE
        candle = Candle(opens_ms, price, price, price, price, 1.0, timeframe)
        found = []
        for _ in range(CANDLES):
            candle = _after(candle, self._random.uniform(-WIDEST_STEP, WIDEST_STEP))
            found.append(candle)
        return found


def _after(before: Candle, step: float) -> Candle:
    first = before.close
    last = round(first + step, 2)
    low, high = sorted((first, last))
    opens_ms = before.timestamp + before.timeframe.ms
    return Candle(opens_ms, first, high, low, last, 1.0, before.timeframe)


def _write_rules(symbols: Sequence[str]) -> int:
    """Write 50 rules: most about all pairs, some about a price; return how many there are."""
    AlertRule.objects.all().delete()
    rules = [AlertRule(what=LEVEL, threshold=threshold) for threshold in range(150, 300, 10)]
    rules += [AlertRule(what=STAGE, timeframes=[str(timeframe)]) for timeframe in Timeframe]
    rules += [AlertRule(what=REVERSAL, timeframes=[str(timeframe)]) for timeframe in Timeframe]
    for symbol in symbols[: RULES - len(rules)]:
        rules.append(AlertRule(what=PRICE_BELOW, symbols=[symbol], threshold=0.95 * FIRST_PRICE))
    AlertRule.objects.bulk_create(rules)
    return len(rules)


def _told() -> int:
    return sum(len(members) for members in Alert.objects.values_list("members", flat=True))
