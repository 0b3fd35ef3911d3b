"""Writing months of a pair: the manifest is told before and after, and each file is there whole."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from exchanges.models import Exchange
from history import parquet
from history.manifest import Manifest, coverage_of, digest_of, path_of
from history.models import HistoryFile, PairHistory
from history.months import Month, months_in
from history.parquet import Row
from history.places.place import Place
from history.store.pairs import files_of
from history.store.settling import Settling
from livermore.market.coverage import Coverage, intersect, missing, subtract, union
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe

if TYPE_CHECKING:
    import pyarrow

SIX = 6  # numbers of a row without columns
MONTHS_AT_ONCE = 6  # of a pair, of which the manifest is told together


class Draft(NamedTuple):
    """A file that is to be written, as its row will say, and its content."""

    file: HistoryFile
    content: bytes


# What is new of a month in some stretches of it.
News = Callable[[Month, Coverage], "list[Row] | pyarrow.Table"]


class Writing:
    """Writes files of one exchange in one place.

    `may_write` is called before each, and raises where it is another's turn by now.
    """

    def __init__(
        self,
        place: Place,
        exchange: Exchange,
        store_id: str,
        may_write: Callable[[], None],
    ):
        self._place = place
        self._exchange = exchange
        self._may_write = may_write
        self._manifest = Manifest(store_id, exchange)
        self._settling = Settling(place, exchange, self._manifest, may_write)
        self.octets = 0  # that were written so far

    def write(self, found: PairHistory, covered: Coverage, news: News) -> None:
        """Write the months of which `news` has any; those before one that fails are told."""
        files = files_of(found, covered)
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
        file = files.get(str(month)) or self._settling.take_up(found, month)
        if file is not None:
            files[str(month)] = file
        table = self._settling.table_before(found, file)
        before = parquet.within(table, covered)
        if isinstance(news, list):
            rows = parquet.table_of(_with_columns(parquet.rows_of(before), news))
        else:
            rows = news
        if rows.equals(before) and not subtract(covered, coverage_of(found.coverage)):
            return None
        first = self._first_month(found, files.values())
        if not rows.num_rows and (first is None or str(month) < first):  # proven empty
            self._cover(found, covered)
            return None
        kept = parquet.within(table, missing(covered, *month.interval))
        table = parquet.joined(kept, rows)
        content = parquet.dump(table, self._said(found, month, covered, first))
        file = file or self._new_file(found, month)
        file.next_digest, file.next_coverage = digest_of(content), covered
        file.next_rows, file.next_size = len(table), len(content)
        return Draft(file, content)

    def _new_file(self, found: PairHistory, month: Month) -> HistoryFile:
        path = path_of(self._exchange, _pair_of(found), month)
        return HistoryFile(pair=found, month=str(month), path=path)

    def _first_month(self, found: PairHistory, files: Iterable[HistoryFile]) -> str | None:
        """Return the first month of which there is a file, or will be one of these."""
        known = [file.month for file in files if file.digest or file.next_digest]
        others = found.files.exclude(digest="", next_digest="")
        known += others.values_list("month", flat=True).order_by("month")[:1]
        return min(known, default=None)

    def _said(self, found: PairHistory, month: Month, covered: Coverage, first: str | None) -> dict:
        """Return what a file says of itself: the first one of a pair also what lies before it."""
        start_ms, end_ms = month.interval
        is_first = first is None or str(month) <= first
        known = union([*coverage_of(found.coverage), *covered])
        return {
            "pair": {
                "exchange": self._exchange.name,
                "symbol": found.symbol,
                "timeframe": found.timeframe,
            },
            "coverage": intersect(known, ((0 if is_first else start_ms, end_ms),)),
        }

    def _write_drafts(self, found: PairHistory, drafts: Sequence[Draft]) -> None:
        written: list[HistoryFile] = []
        try:
            for draft in drafts:
                self._may_write()
                if not written:
                    self._manifest.announce([each.file for each in drafts])
                self._place.write(draft.file.path, draft.content)
                self.octets += len(draft.content)
                written.append(draft.file)
        finally:
            if written:
                self._settling.confirm(found, written)

    def _cover(self, found: PairHistory, covered: Coverage) -> None:
        found.coverage = union([*coverage_of(found.coverage), *covered])
        found.save(update_fields=["coverage"])


def _pair_of(found: PairHistory) -> Pair:
    return Pair(found.symbol, Timeframe(found.timeframe))


def _with_columns(before: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
    """Return `rows` in the order of time, with columns where the same row had them before."""
    known = {row[0]: row for row in before if len(row) > SIX}
    ordered = sorted({row[0]: row for row in rows}.values())
    return [
        known[row[0]] if len(row) == SIX and known.get(row[0], [])[:SIX] == row else row
        for row in ordered
    ]
