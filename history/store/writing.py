"""Writing months of a pair: the manifest is told before and after, and each file is there whole."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from exchanges.models import Exchange
from history import parquet
from history.manifest import Manifest, coverage_of, path_of
from history.models import HistoryFile, PairHistory
from history.months import Month, months_in
from history.parquet import Row
from history.places.place import Place
from history.store.encoded import Encoded, encode, said_of
from history.store.settling import Settling
from livermore.market.coverage import Coverage, missing, subtract, union
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


Files = dict[str, HistoryFile]  # of a pair, by month
# What is new of a month in some stretches of it.
News = Callable[[Month, Coverage], list[Row] | Encoded]


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
        files: Files = {file.month: file for file in found.files.all()}
        drafts: list[Draft] = []
        for month, part in months_in(covered):
            draft = self._draft(found, files, news(month, part), month, part)
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
        files: Files,
        news: list[Row] | Encoded,
        month: Month,
        covered: Coverage,
    ) -> Draft | None:
        """Return what is to be written of a month, None where that is nothing."""
        file = files.get(str(month)) or self._settling.take_up(found, month)
        if file is None and isinstance(news, Encoded):
            return self._announced(found, None, self._as_said(found, files, news))
        if file is not None:
            files[str(month)] = file
        table = self._settling.table_before(found, file)
        before = parquet.within(table, covered)
        rows = _table_of(news, before)
        if rows.equals(before) and not subtract(covered, coverage_of(found.coverage)):
            return None
        first = _first(files)
        if not rows.num_rows and (first is None or str(month) < first):  # proven empty
            self._cover(found, covered)
            return None
        kept = parquet.within(table, missing(covered, *month.interval))
        said = self._said(found, files, month, covered)
        encoded = encode(parquet.joined(kept, rows), month, covered, said)
        return self._announced(found, file, encoded)

    def _as_said(self, found: PairHistory, files: Files, news: Encoded) -> Encoded:
        """Return a month as the only rows of its file, made again where it has to say more."""
        said = self._said(found, files, news.month, news.covered)
        if said == news.said:
            return news
        return encode(parquet.load(news.content), news.month, news.covered, said)

    def _said(
        self, found: PairHistory, files: Files, month: Month, covered: Coverage
    ) -> dict[str, Any]:
        first = _first(files)
        known = union([*coverage_of(found.coverage), *covered])
        is_first = first is None or str(month) <= first
        return said_of(self._exchange.name, _pair_of(found), month, known, is_first=is_first)

    def _announced(self, found: PairHistory, file: HistoryFile | None, encoded: Encoded) -> Draft:
        """Return a month with its row, which says what is to be written."""
        if file is None:
            path = path_of(self._exchange, _pair_of(found), encoded.month)
            file = HistoryFile(pair=found, month=str(encoded.month), path=path)
        file.next_digest, file.next_coverage = encoded.digest, encoded.covered
        file.next_rows, file.next_size = encoded.rows, len(encoded.content)
        return Draft(file, encoded.content)

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


def _first(files: Files) -> str | None:
    """Return the first month of which there is a file, or will be one."""
    known = (month for month, file in files.items() if file.digest or file.next_digest)
    return min(known, default=None)


def _table_of(news: list[Row] | Encoded, before: "pyarrow.Table") -> "pyarrow.Table":
    """Return what is new as a table; columns that rows lack may be known already."""
    if isinstance(news, Encoded):
        return parquet.load(news.content)
    return parquet.table_of(_with_columns(parquet.rows_of(before), news))


def _with_columns(before: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
    """Return `rows` in the order of time, with columns where the same row had them before."""
    known = {row[0]: row for row in before if len(row) > SIX}
    ordered = sorted({row[0]: row for row in rows}.values())
    return [
        known[row[0]] if len(row) == SIX and known.get(row[0], [])[:SIX] == row else row
        for row in ordered
    ]
