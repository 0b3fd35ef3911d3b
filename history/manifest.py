"""What the database says of an exchange's files in one place, beside what is in them.

Several processes may settle the same file: each step looks at the row as it is when it is written.
"""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote, unquote

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from exchanges.errors import Temporary
from exchanges.models import Exchange
from history.models import HistoryFile, PairHistory
from history.months import Month
from livermore.market.coverage import Coverage, Interval, intersect, subtract, union
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe

EXCHANGE, SYMBOL, TIMEFRAME, ENDING = "exchange=", "symbol=", "timeframe=", ".parquet"

NEXT = ("next_digest", "next_rows", "next_size", "next_coverage")


def coverage_of(stored: Iterable[Sequence[int]]) -> Coverage:
    """Return coverage as rows keep it."""
    return tuple((start, end) for start, end in stored)


def digest_of(content: bytes) -> str:
    """Return the digest that tells a file's content from all others: SHA-256."""
    return hashlib.sha256(content).hexdigest()


def folder_of(exchange: Exchange) -> str:
    """Return below which path an exchange's files lie."""
    return f"{EXCHANGE}{exchange.name}"


def read_path(path: str) -> tuple[Pair, Month]:
    """Return whose file has a path, as the store makes them; ValueError where it makes no such."""
    parts = path.split("/")
    if len(parts) != 4 or not parts[3].endswith(ENDING):
        raise ValueError("no path of history")
    if not (parts[1].startswith(SYMBOL) and parts[2].startswith(TIMEFRAME)):
        raise ValueError("no path of history")
    symbol = unquote(parts[1].removeprefix(SYMBOL))
    timeframe = Timeframe(parts[2].removeprefix(TIMEFRAME))
    return Pair(symbol, timeframe), Month.named(parts[3].removesuffix(ENDING))


def path_of(exchange: Exchange, pair: Pair, month: Month) -> str:
    """Return where a pair's file of a month lies."""
    symbol = quote(pair.symbol, safe="")
    folder = f"{folder_of(exchange)}/{SYMBOL}{symbol}/{TIMEFRAME}{pair.timeframe}"
    return f"{folder}/{month}{ENDING}"


def pair_key(store_id: str, exchange: Exchange, pair: Pair) -> dict[str, Any]:
    """Return by which fields the row of a pair is found, in the place with this id."""
    return {
        "store": store_id,
        "exchange": exchange,
        "symbol": pair.symbol,
        "timeframe": str(pair.timeframe),
    }


