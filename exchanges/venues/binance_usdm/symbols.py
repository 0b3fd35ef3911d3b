"""Which of what `GET /fapi/v1/exchangeInfo` lists are perpetuals; it always lists everything."""

from typing import Any

from exchanges.errors import BadPayload, shape_of
from exchanges.symbols.listed import PERPETUAL, ListedSymbol, canonical, read_rows

CONTRACT = "PERPETUAL"  # others are dated, of stocks and metals, or have no first day yet
ENDED = {"SETTLING", "CLOSE", "DELIVERING", "DELIVERED"}  # for good: it lingers in the listing


def read_listing(body: Any) -> list[ListedSymbol]:
    """Return every perpetual of the reply that can be read."""
    rows = body.get("symbols") if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise BadPayload(f"the listing is not in Binance's form: {shape_of(body)}")
    return read_rows(rows, _listed, "Binance", "symbol")


def _listed(row: Any) -> ListedSymbol | None:
    base, quote, status = row["baseAsset"], row["quoteAsset"], row.get("status")
    if row["contractType"] != CONTRACT or row["marginAsset"] != quote:
        return None
    return ListedSymbol(
        symbol=canonical(base, quote, PERPETUAL),
        native_symbol=row["symbol"],
        base=base,
        quote=quote,
        is_trading=status == "TRADING" if isinstance(status, str) else None,
        is_delisted=isinstance(status, str) and status in ENDED,
        kind=PERPETUAL,
    )
