"""Kraken's listing, from `GET /0/public/AssetPairs`.

A pair has four names: `XXBTZUSD`, its key; `XBTUSD`, its `altname`; `XBT/USD`, its `wsname`, which
no interface takes; and `BTC/USD`, which REST and the socket take. The last follows from the third
by two names of coins, and from nothing else: quotes of three and four letters can't be told apart.
"""

from typing import Any

from exchanges.errors import BadPayload, shape_of
from exchanges.symbols.listed import ListedSymbol, canonical, read_rows

NAMES = {"XBT": "BTC", "XDG": "DOGE"}
CURRENCY = "currency"  # of a base that is no share in a token
DARK_POOL = ".d"
TRADING = "online"  # others let orders be cancelled, or rest, and nothing be traded
SHOWN_AS = "wsname"


def read_listing(body: Any) -> list[ListedSymbol]:
    """Return the spot markets of coins that can be read, trading or not."""
    return read_rows(pairs_of(body).values(), _listed, "Kraken", "altname")


def pairs_of(body: Any) -> dict[str, Any]:
    """Return what an answer tells of each pair, by its key. Raises BadPayload."""
    rows = body.get("result") if isinstance(body, dict) else None
    if not isinstance(rows, dict):
        raise BadPayload(f"what is told of pairs is not in Kraken's form: {shape_of(body)}")
    return rows


def native_name(row: Any) -> str:
    """Return the name of a listed pair by which it is asked for; raises for what is no row."""
    return "/".join(_currencies(row))


def _listed(row: Any) -> ListedSymbol | None:
    if row.get("aclass_base", CURRENCY) != CURRENCY or row["altname"].endswith(DARK_POOL):
        return None
    (base, quote), status = _currencies(row), row.get("status")
    return ListedSymbol(
        symbol=canonical(base, quote),
        native_symbol=f"{base}/{quote}",
        base=base,
        quote=quote,
        is_trading=status == TRADING if isinstance(status, str) else None,
    )


def _currencies(row: Any) -> tuple[str, str]:
    base, quote = row[SHOWN_AS].split("/")
    return NAMES.get(base, base), NAMES.get(quote, quote)
