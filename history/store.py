"""Candles of years: files and the manifest that says what they hold, written and read together."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from django.db import transaction

from exchanges.errors import BadPayload
from exchanges.models import Exchange
from history import parquet
from history.decoded import Decoded
from history.manifest import Manifest, digest_of
from history.manifest import coverage_of as _coverage
from history.models import HistoryFile, PairHistory
from history.months import Month, months_in
from history.parquet import Row
from history.places.place import Place, set_aside
from history.verifying import contents
from livermore.market.candle import Candle
from livermore.market.coverage import Coverage, Interval, intersect, missing, subtract, union
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.cache.unconfirmed import Stretches, Unconfirmed

if TYPE_CHECKING:
    import pyarrow

logger = logging.getLogger(__name__)

SIX = 6  # numbers of a row without columns
MONTHS_AT_ONCE = 6  # of a pair, of which the manifest is told together


class Stretch(NamedTuple):
    """What history has of a pair in some time: rows, oldest first, and of which of it they are all.

    A row has six numbers, or ten (`Candle.row`).
    """

    rows: list[Row]
    covered: Coverage


class Part(NamedTuple):
    """What history has of a pair in one month, or in some of it: a table, and what it is all of."""

    table: "pyarrow.Table"
    covered: Coverage


class Draft(NamedTuple):
    """A file that is to be written, as its row will say, and its content."""

    file: HistoryFile
    content: bytes


# What is new of a month in some stretches of it.
News = Callable[[Month, Coverage], "list[Row] | pyarrow.Table"]


class HistoryStore:
    """The history of one exchange, in one place. One process at a time may write it.

    Files that were read are kept in `decoded` for as long as they are the same. `may_write` is
    called before each file is written, and raises where it is another's turn by now.
    """

    def __init__(
        self,
        place: Place,
        exchange: Exchange,
        decoded: Decoded | None = None,
        may_write: Callable[[], None] = lambda: None,
    ):
        self._place = place
        self._exchange = exchange
        self._may_write = may_write
        self._decoded = decoded or Decoded(0)
        self._id = place.id()
        self._manifest = Manifest(self._id, exchange)
        self.bytes_written = 0  # by this process

    def warn_of_another_place(self) -> None:
        """Say in the log where nothing is here yet, and another place has it: it may be away."""
        rows = PairHistory.objects.filter(exchange=self._exchange)
        if not rows.filter(store=self._id).exists() and rows.exists():
            name = self._exchange.name
            logger.warning("history.another_place exchange=%s place=%s", name, self._place)

    # -- reading

    def coverage(self, pair: Pair) -> Coverage:
        """Return the stretches of which history has all candles."""
        found = self._find(pair)
        return _coverage(found.coverage) if found else ()

    def coverages(self) -> dict[Pair, tuple[Coverage, Stretches]]:
        """Return of each pair of which there is history what `coverage` and `unconfirmed` do."""
        rows = PairHistory.objects.filter(store=self._id, exchange=self._exchange)
        names = ("symbol", "timeframe", "coverage", "unconfirmed")
        return {
            Pair(symbol, Timeframe(timeframe)): (_coverage(coverage), _unconfirmed(unconfirmed))
            for symbol, timeframe, coverage, unconfirmed in rows.values_list(*names)
        }

    def unconfirmed(self, pair: Pair) -> Stretches:
        """Return what the exchange has to tell again."""
        found = self._find(pair)
        return _unconfirmed(found.unconfirmed) if found else ()

    def read(self, pair: Pair, start_ms: int, end_ms: int) -> Stretch:
        """Return the candles that opened in `[start_ms, end_ms)`.

        What lies in a file that is not what was written is not known.
        """
        rows: list[Row] = []
        covered: list[Interval] = []
        for part in self.parts(pair, start_ms, end_ms):
            rows += parquet.rows_of(part.table)
            covered += part.covered
        return Stretch(rows, union(covered))

    def parts(self, pair: Pair, start_ms: int, end_ms: int) -> Iterator[Part]:
        """Yield the same by month, oldest first, of each month of which anything is known."""
        found = self._find(pair)
        if found is None:
            return
        known = intersect(_coverage(found.coverage), ((start_ms, end_ms),))
        files = {file.month: file for file in self._files(found, known)}
        nothing = parquet.table_of([])
        for month, covered in months_in(known):
            file = files.get(str(month))
            table = nothing if file is None else self._table(file)
            if table is not None:
                yield Part(parquet.within(table, covered), covered)

    def _table(self, file: HistoryFile) -> "pyarrow.Table | None":
        """Return what a file holds, None where that is not what was written."""
        for is_second_look in (False, True):
            if is_second_look:  # it may have been written anew since its row was read
                file.refresh_from_db()
            digests = {file.digest, file.next_digest} - {""}
            table = self._decoded.get(file.path, digests)
            if table is not None:
                return table
            content = self._place.read(file.path)
            digest = digest_of(content) if content is not None else ""
            if content is not None and digest in digests:
                table = parquet.load(content)
                self._decoded.put(file.path, digest, table)
                return table
        return None

    def months(self, symbol: str, timeframes: Sequence[Timeframe]) -> set[Month]:
        """Return the months of which there are files of a symbol, in any of these timeframes."""
        files = HistoryFile.objects.filter(
            pair__store=self._id,
            pair__exchange=self._exchange,
            pair__symbol=symbol,
            pair__timeframe__in=list(map(str, timeframes)),
        ).exclude(digest="", next_digest="")
        return {Month.named(each) for each in files.values_list("month", flat=True)}

    # -- writing

    def write(
        self,
        pair: Pair,
        candles: Sequence[Candle],
        covered: Coverage,
        unconfirmed: Stretches | None = None,
    ) -> None:
        """Let these be all candles that opened in `covered`; those that lie elsewhere are left out.

        A candle with four columns stays where the same comes without them, and a file that would
        not change is not written. `unconfirmed` is what is so of the pair from now on, None leaves
        what is there. Each month is written at once or not at all, in the order of time.
        """

        def news(month: Month, part: Coverage) -> list[Row]:
            start_ms, end_ms = month.interval
            return [
                candle.row() for candle in candles
                if start_ms <= candle.timestamp < end_ms and _holds(part, candle.timestamp)
            ]  # fmt: skip

        found, _ = PairHistory.objects.get_or_create(**self._key(pair))
        self._write_months(found, covered, news)
        if unconfirmed is not None:
            found.unconfirmed = [list(each) for each in unconfirmed]
            found.save(update_fields=["unconfirmed"])

    def add(self, pair: Pair, table: "pyarrow.Table", covered: Coverage) -> None:
        """Let the rows of a table, in the order of time, be all candles there are in `covered`."""
        found, _ = PairHistory.objects.get_or_create(**self._key(pair))
        self._write_months(found, covered, lambda month, part: parquet.within(table, part))

    def _write_months(self, found: PairHistory, covered: Coverage, news: News) -> None:
        """Write the months of which `news` has any; those before one that fails are told."""
        months = [str(month) for month, _ in months_in(covered)]
        files = {file.month: file for file in found.files.filter(month__in=months)}
        drafts: list[Draft] = []
        for month, part in months_in(covered):
            draft = self._draft(found, files, month, news(month, part), part)
            if draft is not None:
                files[str(month)] = draft.file
                drafts.append(draft)
            if len(drafts) == MONTHS_AT_ONCE:
                self._write_drafts(found, drafts)
                drafts = []
        self._write_drafts(found, drafts)

    def _draft(
        self,
        found: PairHistory,
        files: dict[str, HistoryFile],
        month: Month,
        news: "list[Row] | pyarrow.Table",
        covered: Coverage,
    ) -> "Draft | None":
        """Return what is to be written of a month; of rows columns may be known already."""
        file = files.get(str(month)) or self._take_up(found, month)
        if file is not None:
            files[str(month)] = file
        table = self._table_before(found, file)
        before = parquet.within(table, covered)
        if isinstance(news, list):
            rows = parquet.table_of(_with_columns(parquet.rows_of(before), news))
        else:
            rows = news
        if rows.equals(before) and not subtract(covered, _coverage(found.coverage)):
            return None
        first = self._first_month(found, files.values())
        if not rows.num_rows and (first is None or str(month) < first):  # proven empty
            self._cover(found, covered)
            return None
        kept = parquet.within(table, missing(covered, *month.interval))
        table = parquet.joined(kept, rows)
        content = parquet.dump(table, self._said(found, month, covered, first))
        file = file or HistoryFile(pair=found, month=str(month), path=self._path(found, month))
        file.next_digest, file.next_coverage = digest_of(content), covered
        file.next_rows, file.next_size = len(table), len(content)
        return Draft(file, content)

    def _first_month(self, found: PairHistory, files: Iterable[HistoryFile]) -> str | None:
        """Return the first month of which there is a file, or will be one of these."""
        known = [file.month for file in files if file.digest or file.next_digest]
        others = found.files.exclude(digest="", next_digest="")
        known += others.values_list("month", flat=True).order_by("month")[:1]
        return min(known, default=None)

    def _write_drafts(self, found: PairHistory, drafts: "Sequence[Draft]") -> None:
        written: list[HistoryFile] = []
        try:
            for draft in drafts:
                self._may_write()
                if not written:
                    self._manifest.announce([each.file for each in drafts])
                self._place.write(draft.file.path, draft.content)
                self.bytes_written += len(draft.content)
                written.append(draft.file)
        finally:
            if written:
                self._confirm(found, written)

    def _said(self, found: PairHistory, month: Month, covered: Coverage, first: str | None) -> dict:
        """Return what a file says of itself: the first one of a pair also what lies before it."""
        start_ms, end_ms = month.interval
        is_first = first is None or str(month) <= first
        known = union([*_coverage(found.coverage), *covered])
        return {
            "pair": {
                "exchange": self._exchange.name,
                "symbol": found.symbol,
                "timeframe": found.timeframe,
            },
            "coverage": intersect(known, ((0 if is_first else start_ms, end_ms),)),
        }

    def _table_before(self, found: PairHistory, file: HistoryFile | None) -> "pyarrow.Table":
        """Return what a file holds; what is not what was written is put aside, and forgotten."""
        if file is None:
            return parquet.table_of([])
        content = self._place.read(file.path)
        digest = digest_of(content) if content is not None else ""
        if file.next_digest and digest == file.next_digest:
            self._confirm(found, [file])
        elif file.next_digest:
            file.next_digest, file.next_coverage = "", []
            file.save()
        if digest != file.digest:
            self._put_aside(found, file)
            return parquet.table_of([])
        return parquet.load(content) if content is not None else parquet.table_of([])

    def _take_up(self, found: PairHistory, month: Month) -> HistoryFile | None:
        """Know a file from now on that the manifest has lost, as where a backup was put back.

        One of which can't be known what it covers is put aside.
        """
        path = self._path(found, month)
        content = self._place.read(path)
        if content is None:
            return None
        self._may_write()
        pair = Pair(found.symbol, Timeframe(found.timeframe))
        try:
            table, covered = contents.taken_up(content, self._exchange.name, pair, month)
        except (BadPayload, ValueError) as error:
            logger.warning("history.not_known path=%s error=%s", path, error)
            set_aside(self._place, path)
            return None
        self._manifest.adopt(path, content, table.num_rows, covered)
        logger.info("history.adopted path=%s rows=%d", path, table.num_rows)
        found.refresh_from_db(fields=["coverage"])
        return found.files.get(month=str(month))

    def _confirm(self, found: PairHistory, files: Sequence[HistoryFile]) -> None:
        """Say that files are there as they were to be written."""
        self._manifest.confirm(files)
        found.refresh_from_db(fields=["coverage"])

    def _cover(self, found: PairHistory, covered: Coverage) -> None:
        found.coverage = union([*_coverage(found.coverage), *covered])
        found.save(update_fields=["coverage"])

    def _put_aside(self, found: PairHistory, file: HistoryFile) -> None:
        self._may_write()
        logger.warning("history.damaged path=%s", file.path)
        set_aside(self._place, file.path)
        with transaction.atomic():
            found.coverage = subtract(_coverage(found.coverage), (file.interval,))
            found.save(update_fields=["coverage"])
            file.digest, file.rows, file.size = "", 0, 0
            file.save()

    # -- both

    def _key(self, pair: Pair) -> dict:
        return {
            "store": self._id,
            "exchange": self._exchange,
            "symbol": pair.symbol,
            "timeframe": str(pair.timeframe),
        }

    def _find(self, pair: Pair) -> PairHistory | None:
        return PairHistory.objects.filter(**self._key(pair)).first()

    def _files(self, found: PairHistory, covered: Coverage) -> Iterable[HistoryFile]:
        months = [str(month) for month, _ in months_in(covered)]
        return found.files.filter(month__in=months).exclude(digest="", next_digest="")

    def _path(self, found: PairHistory, month: Month) -> str:
        symbol = quote(found.symbol, safe="")
        folder = f"exchange={self._exchange.name}/symbol={symbol}/timeframe={found.timeframe}"
        return f"{folder}/{month}.parquet"


def _holds(coverage: Coverage, time_ms: int | float) -> bool:
    return any(start <= time_ms < end for start, end in coverage)


def _unconfirmed(stored: Iterable[Sequence]) -> Stretches:
    return tuple(Unconfirmed(*each) for each in stored)


def _with_columns(before: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
    """Return `rows` in the order of time, with columns where the same row had them before."""
    known = {row[0]: row for row in before if len(row) > SIX}
    ordered = sorted({row[0]: row for row in rows}.values())
    return [
        known[row[0]] if len(row) == SIX and known.get(row[0], [])[:SIX] == row else row
        for row in ordered
    ]
