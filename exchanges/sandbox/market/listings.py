"""What the sandbox trades."""

from dataclasses import dataclass, field

TRADING = "TRADING"
BREAK = "BREAK"
CANCEL_ONLY = "CANCEL_ONLY"
HALT = "HALT"
GONE = "GONE"  # as scenarios have it: not in Binance's listing, delisted in Coinbase's
BINANCE = "binance"
COINBASE = "coinbase"
BOTH = (BINANCE, COINBASE)
LISTED_MS = 1_599_955_200_000  # 2020-09-13 00:00 UTC


@dataclass(frozen=True)
class Listing:
    """One symbol, named `BASE-QUOTE`.

    `price` is its middle price as text; its decimals are the tick. `lot` is the size of its
    smallest trade in units of 10^-8. Nothing exists before `listed_ms`, a whole minute. `alias`
    names the symbol whose market this one shows. `status` is that of the start, and only told: the
    history goes on. Raises ValueError for a price under 100,000 ticks, as the walk moves in
    hundred-thousandths.
    """

    symbol: str
    price: str
    lot: int = 1_000_000
    quiet: bool = False
    status: str = TRADING
    listed_ms: int = LISTED_MS
    alias: str = ""
    protocols: tuple[str, ...] = BOTH
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

    @property
    def native(self) -> str:
        """The name on Binance; on Coinbase the symbol itself is native."""
        return self.base + self.quote


DEFAULT = (
    Listing("BTC-USD", "67012.37", lot=20_000),
    Listing("ETH-USD", "3471.93", lot=400_000),
    Listing("SOL-USD", "158.4310", lot=8_000_000),
    Listing("BTC-USDT", "67055.19", lot=50_000),
    Listing("XRP-USD", "0.573110", lot=1_000_000_000),
    Listing("DOGE-USD", "0.163170", lot=3_000_000_000),
    Listing("ADA-USD", "0.451330", lot=2_000_000_000),
    Listing("LTC-USD", "84.3700", lot=10_000_000),
    Listing("LINK-USD", "17.1300", lot=40_000_000),
    Listing("AVAX-USD", "36.4100", lot=30_000_000),
    Listing("BNB-USD", "593.170", lot=2_000_000),
    Listing("ETH-USDT", "3473.41", lot=500_000),
    Listing("DOT-USD", "7.19300", lot=90_000_000),
    Listing("UNI-USD", "9.31700", lot=70_000_000),
    Listing("1INCH-USD", "0.417900", lot=900_000_000),
    Listing("AERO-USD", "1.037900", lot=400_000_000, quiet=True),
    Listing("DASH-USD", "31.2900", lot=9_000_000, quiet=True),
    Listing("币安人生-USDT", "0.213700", lot=2_000_000_000, protocols=(BINANCE,)),
    Listing("BTC-USDC", "67012.37", alias="BTC-USD", protocols=(COINBASE,)),
    Listing("LUNA-USD", "1.900300", status=BREAK),
    Listing("EOS-USD", "0.830100", quiet=True, status=BREAK),
    Listing("MATIC-USD", "0.713300", status=CANCEL_ONLY),
)
# Prices that many programs write as 4.1e-07.
CHEAP = Listing("PEPE-USD", "0.000000410000", lot=10**14)


def listings(trading: int | None = None) -> tuple[Listing, ...]:
    """Return the default listings, with exactly `trading` symbols that trade on each exchange.

    Cutting keeps the first ones and everything that doesn't trade; growing adds `S001-USD` and on.
    Raises ValueError below 1.
    """
    if trading is None:
        return DEFAULT
    if trading < 1:
        raise ValueError(f"{trading} symbols make no market; take 1 or more")
    idle = tuple(listing for listing in DEFAULT if listing.status != TRADING)
    shared = [one for one in DEFAULT if one.status == TRADING and one.protocols == BOTH]
    if trading <= len(shared):
        return (*shared[:trading], *idle)
    extra = trading - len(shared) - 1  # 币安人生 on Binance and BTC-USDC on Coinbase make one more
    return (*DEFAULT, *(_generated(number) for number in range(1, extra + 1)))


def _generated(number: int) -> Listing:
    return Listing(f"S{number:03d}-USD", f"{10 + number * 37 % 900}.{number * 7919 % 10_000:04d}")
