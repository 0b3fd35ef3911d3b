"""What an exchange told once and has to tell again before it is believed, or was asked in vain.

Pure: it is told what an answer said and what time it is by the exchange's clock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from exchanges.rest.reply import Candles, QuietBars
from livermore.market.candle import LATEST_MS
from livermore.market.coverage import Coverage, Interval, intersect, subtract, union
from livermore.market.timeframe import Timeframe

EMPTY = "empty"  # told without a row
TRADED = "traded"  # the stream showed trades, REST has no row
SECOND_LOOK_MS = 1_800_000  # after which a stretch told empty once is looked at again
FIRST_RETRY_MS, LONGEST_RETRY_MS = 300_000, 86_400_000  # for a row that was refused
PERIODS_KEPT = 1000


class Unconfirmed(NamedTuple):
    """A stretch, half-open, in ms, and what is not settled about it.

    `reason` is `EMPTY`, `TRADED`, or why its row was refused. `seen_ms` is when it was first told
    so (refused: last), `tries` how often.
    """

    start_ms: int
    end_ms: int
    reason: str
    seen_ms: int
    tries: int = 1

    @property
    def is_refused(self) -> bool:
        return self.reason not in (EMPTY, TRADED)

    def due_ms(self) -> int:
        """Return from when on it is to be asked for again."""
        if self.reason == EMPTY:
            return self.seen_ms + SECOND_LOOK_MS
        if self.tries < 2 or not self.is_refused:
            return self.seen_ms  # it may have been a slip
        return self.seen_ms + min(FIRST_RETRY_MS * 2 ** min(self.tries - 2, 16), LONGEST_RETRY_MS)


Stretches = tuple[Unconfirmed, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """How an exchange's answers are to be taken: see `exchanges.rest.base.VenueRest`."""

    quiet_bars: QuietBars
    lag_ms: int

    def apart_ms(self, anchored: bool) -> int:
        """Return how long after the first look a second one counts.

        Longer where it shows no row that is known, as an exchange may send nothing by mistake.
        """
        return self.lag_ms if anchored else SECOND_LOOK_MS


def learn(
    known: Stretches,
    covered: Coverage,
    answer: Candles,
    timeframe: Timeframe,
    rules: Rules,
    now_ms: int,
) -> tuple[Stretches, Coverage]:
    """Take an answer; return what is unconfirmed after it, and which stretches it covers.

    `known` and `covered` are what was there before. A stretch told empty a second time, late
    enough after the first and long enough after its end, is proven to be empty. What was proven by
    rows on both sides alone, where quiet bars are left out, is to be looked at once more. An answer
    without a row that lacks one that is known confirms nothing, and no answer says of a bar that
    the stream showed to trade that it is empty.
    """
    rows = union((candle.timestamp, candle.close_time_ms) for candle in answer)
    refused = [Unconfirmed(*each, now_ms, 1 + _tries(known, each)) for each in answer.refusals]
    traded = _without([each for each in known if each.reason == TRADED], rows)
    left = _without([each for each in known if each.is_refused], [*rows, *answer.refusals])
    empty = [each for each in known if each.reason == EMPTY]
    proven: Coverage = ()
    if not (answer.contradicts and (answer.is_bare or _is_young(answer, rules, now_ms))):
        told = subtract(
            answer.asked,
            [
                *((start, end) for start, end, _ in answer.refusals),
                *((each.start_ms, each.end_ms) for each in traded),
            ],
        )
        settled = intersect(told, ((0, timeframe.floor(now_ms - rules.lag_ms)),))
        first_ms = now_ms - rules.apart_ms(answer.anchored)
        before = union(each[:2] for each in empty if each.seen_ms <= first_ms)
        confirmed = intersect(settled, before)
        proven = intersect(confirmed, answer.empty)
        news = subtract(answer.empty, proven)
        if rules.quiet_bars is QuietBars.OMITS:
            news = union([*news, *subtract(answer.quiet, [*covered, *confirmed])])
        known_empty = [each[:2] for each in empty]
        empty = _without(empty, confirmed)
        empty += [
            Unconfirmed(*each, EMPTY, now_ms)
            for piece in told
            for each in subtract(_hull(intersect((piece,), news)), known_empty)
        ]
    now_covered = subtract(union([*answer.covered, *proven]), [each[:2] for each in traded])
    return tuple(sorted([*left, *traded, *refused, *empty])), now_covered


