"""Holes: which stretches of a pair the cache can't vouch for, and fetching exactly those."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from redis import Redis

from exchanges.rest.base import VenueRest
from exchanges.rest.pacing.budget import Lane
from exchanges.rest.reply import Candles
from livermore.market.coverage import (
    Coverage,
    Interval,
    believable,
    intersect,
    missing,
    oldest_told_ms,
    span,
    subtract,
    union,
)
from livermore.market.pair import Pair, pairs_of
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CANDLES_KEPT, CandleCache
from warmup.cache.pair_state import PairState
from warmup.cache.set_aside import SetAside
from warmup.cache.unconfirmed import second_looks, withheld
from warmup.fetching import Fetcher, FetchReport, run_all
from warmup.scanner import DEFAULT_CANDLE_TARGET

logger = logging.getLogger(__name__)


def window(
    state: PairState, timeframe: Timeframe, now_ms: int, depth_rows: int | None = None
) -> Interval:
    """Return the stretch that is to be complete, in ms, half-open.

    It goes from the oldest cached candle, but at least over the newest 100 periods and at most
    over the newest 1,000, to the end of the last closed one. What is older than an exchange tells,
    that tells of its newest `depth_rows` alone, is no part of it: it can't be had.
    """
    end_ms = timeframe.floor(now_ms)
    least = end_ms - DEFAULT_CANDLE_TARGET * timeframe.ms
    most = end_ms - CANDLES_KEPT * timeframe.ms
    oldest = least if state.oldest is None else state.oldest
    told_ms = oldest_told_ms(timeframe, now_ms, depth_rows)
    return max(most, min(oldest, least), told_ms), end_ms


def missing_ranges(
    state: PairState,
    timeframe: Timeframe,
    now_ms: int,
    grace_ms: int = 0,
    depth_rows: int | None = None,
) -> Coverage:
    """Return the stretches that are missing, in ms, half-open: the window less what is covered.

    What closed less than `grace_ms` ago is not missed yet.
    """
    start_ms, _ = window(state, timeframe, now_ms, depth_rows)
    return missing(state.coverage, start_ms, timeframe.floor(now_ms - grace_ms))


def too_old(
    state: PairState, timeframe: Timeframe, now_ms: int, depth_rows: int | None
) -> Coverage:
    """Return what is missing of what is kept, and older than the exchange tells of: half-open.

    It is neither complete nor known to be empty, and nobody asks for it.
    """
    until_ms = oldest_told_ms(timeframe, now_ms, depth_rows)
    return intersect(missing_ranges(state, timeframe, now_ms), ((0, until_ms),))


def ranges_to_ask(
    state: PairState,
    timeframe: Timeframe,
    now_ms: int,
    settled_ms: int,
    depth_rows: int | None = None,
) -> Coverage:
    """Return the stretches to fetch, in ms, half-open.

    What is missing and closed by `settled_ms`, but for rows that were refused a short time ago; and
    what was told empty once, some time ago. Nothing that is older than the exchange tells of.
    """
    lacks = missing_ranges(state, timeframe, settled_ms, depth_rows=depth_rows)
    start_ms, end_ms = window(state, timeframe, settled_ms, depth_rows)
    looks = intersect(second_looks(state.unconfirmed, now_ms), ((start_ms, end_ms),))
    gone = ((0, oldest_told_ms(timeframe, now_ms, depth_rows)),)
    return subtract(union([*lacks, *looks]), [*withheld(state.unconfirmed, now_ms), *gone])


@dataclass(frozen=True, slots=True)
class PairHoles:
    """The stretches of one pair that are to be fetched."""

    symbol: str
    timeframe: Timeframe
    ranges: Coverage

    @property
    def periods(self) -> int:
        return span(self.ranges) // self.timeframe.ms


class CandleRepair:
    """Fetches what one exchange's cache is missing, by coverage and not by count."""

    def __init__(
        self,
        redis: Redis,
        exchange_id: int,
        rest_client: VenueRest,
        *,
        cache: CandleCache | None = None,
    ):
        self._cache = cache or CandleCache(redis, exchange_id)
        self._exchange_id = exchange_id
        self._rest = rest_client
        # Among those that were looked at last:
        self._aside: dict[Pair, str] = {}
        self._too_old: dict[Pair, Coverage] = {}

    def find(
        self,
        symbols: Sequence[str],
        timeframes: Sequence[Timeframe | str] | None = None,
        *,
        holes_only: bool = False,
    ) -> list[PairHoles]:
        """Return the pairs that miss something by the exchange's clock, longest timeframe first.

        `holes_only` leaves out what closed after all that is known of a pair: a stream catches up
        with that, and tells it.
        """
        pairs = pairs_of(symbols, timeframes)
        found = []
        for pair, state, now_ms in self._states(pairs):
            ranges = self._ranges(pair, state, now_ms)
            if holes_only:
                ranges = intersect(ranges, _holes(state, pair.timeframe, now_ms))
            if ranges:
                found.append(PairHoles(*pair, ranges))
        return found

    def find_among(self, pairs: Sequence[Pair]) -> list[PairHoles]:
        """Return those of `pairs` that miss something, where the stream does not see to it."""
        return [
            PairHoles(*pair, ranges)
            for pair, state, now_ms in self._states(pairs)
            if (ranges := self._ranges(pair, state, now_ms))
        ]

    def _states(self, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, PairState, int]]:
        states = self._cache.states(pairs)
        found = list(zip(pairs, states, strict=True))
        self._aside = {pair: state.aside for pair, state in found if state.aside}
        now_ms = self._rest.clock.now_ms()  # asked last, so that nothing read is ahead of it
        self._too_old = {}
        for pair, state in found:
            if state.aside:
                continue
            if lost := too_old(state, pair.timeframe, now_ms, self._rest.depth_rows):
                self._too_old[pair] = lost
            yield pair, self._without_future(pair, state, now_ms), now_ms

    def _ranges(self, pair: Pair, state: PairState, now_ms: int) -> Coverage:
        """Return what to ask for of a pair; what a stream has not got to yet is left to it."""
        settled_ms, depth_rows = now_ms - self._rest.settle_ms, self._rest.depth_rows
        ranges = ranges_to_ask(state, pair.timeframe, now_ms, settled_ms, depth_rows)
        until_ms = self._cache.final_until(pair)
        return ranges if until_ms is None else intersect(ranges, ((0, until_ms),))

    def _without_future(self, pair: Pair, state: PairState, now_ms: int) -> PairState:
        """Cut back coverage that reaches beyond now: a clock that was ahead left it behind."""
        clock = self._rest.clock
        if state.coverage == believable(state.coverage, pair.timeframe, now_ms, clock.apart_ms):
            return state
        clock.settle()  # is it ours that is late?
        now_ms = clock.now_ms()
        believed = believable(state.coverage, pair.timeframe, now_ms, clock.apart_ms)
        if believed == state.coverage:
            return state
        cut_ms = believed[-1][1] if believed else 0
        logger.warning("repair.cut_back pair=%s/%s from=%d", *pair, cut_ms)
        self._cache.cut_back(pair, cut_ms, now_ms)
        return replace(state, coverage=believed)

    def repair(
        self,
        symbols: Sequence[str],
        timeframes: Sequence[Timeframe | str] | None = None,
        *,
        lane: Lane = Lane.BACKFILL,
        on_pair: Callable[[int, int], None] = lambda done, total: None,
        holes_only: bool = False,
    ) -> FetchReport:
        """Fetch all that `find` finds missing, and nothing else; what fails is in the report.

        Raises where nothing could be done, as a warmup does. `on_pair` is told how many pairs
        are done, of how many. What is no candle counts as missing, but with `holes_only`, which
        does not read what is there.
        """
        if not holes_only:
            self._cache.remove_invalid(pairs_of(symbols, timeframes))
        holes = self.find(symbols, timeframes, holes_only=holes_only)
        report = self.repair_holes(holes, lane=lane, on_pair=on_pair)
        for pair, why in self._aside.items():
            report.add(pair, None, SetAside(why))
        for pair, lost in self._too_old.items():
            report.add_too_old(pair, lost)
        return report

    def repair_holes(
        self,
        holes: Sequence[PairHoles],
        *,
        lane: Lane = Lane.BACKFILL,
        on_pair: Callable[[int, int], None] = lambda done, total: None,
        with_open: bool = False,
    ) -> FetchReport:
        """Fetch these; see `repair`. With the open bars, where that takes no further call."""
        report, fetcher = FetchReport(), Fetcher(self._rest, self._cache, holes)

        def work(pair: PairHoles) -> list[Candles]:
            return self._repair_pair(fetcher, pair, lane, with_open)

        outcomes = run_all(self._rest, holes, work)
        for done, outcome in enumerate(outcomes, start=1):
            report.add(*outcome)
            on_pair(done, len(holes))
        logger.info(
            "repair.complete exchange=%d pairs=%d ranges=%d candles=%d failed=%d",
            *(self._exchange_id, report.pairs, report.ranges, report.candles),
            len(report.failures),
        )
        return report

    def _repair_pair(
        self, fetcher: Fetcher, pair: PairHoles, lane: Lane, with_open: bool
    ) -> list[Candles]:
        beside = self._cache.beside(pair.symbol, pair.timeframe, pair.ranges)
        return [
            fetcher.fetch(
                pair,
                start_ms=start_ms,
                end_ms=end_ms,
                known=known,
                lane=lane,
                with_open=with_open,
            )
            for (start_ms, end_ms), known in zip(pair.ranges, beside, strict=True)
        ]


def _holes(state: PairState, timeframe: Timeframe, now_ms: int) -> Coverage:
    """Return what is missing before the end of all that is known."""
    until_ms = state.coverage[-1][1] if state.coverage else now_ms
    return intersect(missing_ranges(state, timeframe, now_ms), ((0, until_ms),))
