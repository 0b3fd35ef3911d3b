"""How complete each pair of an exchange is, as one letter: what the Network page's grid shows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

from exchanges.models import Symbol
from livermore.market.coverage import subtract
from livermore.market.pair import Pair
from livermore.market.timeframe import SHORTEST_FIRST, Timeframe
from warmup.cache.candles import CandleCache
from warmup.cache.pair_state import PairState, PairSummary
from warmup.cache.set_aside import SetAside
from warmup.cache.unconfirmed import Stretches
from warmup.repair import missing_ranges
from warmup.scanner import MIN_CANDLE_THRESHOLD, is_exhausted

COMPLETE, REPAIRING, QUIET, HOLED, COLD, WAITING = "crqhkw"
ASIDE = "u"
HALTED, GONE = "xd"  # what does not trade: whatever is missing, nobody asks for it
# What closed a moment ago may still be on its way: from the stream, or on a quiet market from REST.
GRACE_MS = 30_000
QUIET_BARS = 2
ASIDE_NAMED = 10


def cell(
    state: PairState,
    timeframe: Timeframe,
    now_ms: int,
    newest_ms: int | None,
    repairing: bool,
    healing: bool = False,
    depth_rows: int | None = None,
) -> str:
    """Return the letter of one pair, by the exchange's time.

    - `u` set aside: a key of it is of another type, so nothing of it is read or written
    - `k` cold: fewer than 60 candles, and not known to be all that the exchange has
    - `h` holed: some stretch of its window is not covered, be it the newest one
    - `r` repairing: cold or holed, and somebody is at work on it: `repairing`, or where only the
      newest stretch is missing `healing`, as a stream asks for that by itself
    - `w` waiting for the exchange: what is not covered was asked for, and it told nothing final yet
    - `q` quiet: complete, but the newest two closed bars or more had no trade
    - `c` complete, as far as the exchange tells of it: where that is its newest `depth_rows` bars
      alone, nothing older counts

    `newest_ms` is the open time of the newest closed candle. A bar that closed less than 30 s ago
    is not missed yet.
    """
    if state.aside:
        return ASIDE
    lacks = missing_ranges(state, timeframe, now_ms, GRACE_MS, depth_rows)
    now_ms -= GRACE_MS
    is_short = state.count < MIN_CANDLE_THRESHOLD
    cold = is_short and not is_exhausted(state, timeframe, now_ms, depth_rows)
    if lacks or cold:
        if not cold and not subtract(lacks, (each[:2] for each in state.unconfirmed)):
            return WAITING
        late = bool(state.coverage) and all(start >= state.coverage[-1][1] for start, _ in lacks)
        if repairing or (healing and late and not cold):
            return REPAIRING
        return COLD if cold else HOLED
    silent_ms = timeframe.floor(now_ms) - newest_ms - timeframe.ms if newest_ms is not None else 0
    return QUIET if silent_ms >= QUIET_BARS * timeframe.ms else COMPLETE


@dataclass(frozen=True, slots=True)
class Work:
    """What is being repaired: these pairs, all of them where None, and late ends if `healing`.

    `fetching` are symbols that were added, all of whose pairs are fetched now.
    """

    symbols: Collection[str] | None = ()
    timeframes: Collection[str] | None = None
    healing: bool = False
    fetching: Collection[str] = ()

    def is_at(self, pair: Pair) -> bool:
        """Tell whether somebody is at work on this pair."""
        if pair.symbol in self.fetching:
            return True
        return (self.symbols is None or pair.symbol in self.symbols) and (
            self.timeframes is None or pair.timeframe in self.timeframes
        )


class Grid:
    """The letters of one exchange's pairs, kept so that only what changed is thought over again."""

    def __init__(self, exchange_id: int, depth_rows: int | None = None):
        self._exchange_id = exchange_id
        self._depth_rows = depth_rows
        self._known: dict[Pair, tuple[Any, str]] = {}

    def read(
        self,
        redis: Redis,
        symbols: Sequence[str],
        now_ms: int,
        work: Work,
        idle: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Return `{"timeframes", "symbols", "rows"}`: a text of letters for each symbol.

        Where pairs are set aside `aside` says why, a line each, of the first ten.

        `idle` says of the symbols that do not trade what became of them.
        """
        pairs = [Pair(symbol, timeframe) for symbol in symbols for timeframe in SHORTEST_FIRST]
        cache = CandleCache(redis, self._exchange_id)
        unconfirmed = cache.unconfirmed()
        summaries = cache.summaries(pairs)
        letters = [
            self._letter(pair, summary, unconfirmed.get(pair, ()), now_ms, work)
            for pair, summary in zip(pairs, summaries, strict=True)
        ]
        aside = [
            f"{pair.symbol} {pair.timeframe}: {SetAside(summary.aside)}"
            for pair, summary in zip(pairs, summaries, strict=True)
            if summary.aside and pair.symbol not in (idle or {})
        ]
        width = len(SHORTEST_FIRST)
        rows = ["".join(letters[at : at + width]) for at in range(0, len(letters), width)]
        for at, symbol in enumerate(symbols):
            if status := (idle or {}).get(symbol):
                rows[at] = width * (HALTED if status == Symbol.Status.HALTED else GONE)
        if len(self._known) > len(pairs):
            self._known = {pair: self._known[pair] for pair in pairs}
        grid = {"timeframes": list(SHORTEST_FIRST), "symbols": list(symbols), "rows": rows}
        return grid | ({"aside": aside[:ASIDE_NAMED]} if aside else {})

    def newest(self, pair: Pair) -> int | None:
        """Return when the newest closed candle opened, as of the last read; None without any."""
        basis, _ = self._known.get(pair, (None, ""))
        return basis[0].newest if basis else None

    def _letter(
        self, pair: Pair, summary: PairSummary, unconfirmed: Stretches, now_ms: int, work: Work
    ) -> str:
        timeframe = pair.timeframe
        moments = (timeframe.floor(now_ms), timeframe.floor(now_ms - GRACE_MS))
        basis = (summary, moments, work.is_at(pair), work.healing, unconfirmed)
        before, letter = self._known.get(pair, (None, ""))
        if before != basis:
            state = summary.state(unconfirmed)
            at_work = basis[2], work.healing
            letter = cell(state, timeframe, now_ms, summary.newest, *at_work, self._depth_rows)
            self._known[pair] = (basis, letter)
        return letter
