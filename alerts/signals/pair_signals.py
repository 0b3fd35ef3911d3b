"""One pair on its way from close to close: its MACD-V, and what the next close is measured by.

It can be kept as JSON, and goes on from there to the last bit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from alerts.signals.choice import Step
from alerts.signals.momentum import Close, Known, after
from livermore.market.coverage import Coverage, missing, span
from livermore.market.indicators import MacdVState, Row, Stage
from livermore.market.pair import Pair
from warmup.cache.indicator_window import Window

REVISED_BARS = 100  # so far back a candle that comes late may change what was told
MOST_TOLD = 50


class Told(NamedTuple):
    """A signal that went to a rule. `is_late`: it was for the page alone."""

    time_ms: int
    rule: int
    kind: str
    which: str
    is_late: bool


@dataclass(slots=True)
class PairSignals:
    """A pair as of `evaluated_ms`, the open time of the newest close that was evaluated.

    `window` None: it has to be read from the cache. `revise_ms`: from there on candles came late.
    """

    pair: Pair
    evaluated_ms: int
    window: Window | None = None
    known: Known | None = None
    missing_bars: int = 0
    told: list[Told] = field(default_factory=list)
    revise_ms: int | None = None

    def leaves_gap(self, event: Mapping[str, Any]) -> bool:
        """Tell whether coverage has to be known to take a close in."""
        return self.window is not None and self.window.leaves_gap(event)

    def advance(self, event: Mapping[str, Any], coverage: Coverage | None) -> Step | None:
        """Take in the next close where that is exact, else None: the window has to be read."""
        if self.revise_ms is not None or self.window is None:
            return None
        if not self.window.advance(event, coverage):
            return None
        step = _step(self.known, event["timestamp"], event["close"], self.window.state)
        self.known, self.evaluated_ms = step.now, event["timestamp"]
        return step

    def read(self, members: Sequence[bytes], coverage: Coverage) -> list[Step]:
        """Read the pair's window anew; return the steps that are new, or to be looked at again."""
        since_ms = self.evaluated_ms + 1 if self.revise_ms is None else self.revise_ms
        steps: list[Step] = []

        def take(state: MacdVState, rows: Sequence[Row]) -> None:
            steps.extend(steps_of(state, rows))

        self.window = Window.read_by(take, self.pair, members, coverage)
        if self.window is None:
            self.known = None
            self.evaluated_ms = max(self.evaluated_ms, _newest_ms(members))
            return []
        first_ms, last_ms = steps[0].now.time_ms, steps[-1].now.time_ms
        self.known, self.evaluated_ms = steps[-1].now, max(self.evaluated_ms, last_ms)
        length_ms = self.pair.timeframe.ms
        gaps = missing(coverage, first_ms, last_ms + length_ms)
        self.missing_bars = span(gaps) // length_ms
        return [step for step in steps if step.now.time_ms >= since_ms]

    def revise(self, time_ms: int) -> None:
        """Learn that a candle came late: what was told from there on is looked at again."""
        oldest_ms = self.evaluated_ms - REVISED_BARS * self.pair.timeframe.ms
        if time_ms >= oldest_ms:
            self.revise_ms = min(time_ms, self.revise_ms or time_ms)

    def note(self, told: Sequence[Told]) -> None:
        """Keep what was told, as long as it may be revised."""
        oldest_ms = self.evaluated_ms - REVISED_BARS * self.pair.timeframe.ms
        kept = [each for each in (*self.told, *told) if each.time_ms >= oldest_ms]
        self.told = kept[-MOST_TOLD:]

    def kept(self) -> str:
        """Return it as JSON."""
        window = self.window
        found = {
            "evaluated": self.evaluated_ms,
            "window": window and [window.rows, window.complete, window.state.kept()],
            "known": self.known and tuple(self.known),
            "missing": self.missing_bars,
            "told": [tuple(each) for each in self.told],
            "revise": self.revise_ms,
        }
        return orjson.dumps(found).decode()

    @classmethod
    def of_kept(cls, pair: Pair, text: str) -> "PairSignals":
        """Return what `kept` told. Raises ValueError, TypeError or LookupError for another text."""
        found = orjson.loads(text)
        window = None
        if kept := found["window"]:
            rows, complete, sums = kept
            window = Window(pair, MacdVState.of_kept(pair.timeframe, sums), rows, complete)
        known = found["known"] and Known(*found["known"])
        if known and known.stage:
            known = known._replace(stage=Stage(known.stage))
        told = [Told(*each) for each in found["told"]]
        numbers = found["missing"], told, found["revise"]
        return cls(pair, found["evaluated"], window, known, *numbers)


def _newest_ms(members: Sequence[bytes]) -> int:
    try:
        return int(orjson.loads(members[-1])[0])
    except (ValueError, TypeError, LookupError):  # none, or somebody else wrote it
        return 0


def steps_of(state: MacdVState, rows: Sequence[Row]) -> Iterator[Step]:
    """Give a new state its rows; yield the step of each."""
    known: Known | None = None
    for row in rows:
        state.extend([row])
        step = _step(known, row[0], row[4], state)
        known = step.now
        yield step


def _step(before: Known | None, time_ms: int, price: float, state: MacdVState) -> Step:
    value, signal = state.momentum() or (None, None)
    return Step(before, after(before, Close(time_ms, price, value, signal)))
