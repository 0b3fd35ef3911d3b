"""The symbols that a sandbox trades, where it is not told others."""

from exchanges.sandbox.market.listings import BREAK, CANCEL_ONLY, Listing
from exchanges.sandbox.protocols import PROTOCOLS

_TRADED = (
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
)
_IDLE = (
    Listing("LUNA-USD", "1.900300", status=BREAK),
    Listing("EOS-USD", "0.830100", quiet=True, status=BREAK),
    Listing("MATIC-USD", "0.713300", status=CANCEL_ONLY),
)
_OWN = tuple(listing for protocol in PROTOCOLS for listing in protocol.own_listings)
DEFAULT = (*_TRADED, *_OWN, *_IDLE)
# Prices that many programs write as 4.1e-07.
CHEAP = Listing("PEPE-USD", "0.000000410000", lot=10**14)


def listings(trading: int | None = None) -> tuple[Listing, ...]:
    """Return the default listings, with exactly `trading` symbols that trade on each exchange.

    Cutting keeps the first ones and everything that doesn't trade; growing adds `S001-USD` and on,
    and takes each exchange to have one symbol of its own. Raises ValueError below 1.
    """
    if trading is None:
        return DEFAULT
    if trading < 1:
        raise ValueError(f"{trading} symbols make no market; take 1 or more")
    if trading <= len(_TRADED):
        return (*_TRADED[:trading], *_IDLE)
    extra = trading - len(_TRADED) - 1  # each has one of its own
    return (*DEFAULT, *(_generated(number) for number in range(1, extra + 1)))


def _generated(number: int) -> Listing:
    return Listing(f"S{number:03d}-USD", f"{10 + number * 37 % 900}.{number * 7919 % 10_000:04d}")
