"""One symbol as a sandbox lists it, and the perpetual that goes with it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

# Whether a symbol trades, in the words of those exchanges that tell most of it.
TRADING = "TRADING"
BREAK = "BREAK"
CANCEL_ONLY = "CANCEL_ONLY"
HALT = "HALT"
GONE = "GONE"  # as scenarios have it: taken off the list, or listed as ended
SPOT, PERPETUAL = "spot", "perpetual"
PERP = "-PERP"  # how the names of perpetuals end
LISTED_MS = 1_599_955_200_000  # 2020-09-13 00:00 UTC


@dataclass(frozen=True)
class Listing:
    """One symbol, named `BASE-QUOTE`, or `BASE-QUOTE-PERP` where it is a perpetual.

    `price` is its middle price as text; its decimals are the tick. `lot` is the size of its
    smallest trade in units of 10^-8. Nothing exists before `listed_ms`, a whole minute. `alias`
    names the symbol whose market this one shows, `walks_as` one whose prices it has in a market of
    its own. `protocols` names those that list it, () being all. `status` is that of the start, and
    only told: the history goes on. Raises ValueError for a price under 100,000 ticks, as the walk
    moves in hundred-thousandths.
    """

    symbol: str
    price: str
    lot: int = 1_000_000
    quiet: bool = False
    status: str = TRADING
    listed_ms: int = LISTED_MS
    alias: str = ""
    protocols: tuple[str, ...] = ()
    walks_as: str = ""
    kind: str = field(init=False)
    base: str = field(init=False)
    quote: str = field(init=False)
    decimals: int = field(init=False)
    ticks: int = field(init=False)

    def __post_init__(self):
        market = self.symbol.removesuffix(PERP)
        kind = PERPETUAL if market != self.symbol and "-" in market else SPOT
        base, _, quote = (market if kind == PERPETUAL else self.symbol).rpartition("-")
        whole, _, part = self.price.partition(".")
        names = {"kind": kind, "base": base, "quote": quote}
        derived = names | {"decimals": len(part), "ticks": int(whole + part)}
        for name, value in derived.items():
            object.__setattr__(self, name, value)
        if self.ticks < 100_000:
            raise ValueError(f"{self.symbol}: price {self.price} needs more decimals")
        if self.listed_ms % 60_000:
            raise ValueError(f"{self.symbol}: listed_ms {self.listed_ms} is not a whole minute")

    def is_on(self, protocol: str, kind: str = SPOT) -> bool:
        """Tell whether a protocol lists it among its markets of a kind."""
        return kind == self.kind and (not self.protocols or protocol in self.protocols)


def perpetuals(listings: Iterable[Listing]) -> list[Listing]:
    """Return a perpetual for each spot listing that all protocols have, at the prices of it.

    It is quoted in USDT, or in USDC where that of USDT is another listing's.
    """
    known = {one.symbol: one for one in listings}
    found: dict[str, Listing] = {}
    for one in known.values():
        if one.kind == SPOT and not one.alias and not one.protocols:
            quote = "USDC" if one.quote != "USDT" and f"{one.base}-USDT" in known else "USDT"
            name = f"{one.base}-{quote}{PERP}"
            found.setdefault(name, replace(one, symbol=name, walks_as=one.symbol))
    return [one for name, one in found.items() if name not in known]
