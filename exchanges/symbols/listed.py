"""What an exchange lists: a market of it, and how the rows of its answer are read.

A row that can't be read costs that row alone.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from exchanges.errors import BadPayload, clip, shape_of

logger = logging.getLogger(__name__)

FEW_NAMED, NAME_SHOWN = 5, 40
NAME_KEPT = 1000  # of a name that is none: longer than any that is stored
SPOT, PERPETUAL = "spot", "perpetual"  # kinds of markets
KINDS = (SPOT, PERPETUAL)
SUFFIXES = {SPOT: "", PERPETUAL: "-PERP"}  # of a canonical name, by kind
UNREADABLE = (LookupError, TypeError, AttributeError, ValueError)


@dataclass(frozen=True, slots=True)
class ListedSymbol:
    """One market as the exchange lists it; `symbol` is canonical, as `canonical` makes it.

    `is_trading` None: the listing doesn't say. `is_delisted`: it is only remembered there.
    `alias` is the native name of the symbol whose market this one shows, "" where it has its own.
    `kind` is one of KINDS. A native name may stand for a market of each kind.
    """

    symbol: str
    native_symbol: str
    base: str
    quote: str
    is_trading: bool | None
    is_delisted: bool = False
    alias: str = ""
    kind: str = SPOT


class Listing(list[ListedSymbol]):
    """What could be read of a listing; `refused` are the native names of the other rows.

    The name is "" where not even that could be read.
    """

    def __init__(self, items: Iterable[ListedSymbol] = (), refused: Iterable[str] = ()):
        super().__init__(items)
        self.refused = tuple(refused)


def read_rows(
    rows: Iterable[Any], read: Callable[[Any], ListedSymbol | None], venue: str, name: str
) -> Listing:
    """Return what `read` makes of each row, without those of which it makes None.

    A row that can't be read is left out; one line counts and names them by their field `name`.
    Raises BadPayload where none can be.
    """
    found: list[ListedSymbol | None] = []
    refused: list[tuple[Any, Exception]] = []
    for row in rows:
        try:
            found.append(read(row))
        except UNREADABLE as error:
            refused.append((row, error))
    names = [_text_in(row, name) for row, _ in refused]
    if refused:
        row, fault = refused[0]
        if not found:
            raise BadPayload(f"the listing is not in {venue}'s form: {shape_of(row)}") from fault
        logger.warning(
            "listing.rows_unreadable venue=%s count=%d first=%s names=%s",
            *(venue, len(refused), shape_of(row), named_few(names)),
        )
    return Listing((item for item in found if item is not None), names)


def canonical(base: Any, quote: Any, kind: str = SPOT) -> str:
    """Return the canonical symbol of a market: `BASE-QUOTE`, of a perpetual `BASE-QUOTE-PERP`.

    Letters stay as the exchange writes them. Of names that can be none no more is told than shows
    it.
    """
    names = base, quote
    pair = "-".join(x[:NAME_KEPT] if isinstance(x, str) else shape_of(x) for x in names)
    return pair + SUFFIXES[kind]


def kind_of(symbol: str) -> str:
    """Return the kind of the market that a canonical symbol names."""
    is_perpetual = symbol.count("-") > 1 and symbol.endswith(SUFFIXES[PERPETUAL])
    return PERPETUAL if is_perpetual else SPOT


def _text_in(row: Any, name: str) -> str:
    text = row.get(name) if isinstance(row, dict) else None
    return text[:NAME_KEPT] if isinstance(text, str) else ""


def named_few(names: Iterable[Any]) -> str:
    """Return the first few of some names that somebody else wrote, fit for a line of a log."""
    few = list(islice(names, FEW_NAMED + 1))
    told = [clip(each, NAME_SHOWN) if isinstance(each, str) and each else "?" for each in few]
    return ",".join(told[:FEW_NAMED]) + (",…" if len(few) > FEW_NAMED else "")
