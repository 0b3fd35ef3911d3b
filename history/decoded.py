"""Files that were read lately, as tables in memory: no more than so many bytes of them."""

import threading
from collections import OrderedDict
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow


TABLE_BYTES = 12_000  # of a table, beside its numbers


def size_of(table: "pyarrow.Table") -> int:
    """Return how many bytes of memory a table takes."""
    return table.nbytes + TABLE_BYTES


class Decoded:
    """Tables by the path of their file, each with the digest of what it was read from.

    Those that were asked for last stay. Any thread may ask.
    """

    def __init__(self, most_bytes: int):
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, tuple[str, pyarrow.Table]] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0

    def get(self, path: str, digests: Collection[str]) -> "pyarrow.Table | None":
        """Return the table of a file whose content has one of these digests."""
        with self._lock:
            digest, table = self._kept.get(path, ("", None))
            if table is None or digest not in digests:
                return None
            self._kept.move_to_end(path)
            return table

    def put(self, path: str, digest: str, table: "pyarrow.Table") -> None:
        """Keep a table in place of what was read of that file before."""
        with self._lock:
            self._drop(path)
            self._kept[path] = digest, table
            self.bytes += size_of(table)
            while self.bytes > self._most_bytes:
                self._drop(next(iter(self._kept)))

    def _drop(self, path: str) -> None:
        if path in self._kept:
            self.bytes -= size_of(self._kept.pop(path)[1])
