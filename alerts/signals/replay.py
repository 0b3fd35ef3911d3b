"""Which signals rules would have rung over what cache and history have: nothing is written or sent.

Of each pair its candles are read from a thousand bars before, so that MACD-V is known at the
beginning.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from redis import Redis

from alerts.signals.choice import Choices, Rule, Step
from alerts.signals.pair_signals import steps_of
from alerts.signals.words import happened, numbers
from exchanges.models import Exchange
from exchanges.venues import VENUES
from history.reading import Reading, cached_in, open_store
from livermore.market.candle import LATEST_MS
from livermore.market.coverage import missing, span
from livermore.market.indicators import MacdVState
from livermore.market.pair import Pair
from warmup.cache.candles import CANDLES_KEPT, CandleCache

MINUTE_MS = 60_000


class Replayed(NamedTuple):
    """A signal that would have rung. `at_ms` is when its bar ended, `rules` whom it would have."""

    at_ms: int
    pair: Pair
    kind: str
    which: str
    rules: tuple[int, ...]
    step: Step

    @property
    def text(self) -> str:
        """Return what happened, in a line."""
        return happened(self.kind, self.which, self.step).partition("\n")[0]

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        now = self.step.now
        return {
            "time": self.at_ms,
            "symbol": self.pair.symbol,
            "timeframe": str(self.pair.timeframe),
            "signal": self.kind,
            "which": self.which,
            "text": self.text,
            "price": now.price,
            "value": now.value,
            "signalLine": now.signal,
            "stage": now.stage,
            "rules": list(self.rules),
        }

    @property
    def details(self) -> str:
        """Return price and MACD-V, in a line."""
        return numbers(self.step.now)


class Replay:
    """What rules would have rung at an exchange. `missing_bars`: by pair, how many nobody knows."""

    def __init__(self, redis: Redis, exchange: Exchange, rules: Sequence[Rule]):
        self._cache = CandleCache(redis, exchange.pk)
        self._exchange = exchange
        self._choices = Choices(rules)
        venue = VENUES.get(exchange.venue)
        self._lag_ms = venue.lag_ms if venue else LATEST_MS
        self.missing_bars: dict[Pair, int] = {}

    def found(self, pairs: Sequence[Pair], since_ms: int, until_ms: int) -> list[Replayed]:
        """Return what bars that opened in `[since_ms, until_ms)` ring, in the order they closed.

        Raises what reading history may.
        """
        store = open_store(self._exchange)
        readings: dict[str, Reading] = {}
        found: list[Replayed] = []
        for pair in pairs:
            if pair.symbol not in readings:
                cached = cached_in(self._cache, pair.symbol, self._lag_ms)
                readings[pair.symbol] = Reading(store, pair.symbol, cached)
            found += self._of(pair, readings[pair.symbol], since_ms, until_ms)
        return sorted(found, key=lambda each: (each.at_ms, each.pair))

    def _of(self, pair: Pair, reading: Reading, since_ms: int, until_ms: int) -> Iterator[Replayed]:
        choice = self._choices.of(pair)
        if choice is None:
            return
        length_ms = pair.timeframe.ms
        start_ms, end_ms = pair.timeframe.ceil(since_ms), pair.timeframe.floor(until_ms)
        known = reading.read(pair.timeframe, start_ms - CANDLES_KEPT * length_ms, end_ms)
        if gaps := missing(known.covered, start_ms, max(start_ms, end_ms)):
            self.missing_bars[pair] = span(gaps) // length_ms
        for step in steps_of(MacdVState(pair.timeframe), known.rows):
            if step.now.time_ms >= start_ms:
                for each in choice.rung(step):
                    yield Replayed(step.now.time_ms + length_ms, pair, *each, step)


def messages(found: Iterable[Replayed], rules: Sequence[Rule]) -> dict[int, int]:
    """Return how many messages each rule would have sent, by its number.

    What comes in one minute is told in one, and what a pair rings in a cool-down when that is over.
    Quiet hours are left out of it.
    """
    count = {rule.pk: 0 for rule in rules}
    waits_ms = {rule.pk: getattr(rule, "cool_down", 0) * MINUTE_MS for rule in rules}
    told_ms: dict[tuple[int, Pair], int] = {}
    counted: set[tuple[int, int]] = set()
    for each in sorted(found, key=lambda one: one.at_ms):
        for rule in each.rules:
            last_ms = told_ms.get((rule, each.pair))
            if last_ms is not None and last_ms > each.at_ms:
                continue  # it is told with what waits already
            due_ms = max(each.at_ms, -1 if last_ms is None else last_ms + waits_ms[rule])
            told_ms[rule, each.pair] = due_ms
            if (rule, due_ms) not in counted:
                counted.add((rule, due_ms))
                count[rule] += 1
    return count
