"""MACD-V of an exchange's pairs, and what it is worth, as the Signals page shows them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis import Redis

from livermore.market.decimal_text import plain
from livermore.market.indicators import Stage
from livermore.market.pair import Pair
from livermore.market.timeframe import SHORTEST_FIRST as COLUMNS
from warmup.cache.indicators import IndicatorCache, parse_value
from warmup.cache.tickers import TickerCache
from warmup.network.page.cells import COMPLETE, GRACE_MS, QUIET

STAGES = {
    Stage.OVERBOUGHT: "b",
    Stage.RALLYING: "l",
    Stage.REBOUNDING: "u",
    Stage.RANGING: "g",
    Stage.RETRACING: "t",
    Stage.REVERSING: "v",
    Stage.OVERSOLD: "o",
}
REASONS = {"too few candles": "1", "low trading activity": "2", "no price movement": "3"}
FRESH, PARTIAL, STALE = "fps"
NO_REASON = "0"
CURRENT = (COMPLETE, QUIET)
NOT_KNOWN = "-"  # in place of a pair's letter
DIGITS_OF_VOLUME = 3

# The value with one decimal, and two letters: the stage or why there is none, and how far to trust
# it: fresh; partial, as a stretch it stands on may be a hole; stale, of an older close.
Cell = tuple[float | None, str]
UNKNOWN: Cell = (None, "")
# The price as text, its change in percent and what was traded in 24 hours, in the quote currency.
Price = tuple[str, float, float]
Changes = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Signals:
    """One exchange's signals: `cells` has six of each symbol, the shortest timeframe first.

    `prices` are those of which a ticker came within the last 60 seconds.
    """

    symbols: tuple[str, ...] = ()
    cells: tuple[tuple[Cell, ...], ...] = ()
    prices: Mapping[str, Price] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {"symbols": self.symbols, "cells": self.cells, "prices": self.prices}

    def since(self, before: "Signals") -> dict[str, Any]:
        """Return what is new: all of it where the symbols are others.

        Else `cellChanges`, `[symbol's index, timeframe's index, cell]`, and `priceChanges` by
        symbol, None for one that is not known any more.
        """
        if self.symbols != before.symbols:
            return self.as_json()
        cells = [
            [at, column, cell]
            for at, (row, old) in enumerate(zip(self.cells, before.cells, strict=True))
            if row != old
            for column, cell in enumerate(row)
            if cell != old[column]
        ]
        prices: dict[str, Price | None] = dict.fromkeys(before.prices.keys() - self.prices.keys())
        known = before.prices.get
        prices |= {name: price for name, price in self.prices.items() if known(name) != price}
        return {"cellChanges": cells, "priceChanges": prices} if cells or prices else {}


def joined(old: Changes, new: Changes) -> Changes:
    """Return what two changes tell, one after the other."""
    if "symbols" in new:
        return old | new
    result = old | new
    if "cellChanges" in new:
        cells = {(row, column): each for row, column, each in old.get("cellChanges", ())}
        cells |= {(row, column): each for row, column, each in new["cellChanges"]}
        if "cells" in old:
            result["cells"] = [list(row) for row in old["cells"]]
            for (row, column), each in cells.items():
                result["cells"][row][column] = each
            del result["cellChanges"]
        else:
            result["cellChanges"] = [[*place, each] for place, each in cells.items()]
    if "priceChanges" in new:
        before = old.get("prices") or old.get("priceChanges") or {}
        prices = {**before, **new["priceChanges"]}
        if "prices" in old:
            result["prices"] = {name: price for name, price in prices.items() if price}
            del result["priceChanges"]
        else:
            result["priceChanges"] = prices
    return result


class SignalReader:
    """Reads one exchange's MACD-V; what stands on the same as before is not thought over again."""

    def __init__(self, exchange_id: int):
        self._exchange_id = exchange_id
        self._symbols: tuple[str, ...] = ()
        self._pairs: list[Pair] = []
        self._known: dict[Pair, tuple[object, Cell]] = {}

    def read(
        self,
        redis: Redis,
        symbols: Sequence[str],
        grid: Mapping[str, Any] | None,
        newest: Callable[[Pair], int | None],
        time_ms: int,
    ) -> tuple[tuple[Cell, ...], ...]:
        """Return six cells of each symbol, as of `time_ms` of the exchange's time.

        `grid` is what `Grid.read` returned, `newest` its own `Grid.newest`.
        """
        if self._symbols != tuple(symbols):
            self._symbols, self._known = tuple(symbols), {}
            self._pairs = [Pair(each, timeframe) for each in symbols for timeframe in COLUMNS]
        texts = IndicatorCache(redis, self._exchange_id).read_texts(self._pairs)
        known = grid and tuple(grid["symbols"]) == self._symbols
        letters = "".join(grid["rows"]) if grid and known else NOT_KNOWN * len(self._pairs)
        due = {bar: bar.floor(time_ms - GRACE_MS) - bar.ms for bar in COLUMNS}
        cells = [
            self._cell(pair, text, letter, newest(pair), due[pair.timeframe])
            for pair, text, letter in zip(self._pairs, texts, letters, strict=True)
        ]
        width = len(COLUMNS)
        return tuple(tuple(cells[at : at + width]) for at in range(0, len(cells), width))

    def _cell(
        self, pair: Pair, text: bytes | None, letter: str, newest_ms: int | None, due_ms: int
    ) -> Cell:
        basis = (text, letter, newest_ms, due_ms)
        before, found = self._known.get(pair, (None, UNKNOWN))
        if before != basis:
            found = cell(parse_value(text), letter, newest_ms, due_ms)
            self._known[pair] = (basis, found)
        return found


def cell(value: Mapping[str, Any] | None, letter: str, newest_ms: int | None, due_ms: int) -> Cell:
    """Return what is shown of a pair: its stored MACD-V, and what that is worth.

    `letter` says how complete the pair is (`warmup.network.page.cells.cell`), `newest_ms` when its
    newest closed candle opened, `due_ms` when the newest bar did that nobody waits for any more.
    A value of an older candle is stale; where the pair lacks something, so is one of an older bar.
    """
    if value is None:
        return UNKNOWN
    number, stage, told_ms = value.get("value"), value.get("stage"), value.get("timestamp")
    if letter in CURRENT and newest_ms is not None:
        due_ms = min(due_ms, newest_ms)
    trust = FRESH if letter in CURRENT and value.get("coverageComplete") else PARTIAL
    if not isinstance(told_ms, int) or told_ms < due_ms:
        trust = STALE
    if not isinstance(number, int | float) or stage not in STAGES:
        return None, REASONS.get(value.get("reason") or "", NO_REASON) + trust
    return round(number, 1), STAGES[Stage(stage)] + trust


def read_prices(redis: Redis, exchange_id: int, symbols: Sequence[str]) -> dict[str, Price]:
    """Return the prices of symbols that had a ticker within the last 60 seconds."""
    tickers = TickerCache(redis, exchange_id).read_many(symbols)
    return {
        ticker.symbol: (
            plain(ticker.price),
            round(ticker.change_percent_24h, 2),
            float(f"{ticker.volume_24h * ticker.price:.{DIGITS_OF_VOLUME}g}"),
        )
        for ticker in tickers
    }
