"""Bulk files of an exchange: got from its host, and believed where their checksum is theirs."""

import hashlib
import re
import threading

from exchanges.errors import BadPayload
from exchanges.rest.download import Downloads
from exchanges.venue import Archive
from history.archives.parse import Rows, parse
from history.archives.unpack import MOST_ZIPPED_BYTES, unpack
from history.months import Month
from livermore.market.coverage import Interval
from livermore.market.timeframe import Timeframe

READ_AT_ONCE = 2  # while it is read a month of minutes takes some 25 MB
CHECKSUM_BYTES = 4096
CHECKSUM = re.compile(rb"([0-9a-fA-F]{64})[ *\t]+(\S+)\s*")


class ArchiveSource:
    """What an exchange publishes in bulk. Threads may share it."""

    def __init__(self, archive: Archive, downloads: Downloads):
        self._archive = archive
        self._downloads = downloads
        self._reading = threading.BoundedSemaphore(READ_AT_ONCE)

    @property
    def octets(self) -> int:
        """Return how many bytes of files have come so far."""
        return self._downloads.octets

    def close(self) -> None:
        """Get nothing more."""
        self._downloads.close()

    def month_path(self, native: str, timeframe: Timeframe, month: Month) -> str:
        """Return the path of a month's file."""
        return self._archive.month(native, timeframe, str(month))

    def day_path(self, native: str, timeframe: Timeframe, day: str) -> str:
        """Return the path of a day's file; `day` is written as `2026-11-29`."""
        return self._archive.day(native, timeframe, day)

    def fetch(self, path: str, timeframe: Timeframe, stretch: Interval) -> Rows | None:
        """Return the candles of a file, None where there is none of that path.

        Raises BadPayload for one that is not to be believed, and as `Downloads.get` does.
        """
        zipped = self._downloads.get(path, MOST_ZIPPED_BYTES)
        if zipped is None:
            return None
        self._check(path, zipped)
        with self._reading:
            content = unpack(zipped)
            del zipped  # each byte of a file counts as often as files are read at once
            return parse(content, self._archive.columns, timeframe, *stretch)

    def _check(self, path: str, zipped: bytes) -> None:
        told = self._downloads.get(path + self._archive.checksum_suffix, CHECKSUM_BYTES)
        if told is None:
            raise BadPayload("it has no checksum")
        found = CHECKSUM.fullmatch(told)
        if found is None:
            raise BadPayload("what should be its checksum is none")
        if found[1].decode().lower() != hashlib.sha256(zipped).hexdigest():
            raise BadPayload("its checksum is another's")
