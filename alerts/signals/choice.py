"""Which rules a close rings: rules sorted by the pairs that they are about. Pure code."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from alerts.signals.momentum import (
    Known,
    changed_stage,
    crossed_level,
    is_reversal,
    levels_from,
    passed_price,
)
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe

LEVEL, STAGE, REVERSAL = "level", "stage", "reversal"
PRICE_ABOVE, PRICE_BELOW = "price_above", "price_below"
SIGNALS = (LEVEL, STAGE, REVERSAL, PRICE_ABOVE, PRICE_BELOW)
PRICES_OF = Timeframe.M1  # whose closes a price is of, where a rule names no timeframe


class Rule(Protocol):
    """What is read of a rule; a row of the database is one. `pk` is its number."""

    pk: int
    what: str
    symbols: list[str]
    timeframes: list[str]

    @property
    def limit(self) -> float:
        """Return the threshold that counts."""
        ...


class Step(NamedTuple):
    """A close, as what is known before and after it."""

    before: Known | None
    now: Known


class Rung(NamedTuple):
    """What a close rings: the kind of signal, which one of it, and for whom.

    `which` is the level ("-200"), the stage, "up" or "down" of a reversal, or the price.
    """

    kind: str
    which: str
    rules: tuple[int, ...]


class Choice(NamedTuple):
    """The rules about one pair, by what they need of a close."""

    levels: dict[tuple[float, ...], list[int]]
    stages: list[int]
    reversals: list[int]
    prices: dict[tuple[str, float], list[int]]

    def rung(self, step: Step) -> Iterator[Rung]:
        """Yield what a close rings."""
        before, now = step
        for levels, rules in self.levels.items():
            if level := crossed_level(before, now, levels):
                yield Rung(LEVEL, f"{level:g}", tuple(rules))
        if self.stages and now.stage and changed_stage(before, now):
            yield Rung(STAGE, str(now.stage), tuple(self.stages))
        if self.reversals and is_reversal(now):
            yield Rung(REVERSAL, "up" if now.peak < 0 else "down", tuple(self.reversals))
        for (kind, price), rules in self.prices.items():
            if passed_price(before, now, price, kind == PRICE_ABOVE):
                yield Rung(kind, f"{price!r}", tuple(rules))


class _About(NamedTuple):
    """What counts of a rule."""

    number: int
    what: str
    limit: float
    symbols: frozenset[str]
    timeframes: frozenset[str]

    def is_about(self, pair: Pair) -> bool:
        if self.symbols and pair.symbol not in self.symbols:
            return False
        return not self.timeframes or pair.timeframe in self.timeframes


class Choices:
    """The choices of all pairs of an exchange, made of the rules about it."""

    def __init__(self, rules: Iterable[Rule]):
        self.signature = tuple(_about(rule) for rule in rules if rule.what in SIGNALS)
        self.numbers = {rule.number for rule in self.signature}
        self._of: dict[Pair, Choice | None] = {}

    def __bool__(self) -> bool:
        return bool(self.signature)

    def of(self, pair: Pair) -> Choice | None:
        """Return the rules about a pair, None where there is none."""
        if pair not in self._of:
            self._of[pair] = self._made(pair)
        return self._of[pair]

    def _made(self, pair: Pair) -> Choice | None:
        choice = Choice({}, [], [], {})
        rules = [rule for rule in self.signature if rule.is_about(pair)]
        for number, what, limit, *_ in rules:
            if what == LEVEL:
                choice.levels.setdefault(levels_from(limit), []).append(number)
            elif what == STAGE:
                choice.stages.append(number)
            elif what == REVERSAL:
                choice.reversals.append(number)
            else:
                choice.prices.setdefault((what, limit), []).append(number)
        return choice if rules else None


def _about(rule: Rule) -> _About:
    is_price = rule.what in (PRICE_ABOVE, PRICE_BELOW)
    timeframes = rule.timeframes or ([PRICES_OF] if is_price else [])
    return _About(rule.pk, rule.what, rule.limit, frozenset(rule.symbols), frozenset(timeframes))
