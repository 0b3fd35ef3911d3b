"""What is wrong in the content of a file of history, and what it says of itself. Pure."""

import json
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

from exchanges.errors import BadPayload
from history import parquet
from history.months import Month
from history.verifying.difference import Kind
from livermore.market.coverage import Coverage, Interval, intersect, missing, union
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe

if TYPE_CHECKING:
    import pyarrow


class Said(NamedTuple):
    """What a file says of itself: whose it is, and of which stretches it has all rows."""

    exchange: str
    pair: Pair
    covered: Coverage


def read(content: bytes) -> "tuple[pyarrow.Table, Said | None]":
    """Return the rows of a file and what it says of itself, None where it says nothing.

    The checksums of its pages are looked at. Raises BadPayload where it is no file of ours.
    """
    arrow = parquet.library()
    try:
        table = arrow.parquet.read_table(BytesIO(content), page_checksum_verification=True)
        said = _said((table.schema.metadata or {}).get(parquet.METADATA))
        return table.select(parquet.COLUMNS).cast(parquet.schema()), said
    except (arrow.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise BadPayload(f"no Parquet file of history: {type(error).__name__}") from error


def _said(stored: bytes | None) -> Said | None:
    """Return what stands in a file's metadata. Raises ValueError, KeyError or TypeError."""
    if stored is None:
        return None
    found = json.loads(stored)
    pair = Pair(found["pair"]["symbol"], Timeframe(found["pair"]["timeframe"]))
    covered = tuple((int(start), int(end)) for start, end in found["coverage"])
    if covered != union(covered):
        raise ValueError("no coverage")
    return Said(found["pair"]["exchange"], pair, covered)


def taken_up(
    content: bytes, exchange: str, pair: Pair, month: Month, known: Coverage = ()
) -> "tuple[pyarrow.Table, Coverage]":
    """Return the rows of a file that no manifest knows, and of which stretches they are all.

    `known` is what is known of that from elsewhere. Raises ValueError or BadPayload, with a line,
    where that can't be known, or it is another's.
    """
    table, said = read(content)
    covered = intersect(known or _own(said, exchange, pair), ((0, month.interval[1]),))
    if found := [text for _, text in faults(table, pair.timeframe, month, covered)]:
        raise ValueError(found[0])
    return table, covered


def _own(said: Said | None, exchange: str, pair: Pair) -> Coverage:
    if said is None:
        raise ValueError("it does not say what it covers: fill history again, and delete it then")
    if (said.exchange, said.pair) != (exchange, pair):
        owner = f"{said.pair.symbol} {said.pair.timeframe} of {said.exchange}"
        raise ValueError(f"it says that it is of {owner}, and lies elsewhere")
    return said.covered


def faults(
    table: "pyarrow.Table", timeframe: Timeframe, month: Month, covered: Coverage
) -> Iterator[tuple[Kind, str]]:
    """Yield what is wrong with the rows of a file, where `covered` is what its month covers."""
    if _is_sound(table, timeframe, month, covered):
        return  # it is nearly always; to name what is not takes ten times as long
    times: list[int] = table.column(0).cast(parquet.library().int64()).to_pylist()
    known = [time for time in times if time is not None]
    if any(before >= after for before, after in pairwise(known)):
        yield Kind.ORDER, "rows are not sorted by their time, or there are two of one"
    if off := [time for time in known if time % timeframe.ms]:
        yield Kind.GRID, f"{_rows(off)} off the {timeframe} grid"
    start_ms, end_ms = month.interval
    if outside := [time for time in known if not start_ms <= time < end_ms]:
        yield Kind.MONTH, f"{_rows(outside)} outside of {month}"
    inside = [time for time in known if start_ms <= time < end_ms]
    if uncovered := _not_in(inside, intersect(covered, (month.interval,))):
        yield Kind.UNCOVERED, f"{_rows(uncovered)} in no stretch that the manifest says is covered"
    if bad := sum(map(_is_nonsense, zip(*(c.to_pylist() for c in table.columns), strict=True))):
        yield Kind.VALUES, f"{bad:,} rows without numbers, or with a low above the high"


def _is_sound(
    table: "pyarrow.Table", timeframe: Timeframe, month: Month, covered: Coverage
) -> bool:
    """Tell whether nothing is wrong with the rows of a file, looking at whole columns."""
    compute = parquet.library().compute
    if not table.num_rows:
        return True
    columns = [column.combine_chunks() for column in table.columns[:6]]
    if any(column.null_count for column in columns):
        return False
    times = columns[0].cast(parquet.library().int64())
    length = parquet.library().scalar(timeframe.ms)
    opened, high, low, close, volume = columns[1:]
    in_order = compute.all(compute.less(times[:-1], times[1:])).as_py() is not False
    rules = [
        compute.equal(compute.multiply(compute.divide(times, length), length), times),
        *map(compute.is_finite, columns[1:]),
        compute.less_equal(low, compute.min_element_wise(opened, close)),
        compute.less_equal(compute.max_element_wise(opened, close), high),
        compute.greater_equal(volume, 0.0),
    ]
    if not in_order or not all(compute.all(each).as_py() for each in rules):
        return False
    inside = intersect(covered, (month.interval,))
    return parquet.within(table, inside).num_rows == table.num_rows


def _is_nonsense(row: Sequence) -> bool:
    values = row[1:6]
    if row[0] is None or any(each is None or not isfinite(each) for each in values):
        return True
    opened, high, low, close, volume = values
    return not (low <= min(opened, close) and max(opened, close) <= high and volume >= 0)


def _not_in(times: Sequence[int], covered: Coverage) -> list[int]:
    """Return the times, ascending or not, that lie in no stretch."""
    return [time for time in times if not any(start <= time < end for start, end in covered)]


def _rows(times: Sequence[int]) -> str:
    more = f" and {len(times) - 1:,} more" if len(times) > 1 else ""
    return f"a row at {min(times)}{more}"


def other_coverage(said: Said, covered: Coverage, interval: Interval) -> str:
    """Return how what a file says that it covers of a month differs from `covered`, "" if not."""
    own, told = (intersect(each, (interval,)) for each in (said.covered, covered))
    if own == told:
        return ""
    less = sum(end - start for part in told for start, end in missing(own, *part))
    more = sum(end - start for part in own for start, end in missing(told, *part))
    return f"the manifest covers {less:,} ms that the file does not, and lacks {more:,} ms of its"
