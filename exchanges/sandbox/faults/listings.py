"""Ways to spoil a listing, the same for both protocols."""

from collections.abc import Callable
from zlib import crc32

from exchanges.sandbox.market.listings import BREAK

NAMES = (("baseAsset", "quoteAsset"), ("base_currency_id", "quote_currency_id"))


def spoil_listing(rows: list[dict], way: str, chance: float, symbol: str | None) -> None:
    """Change `rows` in place the way a broken exchange might."""
    BAD_LISTINGS[way](rows, chance, symbol)


def _halted(rows: list[dict], chance: float, symbol: str | None) -> None:
    for row in rows:
        if "product_id" in row:
            row["trading_disabled"] = True
        else:
            row["status"] = BREAK


def _short(rows: list[dict], chance: float, symbol: str | None) -> None:
    """Leave out the same rows each time, by their names alone; a single one stays."""
    kept = [row for row in rows if crc32(_symbol(row).encode()) / 2**32 >= chance]
    rows[:] = kept or rows[:1]


def _bad_row(rows: list[dict], chance: float, symbol: str | None) -> None:
    for row in rows:
        if _symbol(row) == symbol:
            del row["status"]


def _symbol(row: dict) -> str:
    base, quote = NAMES["product_id" in row]
    return f"{row[base]}-{row[quote]}"


BAD_LISTINGS: dict[str, Callable[[list[dict], float, str | None], None]] = {
    "halted": _halted,
    "short": _short,
    "bad_row": _bad_row,
}
