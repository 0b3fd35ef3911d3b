"""OKX's tickers: 24 hours of an instrument, over REST and as its stream tells them."""

from exchanges.sandbox.market.bars import VOLUME_DECIMALS, Bar
from exchanges.sandbox.market.decimals import short
from exchanges.sandbox.market.listings import PERPETUAL, Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.okx.errors import data, unknown_instrument
from exchanges.sandbox.okx.listing import Instruments, contracts, native_name, type_of
from exchanges.sandbox.server.calls import Call, Reply


class Tickers:
    """Answers `market/tickers` and `market/ticker`."""

    def __init__(self, market: Market, instruments: Instruments):
        self._market, self._instruments = market, instruments

    def many(self, call: Call) -> Reply:
        chosen = self._instruments.of_type(call.params.get("instType", ""))
        return data([told for one in chosen if (told := self._ticker(one, call.now_ms))])

    def one(self, call: Call) -> Reply:
        listing = self._instruments.find(call.params.get("instId", ""))
        told = listing and self._ticker(listing, call.now_ms)
        if not told:
            raise unknown_instrument()
        return data([told])

    def _ticker(self, listing: Listing, now_ms: int) -> dict | None:
        day = self._market.of(listing.symbol).day_before(now_ms)
        return day and day_ticker(listing, day, now_ms)


def day_ticker(listing: Listing, day: Bar, now_ms: int) -> dict:
    """Write 24 hours; of a swap the first volume is in contracts and the second in the base."""

    def price(ticks: int) -> str:
        return short(ticks, listing.decimals)

    base = short(day.volume, VOLUME_DECIMALS)
    quote = short(day.quote // 10**listing.decimals, VOLUME_DECIMALS)
    is_swap = listing.kind == PERPETUAL
    lot = contracts(listing, listing.lot) if is_swap else short(listing.lot, VOLUME_DECIMALS)
    return {
        "instType": type_of(listing),
        "instId": native_name(listing),
        "last": price(day.close),
        "lastSz": lot,
        "askPx": price(day.close + 1),
        "askSz": lot,
        "bidPx": price(day.close - 1),
        "bidSz": lot,
        "open24h": price(day.open),
        "high24h": price(day.high),
        "low24h": price(day.low),
        "sodUtc0": price(day.open),
        "sodUtc8": price(day.open),
        "volCcy24h": base if is_swap else quote,
        "vol24h": contracts(listing, day.volume) if is_swap else base,
        "ts": str(now_ms),
    }