def _is_young(answer: Candles, rules: Rules, now_ms: int) -> bool:
    return any(end + rules.lag_ms > now_ms for _, end in answer.asked)


def withheld(known: Stretches, now_ms: int) -> Coverage:
    """Return the stretches whose rows were refused and that are to be left alone for now."""
    return union(each[:2] for each in known if each.is_refused and each.due_ms() > now_ms)


def second_looks(known: Stretches, now_ms: int) -> Coverage:
    """Return the stretches told empty once that are to be looked at again now."""
    return union(each[:2] for each in known if each.reason == EMPTY and each.due_ms() <= now_ms)


def told_empty(known: Stretches) -> Coverage:
    """Return the stretches of which the exchange had no row when it was asked."""
    return union(each[:2] for each in known if each.reason == EMPTY)


def with_traded(known: Stretches, traded: Iterable[Interval], now_ms: int) -> Stretches:
    """Return what is unconfirmed where the stream showed trades and REST has no row."""
    bars = subtract(union(traded), [each[:2] for each in known if each.reason == TRADED])
    kept = _without(known, bars)
    return tuple(sorted([*kept, *(Unconfirmed(*each, TRADED, now_ms) for each in bars)]))


def newest(known: Stretches, timeframe: Timeframe, now_ms: int) -> Stretches:
    """Return what lies in the periods that are kept."""
    earliest = now_ms - PERIODS_KEPT * timeframe.ms
    return tuple(each for each in known if each.end_ms > earliest)


def load(stored: bytes | None) -> Stretches:
    """Return what `dump` wrote; nothing where that can't be read."""
    try:
        return tuple(_checked(Unconfirmed(*each)) for each in orjson.loads(stored or b"[]"))
    except (ValueError, TypeError):
        return ()


def _checked(found: Unconfirmed) -> Unconfirmed:
    start_ms, end_ms, reason, seen_ms, tries = found
    whole = all(type(each) is int for each in (start_ms, end_ms, seen_ms, tries))
    if not whole or not 0 <= start_ms < end_ms <= LATEST_MS or not isinstance(reason, str):
        raise ValueError(f"nothing that could be unconfirmed: {found}")
    return found


def dump(known: Sequence[Unconfirmed]) -> bytes:
    """Return the form that is stored: `[[from_ms, to_ms, reason, seen_ms, tries], …]`."""
    return orjson.dumps([list(each) for each in known])


def _tries(known: Stretches, stretch: Any) -> int:
    """Return how often a row of this stretch was refused before."""
    return max(
        (
            each.tries
            for each in known
            if each.is_refused and each.start_ms < stretch[1] and stretch[0] < each.end_ms
        ),
        default=0,
    )


def _hull(coverage: Coverage) -> Coverage:
    return ((coverage[0][0], coverage[-1][1]),) if coverage else ()


def _without(known: Sequence[Unconfirmed], taken: Iterable[Any]) -> list[Unconfirmed]:
    """Return the stretches less what of them is in `taken`."""
    gone = [each[:2] for each in taken]
    return [
        each._replace(start_ms=start, end_ms=end)
        for each in known
        for start, end in subtract((each[:2],), gone)
    ]


def settled_empty(known: Stretches, timeframe: Timeframe, lag_ms: int) -> Coverage:
    """Return the stretches told without a row when the exchange was no longer late with them.

    That is as much as anybody can know of them now.
    """
    return union(
        (each.start_ms, min(each.end_ms, timeframe.floor(each.seen_ms - lag_ms)))
        for each in known
        if each.reason == EMPTY
    )
