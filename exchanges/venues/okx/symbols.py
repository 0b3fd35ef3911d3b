"""OKX's listing, from the rows of `GET /api/v5/public/instruments`."""

from typing import Any

from exchanges.errors import BadPayload, shape_of
from exchanges.symbols.listed import PERPETUAL, SPOT, ListedSymbol, canonical, read_rows

SWAP = "-SWAP"  # how the names of perpetual swaps end
KINDS = {"SPOT": SPOT, "SWAP": PERPETUAL}  # dated contracts and options are none of ours
NORMAL, CRYPTO, LINEAR, LIVE = "normal", "1", "linear", "live"


def is_swap(native: str) -> bool:
    return native.endswith(SWAP)


def rows_of(body: Any) -> list[Any]:
    """Return what an answer holds; BadPayload where it is none of OKX's."""
    rows = body.get("data") if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise BadPayload(f"the answer is not in OKX's form: {shape_of(body)}")
    return rows


def read_listing(rows: list[Any]) -> list[ListedSymbol]:
    """Return the spot markets and linear swaps that can be read, tradable or not."""
    return read_rows(rows, _listed, "OKX", "instId")


def _listed(row: Any) -> ListedSymbol | None:
    """Return what a row lists; None for inverse, dated and pre-market contracts, and stocks."""
    kind = KINDS.get(row["instType"])
    is_usual = row.get("ruleType", NORMAL) == NORMAL
    is_crypto = row.get("instCategory", CRYPTO) in (CRYPTO, "")
    if kind is None or not is_usual or not is_crypto:
        return None
    base, quote = row["baseCcy"], row["quoteCcy"]
    if kind == PERPETUAL:  # its currencies are empty, and stand in the family
        if row["ctType"] != LINEAR:
            return None
        base, quote = row["instFamily"].split("-")
        if row["settleCcy"] != quote:
            return None
    state = row.get("state")
    return ListedSymbol(
        symbol=canonical(base, quote, kind),
        native_symbol=row["instId"],
        base=base,
        quote=quote,
        is_trading=state == LIVE if isinstance(state, str) else None,
        kind=kind,
    )
