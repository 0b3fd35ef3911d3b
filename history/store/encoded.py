"""A month as the content of its file, made before it is known what else lies there. Pure.

It takes most of what writing takes, and so several threads do it at once.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from history import parquet
from history.manifest import digest_of
from history.months import Month
from livermore.market.coverage import Coverage, intersect
from livermore.market.pair import Pair

if TYPE_CHECKING:
    import pyarrow


class Encoded(NamedTuple):
    """A file's content, whose rows are all there are in `covered`; what it `said` is in it."""

    month: Month
    covered: Coverage
    said: dict[str, Any]
    content: bytes
    digest: str
    rows: int


def encode(
    table: "pyarrow.Table", month: Month, covered: Coverage, said: dict[str, Any]
) -> Encoded:
    """Return a file that has the rows of a table, in the order of time, and says `said`."""
    content = parquet.dump(table, said)
    return Encoded(month, covered, said, content, digest_of(content), table.num_rows)


def said_of(
    exchange: str, pair: Pair, month: Month, known: Coverage, *, is_first: bool
) -> dict[str, Any]:
    """Return what a file says of itself where so much is `known` of its pair.

    The first one of a pair says also what lies before it.
    """
    start_ms, end_ms = month.interval
    return {
        "pair": {"exchange": exchange, "symbol": pair.symbol, "timeframe": str(pair.timeframe)},
        "coverage": intersect(known, ((0 if is_first else start_ms, end_ms),)),
    }
