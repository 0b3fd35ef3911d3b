"""What there is of a month before it is written: what was announced, what nobody knows, damage."""

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from django.db import transaction

from exchanges.errors import BadPayload
from exchanges.models import Exchange
from history import parquet
from history.manifest import Manifest, coverage_of, digest_of, path_of
from history.models import HistoryFile, PairHistory
from history.months import Month
from history.places.place import Place, set_aside
from history.verifying import contents
from livermore.market.coverage import subtract
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe

if TYPE_CHECKING:
    import pyarrow

logger = logging.getLogger(__name__)


class Settling:
    """Brings manifest and files of an exchange together where a writer ended between the two.

    `may_write` is called before anything is changed, and raises where it is another's turn.
    """

    def __init__(
        self,
        place: Place,
        exchange: Exchange,
        manifest: Manifest,
        may_write: Callable[[], None],
    ):
        self._place = place
        self._exchange = exchange
        self._manifest = manifest
        self._may_write = may_write

    def table_before(self, found: PairHistory, file: HistoryFile | None) -> "pyarrow.Table":
        """Return what a file holds; what is not what was written is put aside, and forgotten."""
        if file is None:
            return parquet.table_of([])
        content = self._place.read(file.path)
        digest = digest_of(content) if content is not None else ""
        if file.next_digest and digest == file.next_digest:
            self.confirm(found, [file])
        elif file.next_digest:
            file.next_digest, file.next_coverage = "", []
            file.save()
        if digest != file.digest:
            self._put_aside(found, file)
            return parquet.table_of([])
        return parquet.load(content) if content is not None else parquet.table_of([])

    def take_up(self, found: PairHistory, month: Month) -> HistoryFile | None:
        """Know a file from now on that the manifest has lost, as where a backup was put back.

        One of which can't be known what it covers is put aside.
        """
        pair = Pair(found.symbol, Timeframe(found.timeframe))
        path = path_of(self._exchange, pair, month)
        content = self._place.read(path)
        if content is None:
            return None
        self._may_write()
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

    def confirm(self, found: PairHistory, files: Sequence[HistoryFile]) -> None:
        """Say that files are there as they were to be written."""
        self._manifest.confirm(files)
        found.refresh_from_db(fields=["coverage"])

    def _put_aside(self, found: PairHistory, file: HistoryFile) -> None:
        self._may_write()
        logger.warning("history.damaged path=%s", file.path)
        set_aside(self._place, file.path)
        with transaction.atomic():
            found.coverage = subtract(coverage_of(found.coverage), (file.interval,))
            found.save(update_fields=["coverage"])
            file.digest, file.rows, file.size = "", 0, 0
            file.save()
