"""Rows as Redis keeps them: JSON, of which what is asked for is parsed anew each time.

Parsed they would take four times the memory, and most of what is answered needs the text alone.
"""

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, overload

import orjson

FIRST_NUMBER = re.compile(rb"\[(\d+)")
NUMBER = rb",-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?"
ROW = rb"\[\d+(?:%b){5}(?:%b,\d+(?:%b){2})?\]" % (NUMBER, NUMBER, NUMBER)
ROWS = re.compile(rb"%b(?:,%b)*" % (ROW, ROW))
# The same of rows as nearly all are, without exponents and signs: found out in a third of the time.
PLAIN = rb",(?!0\d)\d++\.\d++"
PLAIN_ROW = rb"\[\d++%b(?:%b,\d++%b)?+\]" % (PLAIN * 5, PLAIN, PLAIN * 2)
PLAIN_ROWS = re.compile(rb"(?:%b,)*+%b" % (PLAIN_ROW, PLAIN_ROW))


class StoredRows(Sequence[list[Any]]):
    """Rows `[timestamp, open, …]`, each a JSON list; reading one that is none raises ValueError."""

    __slots__ = ("starts", "text")

    def __init__(self, members: Sequence[bytes]):
        self.text = b",".join(members)
        # Where each begins in the text; the last is where one more would.
        self.starts = array("I", accumulate((len(each) + 1 for each in members), initial=0))

    @classmethod
    def of(cls, rows: Iterable[Sequence[Any]]) -> "StoredRows":
        """Return rows that come from elsewhere."""
        return cls([orjson.dumps(row) for row in rows])

    def __len__(self) -> int:
        return len(self.starts) - 1

    @overload
    def __getitem__(self, which: int) -> list[Any]: ...

    @overload
    def __getitem__(self, which: slice) -> list[list[Any]]: ...

    def __getitem__(self, which: int | slice) -> list[Any] | list[list[Any]]:
        if isinstance(which, slice):
            first, last, step = which.indices(len(self))
            if step != 1:
                return [self[at] for at in range(first, last, step)]
            return orjson.loads(b"[%b]" % self.json(first, last))
        at = range(len(self))[which]
        return orjson.loads(self.json(at, at + 1))

    def __iter__(self) -> Iterator[list[Any]]:
        return iter(self[:])

    def json(self, first: int, last: int) -> bytes:
        """Return the rows `[first, last)` with commas between them."""
        if first >= last:
            return b""
        return self.text[self.starts[first] : self.starts[last] - 1]

    def texts(self, first: int, last: int) -> list[bytes]:
        """Return each of the rows `[first, last)`."""
        return [
            self.text[start : end - 1] for start, end in pairwise(self.starts[first : last + 1])
        ]

    def are_usual(self, before: "StoredRows | None" = None) -> bool:
        """Tell whether all have the form of a candle's row, as those of `before` have."""
        if not len(self):
            return True
        first = before.text.find(self.json(0, 1)) if before else -1
        known = before.text[first:] + b"," if before and first >= 0 else b""
        if known == self.text + b",":
            return True
        start = len(known) if self.text.startswith(known) else 0
        return any(form.fullmatch(self.text, start) for form in (PLAIN_ROWS, ROWS))

    def times(self) -> "array[int]":
        """Return when each opened. Raises ValueError where one does not say that."""
        found = array("q", map(int, FIRST_NUMBER.findall(self.text)))
        return found if len(found) == len(self) else array("q", [row[0] for row in self])

    def goes_on_with(self, before: "StoredRows", count: int) -> bool:
        """Tell whether it begins with what `before` has behind its first `count` rows."""
        rest = before.json(count, len(before))
        return self.text.startswith(rest) and self.text[len(rest) : len(rest) + 1] in (b"", b",")
