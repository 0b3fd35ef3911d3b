"""Asking an exchange again for some of the candles that are kept of it."""

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Any

import orjson
from django.utils import timezone

from exchanges.adapters import open_rest
from exchanges.errors import CLIP_OURS, LivermoreError, clip
from exchanges.models import AuditRun, Exchange
from exchanges.redis.row_notifications import tell_row_changed
from exchanges.rest.base import VenueRest
from exchanges.rest.pacing.budget import Lane
from exchanges.rest.reply import Candles
from history.audit.comparison import Differing, Row, beyond, compare
from history.audit.sampling import Kept, Source, Window, choose, on_grid
from history.store.store import HistoryStore
from livermore.market.coverage import Coverage, intersect, subtract
from livermore.market.pair import pairs_of
from warmup.cache.candles import CandleCache
from warmup.fetching import HOPELESS

logger = logging.getLogger(__name__)

SAMPLE = 500
DIFFERENCES_KEPT = 10  # in the database
BARS_TO_GO = 10  # of the oldest told: an audit takes minutes


@dataclass(slots=True)
class AuditReport:
    """What was found: bars that were compared, that differ, and of which nothing is known."""

    compared: int = 0
    unknown: int = 0
    reason: str = ""
    differing: list[Differing] = field(default_factory=list)
    second_compared: int = 0
    second_beyond: list[dict[str, Any]] = field(default_factory=list)
    second_reason: str = ""
    calls: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return what programs read."""
        return {
            "compared": self.compared,
            "differing": len(self.differing),
            "unknown": self.unknown,
            "reason": self.reason or None,
            "differences": [each.as_json() for each in self.differing],
            "secondCompared": self.second_compared,
            "secondBeyond": self.second_beyond,
            "secondReason": self.second_reason or None,
            "candleCalls": self.calls,
        }


class Audit:
    """Compares random candles of cache and history with what the exchange tells of them now.

    Bars that may still change are left out. `second` is another exchange, whose bars of the same
    symbols are only to be near. Nothing that is kept is changed.
    """

    def __init__(
        self,
        exchange: Exchange,
        cache: CandleCache,
        store: HistoryStore | None,
        second: Exchange | None = None,
        random: Random | None = None,
    ):
        self._exchange = exchange
        self._cache = cache
        self._store = store
        self._second = second
        self._random = random or Random()

    def run(
        self, sample: int, on_window: Callable[[int, int, AuditReport], None] = lambda *_: None
    ) -> AuditReport:
        """Compare about `sample` candles; `on_window` is told how many of all windows are done.

        Raises nothing of an exchange: what it did not tell is counted as unknown, with the reason.
        """
        report = AuditReport()
        kept: list[tuple[Window, Sequence[Row]]] = []
        with closing(open_rest(self._exchange)) as rest:
            windows = self._choose(rest, sample, report)
            for done, window in enumerate(windows, start=1):
                try:
                    kept.append((window, self._look(rest, window, report)))
                except LivermoreError as error:
                    report.unknown += window.bars
                    report.reason = clip(str(error), CLIP_OURS)
                    if isinstance(error, HOPELESS):
                        report.unknown += sum(each.bars for each in windows[done:])
                        break
                on_window(done, len(windows), report)
            report.calls = rest.candle_calls
        if self._second and kept:
            _compare_with(self._second, kept, report)
        return report

    def _choose(self, rest: VenueRest, sample: int, report: AuditReport) -> list[Window]:
        try:
            now_ms = rest.clock.now_ms()
        except LivermoreError as error:
            report.unknown, report.reason = sample, clip(str(error), CLIP_OURS)
            return []
        until_ms = now_ms - max(rest.settle_ms, rest.lag_ms)
        kept = {
            key: subtract(
                on_grid(coverage, key[1], until_ms),
                # What the exchange tells of no more, or won't by the time it is asked.
                ((0, rest.oldest_told_ms(key[1].timeframe) + BARS_TO_GO * key[1].timeframe.ms),),
            )
            for key, coverage in self._coverages().items()
        }
        return choose(kept, sample, self._random)

    def _coverages(self) -> Kept:
        pairs = pairs_of(self._exchange.symbols.kept_warm().values_list("symbol", flat=True))
        coverages = self._cache.coverages(pairs)
        found = {(Source.CACHE, pair): each for pair, each in zip(pairs, coverages, strict=True)}
        if self._store:
            known = self._store.coverages()
            found |= {(Source.HISTORY, pair): known[pair][0] for pair in pairs if pair in known}
        return found

    def _look(self, rest: VenueRest, window: Window, report: AuditReport) -> Sequence[Row]:
        """Compare a window, and where it differs once more: it may have been healed just now."""
        for _ in range(2):
            answer = _ask(rest, window)
            kept, covered = self._read(window)
            found = compare(window, kept, covered, answer, answer.covered)
            if not found.differing:
                break
        report.compared += found.bars
        report.differing += found.differing
        report.unknown += found.unknown
        if found.unknown:
            report.reason = report.reason or "the exchange does not say that it has no such bars"
        return kept

    def _read(self, window: Window) -> tuple[Sequence[Row], Coverage]:
        stretch = (window.start_ms, window.end_ms)
        if window.source is Source.HISTORY:
            assert self._store is not None  # nothing was chosen of it else
            return self._store.read(window.pair, *stretch)
        for _, members, covered in self._cache.windows([window.pair]):
            rows = [orjson.loads(each) for each in members]
            inside = [row for row in rows if window.start_ms <= row[0] < window.end_ms]
            return inside, intersect(covered, (stretch,))
        return [], ()


def _ask(rest: VenueRest, window: Window) -> Candles:
    return rest.get_candles(*window.pair, window.start_ms, window.end_ms, lane=Lane.BACKFILL)


def _compare_with(
    second: Exchange, kept: Sequence[tuple[Window, Sequence[Row]]], report: AuditReport
) -> None:
    """Compare what is kept with another exchange's bars, of the symbols that it lists too."""
    listed = set(second.symbols.trading().values_list("symbol", flat=True))
    with closing(open_rest(second)) as rest:
        for window, rows in kept:
            if window.pair.symbol not in listed:
                continue
            try:
                count, far_off = beyond(rows, _ask(rest, window))
            except LivermoreError as error:
                report.second_reason = clip(str(error), CLIP_OURS)
                if isinstance(error, HOPELESS):
                    return
                continue
            report.second_compared += count
            report.second_beyond += [
                Differing(window, time_ms, None, None).as_json() for time_ms in far_off
            ]


def begin(exchange: Exchange, second: Exchange | None, night: date | None = None) -> AuditRun:
    """Write down that a run begins; IntegrityError where there is one of that night."""
    return AuditRun.objects.create(
        exchange=exchange, second=second, night=night, started_at=timezone.now()
    )


def finish(run: AuditRun, report: AuditReport) -> None:
    """Write down what came of a run, and tell pages and the log."""
    run.ended_at = timezone.now()
    run.compared, run.differing = report.compared, len(report.differing)
    run.unknown, run.reason = report.unknown, report.reason
    run.differences = [each.as_json() for each in report.differing[:DIFFERENCES_KEPT]]
    run.second_compared, run.second_beyond = report.second_compared, len(report.second_beyond)
    run.second_reason = report.second_reason
    run.save()
    tell_row_changed(run.exchange_id)
    found = (run.compared, run.differing, run.unknown, run.second_beyond)
    text = "audit.complete exchange=%s compared=%d differing=%d unknown=%d second_beyond=%d"
    logger.log(_level(run), text, run.exchange.name, *found)


def _level(run: AuditRun) -> int:
    if run.differing:
        return logging.ERROR
    return logging.INFO if run.is_fine else logging.WARNING
