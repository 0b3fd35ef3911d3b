"""Ways to spoil a listing, the same for every protocol."""

from collections.abc import Callable, Mapping
from typing import NamedTuple
from zlib import crc32

from exchanges.sandbox.faults.rows import found_at, value_at


class ListingRows(NamedTuple):
    """Where a protocol's listing keeps what it tells.

    `table` is the path to the list of rows, or to the object that has them by names; `base` and
    `quote` name a row's two currencies. `halted` is what a row says of a symbol that doesn't trade,
    `status` where it says whether it does. `ending` tells how the symbol of a row ends that is not
    spot.
    """

    table: str
    base: str
    quote: str
    halted: Mapping[str, object]
    ending: Callable[[dict], str] = lambda row: ""
    status: str = "status"

    def symbol(self, row: dict) -> str:
        return f"{row[self.base]}-{row[self.quote]}{self.ending(row)}"


def spoil_listing(
    content: dict, form: ListingRows, way: str, chance: float, symbol: str | None
) -> None:
    """Change a reply in place the way a broken exchange might."""
    by_name = value_at(form.table, content)
    if not isinstance(by_name, dict):
        BAD_LISTINGS[way](found_at(form.table, content), form, chance, symbol)
        return
    rows = list(by_name.values())
    BAD_LISTINGS[way](rows, form, chance, symbol)
    left = set(map(id, rows))
    for name in [name for name, row in by_name.items() if id(row) not in left]:
        del by_name[name]


def _halted(rows: list[dict], form: ListingRows, chance: float, symbol: str | None) -> None:
    for row in rows:
        row |= form.halted


def _short(rows: list[dict], form: ListingRows, chance: float, symbol: str | None) -> None:
    """Leave out the same rows each time, by their names alone; a single one stays."""
    kept = [row for row in rows if crc32(form.symbol(row).encode()) / 2**32 >= chance]
    rows[:] = kept or rows[:1]


def _bad_row(rows: list[dict], form: ListingRows, chance: float, symbol: str | None) -> None:
    for row in rows:
        if form.symbol(row) == symbol:
            del row[form.status]


BAD_LISTINGS: dict[str, Callable[[list[dict], ListingRows, float, str | None], None]] = {
    "halted": _halted,
    "short": _short,
    "bad_row": _bad_row,
}
