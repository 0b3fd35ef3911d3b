"""Symbols as people type them, and as exchanges write them: letters of either case matter there."""

import difflib
from collections.abc import Iterable

from exchanges.models import Exchange

FEW = 3


def spelled(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return names as they are known, each once: `btc-usd` is BTC-USD, `kpepe-usd` kPEPE-USD.

    One that is known as it stands is that one; of several that differ in their letters' case alone
    none is guessed. What is not known comes back in capitals.
    """
    exact, by_capitals = set(known), dict[str, str | None]()
    for each in exact:
        capitals = each.upper()
        by_capitals[capitals] = None if capitals in by_capitals else each
    found = (
        each if each in exact else by_capitals.get(each.upper()) or each.upper() for each in names
    )
    return list(dict.fromkeys(found))


def similar(name: str, known: Iterable[str]) -> list[str]:
    """Return the few known names that are most like one, whatever the case of its letters."""
    by_capitals = {each.upper(): each for each in known}
    found = difflib.get_close_matches(name.upper(), by_capitals, n=FEW)
    return [by_capitals[each] for each in found]


def symbols_as_listed(exchange: Exchange, names: Iterable[str]) -> list[str]:
    """Return names as the exchange writes its symbols, in the same way."""
    return spelled(names, exchange.symbols.values_list("symbol", flat=True))
