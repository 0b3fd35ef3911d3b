"""The tickers of 24 hours over REST, of all that is listed."""

from exchanges.sandbox.binance.tickers import day_ticker
from exchanges.sandbox.binance_usdm.errors import BAD_SYMBOL, refused
from exchanges.sandbox.binance_usdm.listing import Listed
from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.calls import Call, Refusal, Reply, as_json

# Spot's alone.
LACKS = ("prevClosePrice", "bidPrice", "bidQty", "askPrice", "askQty")
DATED = "BTCUSDT_261225"  # whose ticker is among all


class Tickers:
    """Answers `ticker/24hr`, and says what it weighs."""

    def __init__(self, market: Market, listed: Listed):
        self._market, self._listed = market, listed

    def day(self, call: Call) -> Reply:
        asked = call.params.get("symbol")
        if asked is None:
            rows = [row for one in self._listed.all() if (row := self._row(one, call.now_ms))]
            return as_json([*rows, *(row | {"symbol": DATED} for row in rows[:1])])
        listing = self._listed.find(asked)
        found = self._row(listing, call.now_ms) if listing else None
        if found is None:
            raise Refusal(refused(*BAD_SYMBOL))
        return as_json(found)

    @staticmethod
    def day_weight(call: Call) -> int:
        return 1 if "symbol" in call.params else 40

    def _row(self, listing: Listing, now_ms: int) -> dict | None:
        seen_ms = self._market.seen_ms(listing.symbol, now_ms)
        bar = self._market.of(listing.symbol).day_before(seen_ms)
        if bar is None:
            return None
        row = day_ticker(listing, bar, now_ms, mini=False)
        return {name: value for name, value in row.items() if name not in LACKS}
