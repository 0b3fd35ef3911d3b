"""Files and manifest of history beside the sandbox's truth, candle by candle."""

from pathlib import Path

import numpy
import pyarrow.parquet

from history.manifest import coverage_of
from history.models import PairHistory
from history.months import Month, months_in
from history.parquet import COLUMNS
from history.places.folder import Folder
from livermore.market.coverage import missing, span
from livermore.market.pair import pairs_of
from livermore.market.timeframe import LONGEST_FIRST
from tests.warmup.runners import true_rows
from warmup.cache.unconfirmed import EMPTY

SHOWN = 3  # times of what is wrong in a file


class Comparison:
    """What of an exchange's history is not so. The files are read as any tool reads them."""

    def __init__(self, sandbox, row, folder, symbols, since_ms, timeframes=LONGEST_FIRST):
        self.pairs = pairs_of(symbols, timeframes)
        self.candles = 0  # that were compared
        self._sandbox, self._row, self._since_ms = sandbox, row, since_ms
        self.place = Folder(Path(folder))
        self._folder = Path(folder) / f"exchange={row.name}"

    def coverage(self, pair):
        """Return what the manifest says is known of a pair."""
        found = self._manifest(pair)
        return coverage_of(found.coverage) if found else ()

    def _manifest(self, pair):
        return PairHistory.objects.filter(
            exchange=self._row, symbol=pair.symbol, timeframe=str(pair.timeframe)
        ).first()

    def doubtful(self, pair):
        """Return the stretches of which an exchange has to tell a second time what is not there."""
        found = self._manifest(pair)
        stored = found.unconfirmed if found else []
        return [(start, end) for start, end, reason, *_ in stored if reason == EMPTY]

    def unknown(self, pair, until_ms):
        """Return what nobody knows of a pair up to a time."""
        return missing(self.coverage(pair), self._since_ms, pair.timeframe.floor(until_ms))

    def is_settled(self, until_ms):
        """Tell whether all is known up to a time, and by more than one answer where that counts."""
        return not any(
            self.unknown(pair, until_ms) or self._doubtful_before(pair, until_ms)
            for pair in self.pairs
        )

    def _doubtful_before(self, pair, until_ms):
        return [each for each in self.doubtful(pair) if each[0] < until_ms]

    def faults_when_complete(self, until_ms, latest_ms):
        """Yield what is wrong where all has to be known up to a time, and nothing after another."""
        for pair in self.pairs:
            coverage = self.coverage(pair)
            if doubtful := self._doubtful_before(pair, until_ms):
                yield f"{_named(pair)}: what is not there was told once alone: {doubtful}"
            if unknown := self.unknown(pair, until_ms):
                yield f"{_named(pair)}: {span(unknown) // pair.timeframe.ms} bars are unknown"
            if coverage and coverage[-1][1] > pair.timeframe.floor(latest_ms):
                yield f"{_named(pair)}: it claims what has not ended: {coverage[-1][1]}"
            yield from self.faults(pair)

    def faults(self, pair, *, is_written=False):
        """Yield where the files of a pair are not what is true of all that it is said to know.

        What has to be told a second time may lack of it. Where they are written meanwhile they may
        have rows already that are not said to be there.
        """
        coverage, doubtful = self.coverage(pair), self.doubtful(pair)
        covered = dict(months_in(coverage))
        files = {Month.named(path.stem): path for path in self._files(pair)}
        for month in sorted({*covered, *files}):
            stretches = covered.get(month, ())
            expected = self._truth(pair, stretches)
            found = _rows_of(files[month]) if month in files else expected[:0]
            if is_written:
                found = found[numpy.isin(found[:, 0], expected[:, 0])]
            expected = _without(expected, doubtful, found)
            self.candles += len(expected)
            for text in differences(found, expected):
                yield f"{_named(pair)} {month}: {text}"

    def true_rows(self, pair):
        """Return all candles of what is said to be known of a pair."""
        return self._true_rows(pair, self.coverage(pair))

    def _true_rows(self, pair, stretches):
        return [
            row for stretch in stretches
            for row in true_rows(self._sandbox, self._row, *pair, *stretch)
        ]  # fmt: skip

    def _files(self, pair):
        folder = self._folder / f"symbol={pair.symbol}" / f"timeframe={pair.timeframe}"
        return sorted(folder.glob("*.parquet"))

    def _truth(self, pair, stretches):
        rows = self._true_rows(pair, stretches)
        found = numpy.full((len(rows), len(COLUMNS)), numpy.nan)
        if rows:
            found[:, : len(rows[0])] = rows
        return found


def differences(found, expected):
    """Yield what of some rows is not as it is in others; both are arrays, oldest first."""
    if found.shape == expected.shape and numpy.array_equal(found, expected, equal_nan=True):
        return
    times, true_times = found[:, 0], expected[:, 0]
    once, counts = numpy.unique(times, return_counts=True)
    yield from _told("missing", numpy.setdiff1d(true_times, once))
    yield from _told("not in the market", numpy.setdiff1d(once, true_times))
    yield from _told("there twice", once[counts > 1])
    if not numpy.array_equal(times, numpy.sort(times)):
        yield "its rows are not sorted"
    both = numpy.intersect1d(once, true_times)
    one, other = _at(found, both), _at(expected, both)
    is_same = (one == other) | (numpy.isnan(one) & numpy.isnan(other))
    yield from _told("of other values", both[~is_same.all(axis=1)])


def _without(expected, doubtful, found):
    """Return rows without those that are not found and lie in a doubtful stretch."""
    times = expected[:, 0]
    is_doubtful = numpy.zeros(len(times), bool)
    for start_ms, end_ms in doubtful:
        is_doubtful |= (times >= start_ms) & (times < end_ms)
    return expected[~is_doubtful | numpy.isin(times, found[:, 0])]


def _at(rows, times):
    """Return the first row of each time."""
    order = numpy.argsort(rows[:, 0], kind="stable")
    return rows[order][numpy.searchsorted(rows[order, 0], times)]


def _told(what, times):
    if len(times):
        shown = ", ".join(f"{time:.0f}" for time in times[:SHOWN])
        yield f"{len(times)} candles are {what}: {shown}"


def _rows_of(path):
    table = pyarrow.parquet.read_table(path, columns=list(COLUMNS), partitioning=None)
    times = table.column(0).cast("int64")
    return numpy.column_stack(
        [times.to_numpy(), *(table.column(name).to_numpy() for name in COLUMNS[1:])]
    ).astype(float)


def _named(pair):
    return f"{pair.symbol} {pair.timeframe}"
