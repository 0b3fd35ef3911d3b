"""Which exchanges a Redis has, and which symbols of each, as Livermore tells it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from livermore_reader.asking import names_of, spelled
from livermore_reader.errors import BadRequest
from livermore_reader.sources.redis.client import Client
from livermore_reader.sources.redis.names import Names

SHOWN = 3  # similar names


@dataclass(frozen=True)
class KnownExchange:
    """An exchange. A bar that it told without a row `lag_ms` after its end had no trade."""

    number: int
    name: str
    display_name: str
    venue: str
    lag_ms: int
    symbols: tuple[str, ...]  # whose candles are kept, in alphabetical order
    kinds: tuple[str, ...]  # of all markets that it lists; none where nobody tells
    depth_rows: int | None  # of how many of its newest bars it tells, None for all

    @cached_property
    def names(self) -> Mapping[str, str]:
        """All that symbols may be called, as `names_of` returns it: most are never asked for."""
        return names_of(self.symbols, self.kinds)

    def canonical(self, symbol: str) -> str | None:
        """Return a symbol's own name, None where no candles of it are kept."""
        return spelled(symbol, self.names)

    def unknown(self, symbol: str) -> BadRequest:
        """Return what to raise about a symbol of which there is nothing."""
        close = get_close_matches(symbol.upper(), self.names, 2 * SHOWN)
        similar = list(dict.fromkeys(self.names[each] for each in close))[:SHOWN]
        hint = f"similar are {', '.join(similar)}" if similar else f"{len(self.symbols)} are kept"
        return BadRequest(f"{self.name} keeps no candles of {symbol[:50]!r}; {hint}")


def read_exchanges(client: Client, names: Names) -> Mapping[str, KnownExchange]:
    """Return all exchanges by name. Raises RedisError."""
    stored = client.hgetall(names.exchanges())
    found = (_read(name.decode("utf-8", "replace"), text) for name, text in stored.items())
    return {each.name: each for each in found if each}


def _read(name: str, text: bytes) -> KnownExchange | None:
    try:
        told: Any = json.loads(text)
        symbols = tuple(sorted(map(str, told.get("symbols", ()))))
        number, lag_ms = int(told["id"]), int(told["lagMs"])
        display_name, venue = str(told["displayName"]) or name, str(told["venue"])
        kinds = tuple(map(str, told.get("kinds", ())))
        depth_rows = None if told.get("depthRows") is None else int(told["depthRows"])
        return KnownExchange(number, name, display_name, venue, lag_ms, symbols, kinds, depth_rows)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
