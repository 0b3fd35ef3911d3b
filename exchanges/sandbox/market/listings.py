"""One symbol as a sandbox lists it."""

from dataclasses import dataclass, field

# Whether a symbol trades, in the words of those exchanges that tell most of it.
TRADING = "TRADING"
BREAK = "BREAK"
CANCEL_ONLY = "CANCEL_ONLY"
HALT = "HALT"
GONE = "GONE"  # as scenarios have it: taken off the list, or listed as ended
LISTED_MS = 1_599_955_200_000  # 2020-09-13 00:00 UTC


@dataclass(frozen=True)
class Listing:
    """One symbol, named `BASE-QUOTE`.

    `price` is its middle price as text; its decimals are the tick. `lot` is the size of its
    smallest trade in units of 10^-8. Nothing exists before `listed_ms`, a whole minute. `alias`
    names the symbol whose market this one shows. `protocols` names those that list it, () being
    all. `status` is that of the start, and only told: the history goes on. Raises ValueError for a
    price under 100,000 ticks, as the walk moves in hundred-thousandths.
    """

    symbol: str
    price: str
    lot: int = 1_000_000
    quiet: bool = False
    status: str = TRADING
    listed_ms: int = LISTED_MS
    alias: str = ""
    protocols: tuple[str, ...] = ()
    base: str = field(init=False)
    quote: str = field(init=False)
    decimals: int = field(init=False)
    ticks: int = field(init=False)

    def __post_init__(self):
        base, _, quote = self.symbol.rpartition("-")
        whole, _, part = self.price.partition(".")
        derived = {"base": base, "quote": quote, "decimals": len(part), "ticks": int(whole + part)}
        for name, value in derived.items():
            object.__setattr__(self, name, value)
        if self.ticks < 100_000:
            raise ValueError(f"{self.symbol}: price {self.price} needs more decimals")
        if self.listed_ms % 60_000:
            raise ValueError(f"{self.symbol}: listed_ms {self.listed_ms} is not a whole minute")

    def is_on(self, protocol: str) -> bool:
        """Tell whether a protocol lists it."""
        return not self.protocols or protocol in self.protocols
