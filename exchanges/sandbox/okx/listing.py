"""What OKX lists, under which names, and what it tells of each instrument."""

from exchanges.sandbox.faults.listings import ListingRows
from exchanges.sandbox.market.bars import VOLUME_DECIMALS
from exchanges.sandbox.market.decimals import short
from exchanges.sandbox.market.listings import (
    BREAK,
    CANCEL_ONLY,
    GONE,
    HALT,
    PERPETUAL,
    SPOT,
    TRADING,
    Listing,
)
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.okx.errors import bad_parameter, data
from exchanges.sandbox.okx.settings import NAME
from exchanges.sandbox.server.calls import Call, Reply

TYPES = {"SPOT": SPOT, "SWAP": PERPETUAL}
FUTURES = "FUTURES"
_STATES = {TRADING: "live", BREAK: "suspend", HALT: "suspend", CANCEL_ONLY: "post_only"}
_OTHER_STATE = "test"
# The price from which on a contract is so many decimal places smaller than the coin.
_PLACES = ((10_000, 2), (1_000, 1), (10, 0))
_FEWEST_PLACES = -1  # ten coins


class InstrumentRows(ListingRows):
    """Where swaps name their currencies: nowhere but in the family."""

    def symbol(self, row: dict) -> str:
        return f"{row['instFamily']}-PERP" if row["instFamily"] else super().symbol(row)


ROWS = InstrumentRows("data", "baseCcy", "quoteCcy", halted={"state": "suspend"}, status="state")


def native_name(listing: Listing) -> str:
    name = f"{listing.base}-{listing.quote}"
    return f"{name}-SWAP" if listing.kind == PERPETUAL else name


def type_of(listing: Listing) -> str:
    return "SWAP" if listing.kind == PERPETUAL else "SPOT"


def contract_places(listing: Listing) -> int:
    """Return by how many decimal places a contract is smaller than a coin."""
    price = listing.ticks / 10**listing.decimals
    return next((places for least, places in _PLACES if price >= least), _FEWEST_PLACES)


def contracts(listing: Listing, volume: int) -> str:
    """Write a volume of the base as a number of contracts."""
    return short(volume, VOLUME_DECIMALS - contract_places(listing))


class Instruments:
    """The market's symbols by OKX's names; it looks for new ones each time."""

    def __init__(self, market: Market):
        self._market = market
        self._names: dict[str, Listing] = {}
        self._seen = 0  # how many of the market's listings were looked at

    def find(self, native: str) -> Listing | None:
        """Return the instrument of that name, None where a scenario took it away."""
        listing = self._known().get(native)
        return listing if listing and self._market.status(listing.symbol) != GONE else None

    def of_type(self, kind: str) -> list[Listing]:
        """Return those of an `instType`. Raises Refusal for one that is none."""
        if kind == FUTURES:
            return []
        if kind not in TYPES:
            raise bad_parameter("instType")
        known = list(self._known())
        return [one for name in known if (one := self.find(name)) and one.kind == TYPES[kind]]

    def many(self, call: Call) -> Reply:
        kind, wanted = call.params.get("instType", ""), call.params.get("instId")
        rows = [_row(one, self._market.status(one.symbol)) for one in self.of_type(kind)]
        rows += _ODD.get(kind, [])
        return data([row for row in rows if wanted in (None, row["instId"])])

    def _known(self) -> dict[str, Listing]:
        if len(self._market.listings) > self._seen:
            listings = list(self._market.listings.values())
            new = [
                one
                for one in listings[self._seen :]
                if one.is_on(NAME) or one.is_on(NAME, PERPETUAL)
            ]
            self._names |= {native_name(one): one for one in new}
            self._seen = len(listings)
        return self._names


def _row(listing: Listing, status: str) -> dict:
    row = {
        "instId": native_name(listing),
        "instType": type_of(listing),
        "state": _STATES.get(status, _OTHER_STATE),
        "ruleType": "normal",
        "instCategory": "1",
        "baseCcy": "",
        "quoteCcy": "",
        "settleCcy": "",
        "instFamily": "",
        "uly": "",
        "ctType": "",
        "ctVal": "",
        "ctMult": "",
        "ctValCcy": "",
        "listTime": str(listing.listed_ms),
        "expTime": "",
        "tickSz": short(1, listing.decimals),
        "lotSz": short(listing.lot, VOLUME_DECIMALS),
        "minSz": short(listing.lot, VOLUME_DECIMALS),
    }
    if listing.kind == SPOT:
        return row | {"baseCcy": listing.base, "quoteCcy": listing.quote}
    places = contract_places(listing)
    return row | _swap(f"{listing.base}-{listing.quote}", listing.quote) | {
        "ctVal": short(1, places) if places >= 0 else str(10**-places),
        "ctValCcy": listing.base,
        "lotSz": contracts(listing, listing.lot),
        "minSz": contracts(listing, listing.lot),
    }  # fmt: skip


def _swap(family: str, settled_in: str, kind: str = "linear") -> dict:
    names = {"instFamily": family, "uly": family, "settleCcy": settled_in}
    return names | {"ctType": kind, "ctMult": "1"}


def _odd(name: str, kind: str, family: str, settled_in: str, **told: str) -> dict:
    """Return the row of an instrument that is listed beside the others, and is none of ours."""
    base = family.partition("-")[0]
    row = _row(Listing(f"{base}-USDT-PERP", "1.00000"), TRADING)
    contract = "inverse" if settled_in == base else "linear"
    return row | _swap(family, settled_in, contract) | {"instId": name, "instType": kind} | told


# Inverse, before its listing, a share, dated: nothing of them is served here.
_ODD = {
    "SWAP": [
        _odd("BTC-USD-SWAP", "SWAP", "BTC-USD", "BTC", ctVal="100", ctValCcy="USD"),
        _odd("SOON-USDT-SWAP", "SWAP", "SOON-USDT", "USDT", ruleType="pre_market", listTime=""),
        _odd("TSLA-USDT-SWAP", "SWAP", "TSLA-USDT", "USDT", instCategory="3"),
    ],
    FUTURES: [
        _odd("BTC-USD_UM-261225", FUTURES, "BTC-USD_UM", "USD", expTime="1798185600000"),
        _odd("ETH-USD_UM_XPERP", FUTURES, "ETH-USD_UM", "USD", ruleType="xperp"),
    ],
}
