"""What files hold of a pair, as far as they are what was written."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from history import parquet
from history.decoded import Decoded
from history.manifest import coverage_of, digest_of
from history.models import HistoryFile, PairHistory
from history.months import months_in
from history.parquet import Row
from history.places.place import Place
from history.store.pairs import files_of
from livermore.market.coverage import Coverage, Interval, intersect, union

if TYPE_CHECKING:
    import pyarrow


class Stretch(NamedTuple):
    """What history has of a pair in some time: rows, oldest first, and of which of it they are all.

    A row has six numbers, or ten (`Candle.row`).
    """

    rows: list[Row]
    covered: Coverage

    @classmethod
    def of(cls, parts: "Iterator[Part]") -> "Stretch":
        rows: list[Row] = []
        covered: list[Interval] = []
        for part in parts:
            rows += parquet.rows_of(part.table)
            covered += part.covered
        return cls(rows, union(covered))


class Part(NamedTuple):
    """What history has of a pair in one month, or in some of it: a table, and what it is all of."""

    table: "pyarrow.Table"
    covered: Coverage


class Files:
    """The files of a place. Those that were read are kept in `decoded` while they are the same."""

    def __init__(self, place: Place, decoded: Decoded):
        self._place = place
        self._decoded = decoded

    def parts(self, found: PairHistory | None, start_ms: int, end_ms: int) -> Iterator[Part]:
        """Yield what is known of a pair in `[start_ms, end_ms)`, by month, oldest first.

        What lies in a file that is not what was written is not known.
        """
        if found is None:
            return
        known = intersect(coverage_of(found.coverage), ((start_ms, end_ms),))
        files = files_of(found, known)
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
