"""Rows as a protocol writes them, made once: what closes is written behind those that are there."""

from array import array
from collections.abc import Callable
from itertools import accumulate

Write = Callable[[int, int], list[bytes]]


class Rendered:
    """Some rows of a window next to each other, from its row `first` on. It does not change."""

    __slots__ = ("first", "starts", "text")

    def __init__(self, first: int, starts: "array[int]", text: bytes):
        """`starts` are where each begins in `text`, the last where one more would."""
        self.first, self.starts, self.text = first, starts, text

    @classmethod
    def of(cls, first: int, rows: list[bytes]) -> "Rendered":
        starts = array("I", accumulate((len(each) + 1 for each in rows), initial=0))
        return cls(first, starts, b",".join([*rows, b""]))

    @property
    def last(self) -> int:
        return self.first + len(self.starts) - 1

    def covering(self, first: int, last: int, write: Write) -> "Rendered":
        """Return one that has the rows `[first, last)` too; `write` writes those of a stretch."""
        head = write(first, self.first) if first < self.first else []
        tail = write(self.last, last) if last > self.last else []
        if not head and not tail:
            return self
        begin = self.starts[0]
        before, behind = Rendered.of(first, head), Rendered.of(self.last, tail)
        shift = before.starts[-1] - begin
        own = [each + shift for each in self.starts[:-1]]
        end = self.starts[-1] + shift
        starts = array("I", [*before.starts[:-1], *own, *(each + end for each in behind.starts)])
        text = b"".join((before.text, self.text[begin:], behind.text))
        return Rendered(self.first - len(head), starts, text)

    def behind(self, count: int) -> "Rendered | None":
        """Return those that are left in a window without its first `count` rows, None for none."""
        first = self.first - count
        if first >= 0:
            return Rendered(first, self.starts, self.text)
        left = self.starts[-first:]
        return Rendered(0, left, self.text) if len(left) > 1 else None

    def between(self, first: int, last: int) -> memoryview:
        """Return the rows `[first, last)`, which it has, with commas between them."""
        if first >= last:
            return memoryview(b"")
        start, end = self.starts[first - self.first], self.starts[last - self.first] - 1
        return memoryview(self.text)[start:end]
