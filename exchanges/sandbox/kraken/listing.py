"""What Kraken lists, and under which of its many names.

The socket and REST take `BTC/USD`; the listing itself says `XBT/USD`, which both refuse. REST also
takes `XBTUSD` and `XXBTZUSD`, and answers under the last one.
"""

from exchanges.sandbox.faults.listings import ListingRows
from exchanges.sandbox.kraken.errors import result, unknown_pair
from exchanges.sandbox.kraken.settings import NAME
from exchanges.sandbox.market.bars import VOLUME_DECIMALS
from exchanges.sandbox.market.decimals import short
from exchanges.sandbox.market.listings import BREAK, CANCEL_ONLY, GONE, HALT, TRADING, Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.calls import Call, Reply

_STATUSES = {
    TRADING: "online",
    BREAK: "cancel_only",
    CANCEL_ONLY: "cancel_only",
    HALT: "post_only",
}
_OTHER_STATUS = "reduce_only"
OLD_NAMES = {"BTC": "XBT", "DOGE": "XDG"}  # as the listing writes them
_NAMES = {old: name for name, old in OLD_NAMES.items()}
_CODES = {
    **{"BTC": "XXBT", "DOGE": "XXDG", "ETH": "XETH", "LTC": "XLTC", "XRP": "XXRP"},
    **{"USD": "ZUSD", "EUR": "ZEUR"},
}
_UNDER_CODES = ("BTC", "ETH", "LTC", "XRP")  # whose pairs are called by both codes


class PairRows(ListingRows):
    """Rows by their names, which tell the currencies in one text."""

    def symbol(self, row: dict) -> str:
        return "-".join(_NAMES.get(each, each) for each in row["wsname"].split("/"))


ROWS = PairRows("result", "base", "quote", halted={"status": "cancel_only"})


def native_name(listing: Listing) -> str:
    return f"{listing.base}/{listing.quote}"


def altname(listing: Listing) -> str:
    return "".join(OLD_NAMES.get(each, each) for each in (listing.base, listing.quote))


def key_of(listing: Listing) -> str:
    """Return under what name a pair is listed, and answered for."""
    if listing.base in _UNDER_CODES and listing.quote in ("USD", "EUR"):
        return _CODES[listing.base] + _CODES[listing.quote]
    return altname(listing)


class Pairs:
    """The market's symbols by Kraken's names; it looks for new ones each time."""

    def __init__(self, market: Market):
        self._market = market
        self._names: dict[str, Listing] = {}
        self._seen = 0  # how many of the market's listings were looked at

    def find(self, name: str) -> Listing | None:
        """Return the pair of that name, None for none and for one that a scenario took away."""
        listing = self._known().get(name)
        return listing if listing and self._market.status(listing.symbol) != GONE else None

    def named(self, name: str) -> Listing:
        """Return the same. Raises Refusal where there is none."""
        listing = self.find(name)
        if listing is None:
            raise unknown_pair()
        return listing

    def all(self) -> list[Listing]:
        """Return what is listed, each once."""
        known = dict.fromkeys(self._known().values())
        return [one for one in known if self._market.status(one.symbol) != GONE]

    def many(self, call: Call) -> Reply:
        chosen = self.all()
        if "pair" in call.params:
            chosen = [self.named(name) for name in call.params["pair"].split(",")]
        return result({key_of(one): _row(one, self._market.status(one.symbol)) for one in chosen})

    def _known(self) -> dict[str, Listing]:
        if len(self._market.listings) > self._seen:
            listings = list(self._market.listings.values())
            for one in listings[self._seen :]:
                if one.is_on(NAME):
                    self._names |= dict.fromkeys((native_name(one), altname(one), key_of(one)), one)
            self._seen = len(listings)
        return self._names


def _row(listing: Listing, status: str) -> dict:
    lot = short(listing.lot, VOLUME_DECIMALS)
    old = [OLD_NAMES.get(each, each) for each in (listing.base, listing.quote)]
    return {
        "altname": altname(listing),
        "wsname": "/".join(old),
        "aclass_base": "currency",
        "base": _CODES.get(listing.base, listing.base),
        "aclass_quote": "currency",
        "quote": _CODES.get(listing.quote, listing.quote),
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": listing.decimals,
        "lot_decimals": VOLUME_DECIMALS,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [],
        "fees_maker": [],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": lot,
        "costmin": "0.5",
        "tick_size": short(1, listing.decimals),
        "status": _STATUSES.get(status, _OTHER_STATUS),
        "execution_venue": "international",
    }
