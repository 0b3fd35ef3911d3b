"""Candles by columns, in an Arrow table; rows are made of it as they are asked for. Pure."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from importlib import import_module
from itertools import pairwise
from typing import Any, overload

from livermore_reader.candles import SIX, TEN, Row
from livermore_reader.errors import Missing


class Columns(Sequence[Row]):
    """Rows of ten columns, or of the first of these, ascending. A slice of them copies nothing."""

    def __init__(self, table: Any):
        """`table` is one of a `schema`, as `checked` returns it."""
        self.table = table

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Columns":
        """Return rows by columns. Raises TypeError, ValueError for what is no candle."""
        arrow, fields = library("pyarrow"), schema()
        values = list(zip(*rows, strict=True)) or [()] * len(TEN)
        arrays = [
            arrow.array(_typed(column, field.name), type=field.type)
            for column, field in zip(values, fields, strict=True)
        ]
        return cls(checked(arrow.Table.from_arrays(arrays, schema=fields)))

    @cached_property
    def times(self) -> Sequence[int]:
        """When they opened; where the table is whole nothing is copied."""
        return _numbers(self.table.column(0).combine_chunks()) if len(self) else ()

    @property
    def first_ms(self) -> int:
        return int(self.table.column(0)[0].value)

    @property
    def last_ms(self) -> int:
        return int(self.table.column(0)[-1].value)

    def between(self, start_ms: int, end_ms: int) -> "Columns":
        """Return those that opened in `[start_ms, end_ms)`."""
        if len(self) and start_ms <= self.first_ms and self.last_ms < end_ms:
            return self
        times = self.times
        return self[bisect_left(times, start_ms) : bisect_left(times, end_ms)]

    def narrowed(self, width: int) -> "Columns":
        """Return the first columns of them alone."""
        return self if self.table.num_columns == width else Columns(self.table.select(TEN[:width]))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> "Columns": ...
    def __getitem__(self, at: "int | slice") -> "Row | Columns":
        if isinstance(at, slice):
            first, last, step = at.indices(len(self))
            if (first, last, step) == (0, len(self), 1):
                return self
            if step != 1:
                return Columns(self.table.take(list(range(first, last, step))))
            return Columns(self.table.slice(first, max(0, last - first)))
        first = range(len(self))[at]  # raises IndexError as a list does
        return next(iter(self[first : first + 1]))

    def __iter__(self) -> Iterator[Row]:
        for batch in self.table.to_batches():
            yield from map(list, zip(*map(_values, batch.columns), strict=True))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Columns):
            return bool(self.table.equals(other.table))
        return isinstance(other, list) and list(self) == other

    __hash__ = None  # type: ignore[assignment]


def united(parts: Iterable[Columns]) -> "Columns | tuple[()]":
    """Return the rows of parts that have none in common, in the order of time."""
    filled = sorted((each for each in parts if len(each)), key=lambda each: each.first_ms)
    if len(filled) < 2:
        return filled[0] if filled else ()
    table = library("pyarrow").concat_tables([each.table for each in filled])
    are_apart = all(before.last_ms < after.first_ms for before, after in pairwise(filled))
    return Columns(table if are_apart else table.sort_by(TEN[0]))


@lru_cache(maxsize=len(TEN))
def schema(width: int = len(TEN)) -> Any:
    """Return what a table of so many columns holds. Raises Missing."""
    arrow = library("pyarrow")
    kinds = {"timestamp": arrow.timestamp("ms", tz="UTC"), "trades": arrow.int64()}
    return arrow.schema(
        [arrow.field(name, kinds.get(name, arrow.float64())) for name in TEN[:width]]
    )


def checked(table: Any) -> Any:
    """Return a table of columns as it is to be. Raises ValueError where it can't be."""
    if any(table.column(name).null_count for name in SIX):
        raise ValueError("a candle lacks a number")
    wanted, told = schema(table.num_columns), table.replace_schema_metadata()
    return told if told.schema.equals(wanted) else told.cast(wanted)


def library(name: str) -> Any:
    """Return a library that is needed for history. Raises Missing."""
    try:
        return import_module(name)
    except ImportError:
        raise Missing(
            "pyarrow is needed to read history: pip install 'livermore-reader[arrow]'"
        ) from None


def _typed(column: Sequence[Any], name: str) -> "list[int | float | None]":
    kind = int if name in ("timestamp", "trades") else float
    return [None if each is None else kind(each) for each in column]


def _values(array: Any) -> Sequence[Any]:
    if array.null_count == len(array):
        return [None] * len(array)
    return array.to_pylist() if array.null_count else _numbers(array).tolist()


def _numbers(array: Any) -> Any:
    """Return the numbers of an array without nulls from where they lie."""
    values: Any = memoryview(array.buffers()[1]).cast("B")
    values = values.cast("d" if str(array.type) == "double" else "q")
    return values[array.offset : array.offset + len(array)]
