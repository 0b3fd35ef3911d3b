"""What Bybit lists, under which names: a market of each kind may have the same one."""

from collections.abc import Callable, Iterable
from urllib.parse import quote

from exchanges.sandbox.bybit.errors import envelope, refused
from exchanges.sandbox.bybit.settings import NAME
from exchanges.sandbox.faults.listings import ListingRows
from exchanges.sandbox.market.bars import VOLUME_DECIMALS
from exchanges.sandbox.market.decimals import short
from exchanges.sandbox.market.listings import GONE, PERP, PERPETUAL, SPOT, TRADING, Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.calls import Call, Reply, as_json, whole_number

LINEAR, INVERSE = "linear", "inverse"
KINDS = {SPOT: SPOT, LINEAR: PERPETUAL}  # by category
CATEGORIES = (*KINDS, INVERSE, "option")
USUAL_PAGE, LARGEST_PAGE = 500, 1000
PAGE = "first"  # what a cursor names
CLOSED, PRE_LAUNCH = "Closed", "PreLaunch"


def _ending(row: dict) -> str:
    return PERP if "contractType" in row else ""


ROWS = ListingRows("result.list", "baseCoin", "quoteCoin", {"status": CLOSED}, _ending)


def native_name(listing: Listing) -> str:
    """Return Bybit's name, which perpetuals share with spot where both are quoted in USDT."""
    if listing.kind == PERPETUAL and listing.quote == "USDC":
        return f"{listing.base}PERP"
    return listing.base + listing.quote


class Listed:
    """The market's symbols by category and Bybit's names; it looks for new ones each time."""

    def __init__(self, market: Market):
        self._market = market
        self._names: dict[tuple[str, str], Listing] = {}
        self._seen = 0

    def find(self, category: str, native: str | None) -> Listing | None:
        """Return the symbol of that name, taken off the list or not."""
        self._learn()
        return self._names.get((category, native or ""))

    def trading(self, category: str) -> list[Listing]:
        """Return what trades now, as the usual answer has nothing else."""
        self._learn()
        names = list(self._names.items())
        return [one for (of, _), one in names if of == category and self.is_trading(one)]

    def is_trading(self, listing: Listing) -> bool:
        return self._market.status(listing.symbol) == TRADING

    def is_gone(self, listing: Listing) -> bool:
        return self._market.status(listing.symbol) == GONE

    def _learn(self) -> None:
        listings = list(self._market.listings.values())
        for one in listings[self._seen :]:
            for category, kind in KINDS.items():
                if one.is_on(NAME, kind):
                    self._names[category, native_name(one)] = one
        self._seen = len(listings)


class Instruments:
    """Answers instruments-info, whose linear part comes in pages and whose spot part does not."""

    def __init__(self, listed: Listed):
        self._listed = listed

    def answer(self, call: Call) -> Reply:
        category, native = category_of(call), call.params.get("symbol")
        rows = [
            row
            for row in self._rows(category, call.params.get("status", "Trading"))
            if native in (None, row["symbol"])
        ]
        if native and not rows and category != SPOT:
            raise refused("params error: symbol invalid", call.now_ms)
        if category == SPOT:
            return as_json(envelope({"category": SPOT, "list": rows}, call.now_ms))
        return as_json(envelope({"category": category} | _page(rows, call), call.now_ms))

    def _rows(self, category: str, status: str) -> Iterable[dict]:
        if status == PRE_LAUNCH:
            yield from (_contract(one, PRE_LAUNCH) for one in _PRE_LAUNCH if category == LINEAR)
        if status != "Trading":
            return
        row: Callable[[Listing], dict] = _spot if category == SPOT else _contract
        yield from map(row, self._listed.trading(category))
        yield from _ODD.get(category, ())


def category_of(call: Call, usual: str | None = None) -> str:
    """Return the category that a call names. Raises Refusal for one that there is not."""
    category = call.params.get("category", usual)
    if category not in CATEGORIES:
        raise refused("params error: Category is invalid", call.now_ms)
    return category


def _page(rows: list[dict], call: Call) -> dict:
    limit = whole_number(call.params.get("limit", str(USUAL_PAGE)))
    if limit is None or not 0 < limit <= LARGEST_PAGE:
        raise refused("params error: limit invalid", call.now_ms)
    name, _, text = call.params.get("cursor", f"{PAGE}=0").partition("=")
    start = whole_number(text)
    if name != PAGE or start is None:
        raise refused("params error: cursor invalid", call.now_ms)
    # As Bybit's it is written for an address already: who does that again asks for no page.
    more = quote(f"{PAGE}={start + limit}", safe="") if start + limit < len(rows) else ""
    return {"list": rows[start : start + limit], "nextPageCursor": more}


def _spot(listing: Listing) -> dict:
    step = short(listing.lot, VOLUME_DECIMALS)
    return _common(listing) | {
        "innovation": "0",
        "marginTrading": "utaOnly",
        "stTag": "0",
        "lotSizeFilter": {"basePrecision": step, "minOrderQty": step},
        "symbolType": "",
    }


def _contract(listing: Listing, status: str = "Trading") -> dict:
    step = short(listing.lot, VOLUME_DECIMALS)
    return _common(listing, status) | {
        "contractType": "LinearPerpetual",
        "launchTime": str(listing.listed_ms),
        "deliveryTime": "0",
        "settleCoin": listing.quote,
        "lotSizeFilter": {"qtyStep": step, "minOrderQty": step},
        "isPreListing": status == PRE_LAUNCH,
        "symbolType": "",
    }


def _common(listing: Listing, status: str = "Trading") -> dict:
    return {
        "symbol": native_name(listing),
        "status": status,
        "baseCoin": listing.base,
        "quoteCoin": listing.quote,
        "priceFilter": {"tickSize": short(1, listing.decimals)},
    }


def _odd(row: dict, **values: object) -> dict:
    return row | values


_BTC = Listing("BTC-USDT-PERP", "67055.19")
_SHARE = Listing("AAPLX-USDT", "231.4100")
_INVERSE = Listing("BTC-USD-PERP", "67055.1")
_PRE_LAUNCH = (Listing("PRE02ZRO-USDT-PERP", "3.13700"),)
# What is listed beside spot and perpetuals of coins: nobody is to take it for one of those.
_ODD: dict[str, list[dict]] = {
    INVERSE: [_odd(_contract(_INVERSE), contractType="InversePerpetual", settleCoin="BTC")],
    SPOT: [_odd(_spot(_SHARE), symbolType="xstocks", xstockMultiplier="1")],
    LINEAR: [
        _odd(
            _contract(_BTC),
            symbol="BTCUSDT-25DEC26",
            contractType="LinearFutures",
            deliveryTime="1798185600000",
        ),
        _odd(
            _contract(_BTC),
            symbol="ESUSDTZ26",
            baseCoin="ES",
            contractType="LinearFutures",
            deliveryTime="1797638400000",
        ),
        _odd(_contract(_BTC), symbol="TSLAUSDT", baseCoin="TSLA", symbolType="stock"),
        _odd(
            _contract(_BTC),
            symbol="PRE03USDT",
            baseCoin="PRE03",
            isPreListing=True,
        ),
    ],
}