class Manifest:
    """What is said of the files of one exchange in the place with this id."""

    def __init__(self, store_id: str, exchange: Exchange):
        self._id = store_id
        self._exchange = exchange

    def files(self) -> list[HistoryFile]:
        """Return all files that are known, in the order of pairs and months."""
        return list(self._rows().filter(pair__store=self._id))

    def files_elsewhere(self) -> list[HistoryFile]:
        """Return the files of the same exchange that are known of other places."""
        return list(self._rows().exclude(pair__store=self._id).exclude(digest=""))

    def coverage(self, pair: Pair) -> Coverage:
        """Return the stretches of which all candles are known."""
        found = PairHistory.objects.filter(**pair_key(self._id, self._exchange, pair)).first()
        return coverage_of(found.coverage) if found else ()

    def announce(self, files: Sequence[HistoryFile]) -> None:
        """Say what is to be written in place of a pair's files, of all or of none, before it is.

        Raises Temporary where somebody else has written one since `files` were read.
        """
        try:
            with transaction.atomic():
                known = [file for file in files if file.pk is not None]
                HistoryFile.objects.bulk_create(file for file in files if file.pk is None)
                for file in known:
                    self._announce(file)
        except IntegrityError as error:
            raise _overtaken(files[0]) from error

    def _announce(self, file: HistoryFile) -> None:
        values = {name: getattr(file, name) for name in NEXT}
        rows = HistoryFile.objects.filter(pk=file.pk, digest=file.digest)
        if not rows.update(**values, changed_at=timezone.now()):
            raise _overtaken(file)

    def confirm(self, files: Sequence[HistoryFile]) -> None:
        """Say that a pair's files are there as announced, and cover what they were to cover.

        Raises Temporary where somebody else has announced or written one since, when the others
        are told.
        """
        overtaken = None
        with transaction.atomic():
            pair = PairHistory.objects.select_for_update().get(pk=files[0].pair_id)
            locked = HistoryFile.objects.select_for_update().in_bulk([file.pk for file in files])
            covered: list[Interval] = []
            ready: list[int] = []
            for file in files:
                row = locked[file.pk]
                if row.next_digest == file.next_digest:
                    covered += coverage_of(row.next_coverage)
                    row.digest, row.rows, row.size = row.next_digest, row.next_rows, row.next_size
                    row.next_digest, row.next_coverage = "", []
                    ready.append(row.pk)
                elif row.digest != file.next_digest or row.next_digest:
                    overtaken = file
                    continue
                for name in ("digest", "rows", "size", *NEXT):
                    setattr(file, name, getattr(row, name))
            HistoryFile.objects.filter(pk__in=ready).update(
                digest=F("next_digest"),
                rows=F("next_rows"),
                size=F("next_size"),
                next_digest="",
                next_coverage=[],
                changed_at=timezone.now(),
            )
            if covered:
                self._cover(pair, covered)
        if overtaken is not None:
            raise _overtaken(overtaken)

    def settle(self, file: HistoryFile, content: bytes) -> bool:
        """Say of a file that was written that it is there, where its writer did not come to it."""
        if not file.next_digest or digest_of(content) != file.next_digest:
            return False
        with suppress(Temporary):  # then somebody is at it
            self.confirm([file])
            return True
        return False

    def forget(self, file: HistoryFile) -> Coverage:
        """Know nothing of a file's month any more; return what was known of it."""
        with transaction.atomic():
            row = self._locked(file)
            lost = intersect(coverage_of(row.pair.coverage), (row.interval,))
            row.pair.coverage = subtract(coverage_of(row.pair.coverage), (row.interval,))
            row.pair.save(update_fields=["coverage"])
            row.digest, row.rows, row.size, row.next_digest = "", 0, 0, ""
            row.next_coverage = []
            row.save()
        return lost

    def uncover(self, pair: Pair, stretches: Coverage) -> None:
        """Know nothing of some stretches any more; their rows stay until they are fetched again."""
        with transaction.atomic():
            rows = PairHistory.objects.select_for_update().filter(
                **pair_key(self._id, self._exchange, pair)
            )
            for found in rows:
                found.coverage = subtract(coverage_of(found.coverage), stretches)
                found.save(update_fields=["coverage"])

    def adopt(self, path: str, content: bytes, rows: int, covered: Coverage) -> None:
        """Know a file that is there, which has all rows of `covered`."""
        pair, month = read_path(path)
        with transaction.atomic():
            found, _ = PairHistory.objects.get_or_create(**pair_key(self._id, self._exchange, pair))
            values = {"path": path, "digest": digest_of(content), "size": len(content)}
            values |= {"rows": rows, "next_digest": "", "next_coverage": []}
            HistoryFile.objects.update_or_create(pair=found, month=str(month), defaults=values)
            self._cover(found, covered)

    def _cover(self, pair: PairHistory, covered: Iterable[Interval]) -> None:
        pair.coverage = union([*coverage_of(pair.coverage), *covered])
        pair.save(update_fields=["coverage"])

    def _rows(self):
        rows = HistoryFile.objects.filter(pair__exchange=self._exchange).select_related("pair")
        return rows.order_by("pair__symbol", "pair__timeframe", "month")

    def _locked(self, file: HistoryFile) -> HistoryFile:
        rows = HistoryFile.objects.select_for_update().select_related("pair")
        return rows.get(pk=file.pk)


def _overtaken(file: HistoryFile) -> Temporary:
    return Temporary(f"another process has written {file.path} meanwhile: run this again")
