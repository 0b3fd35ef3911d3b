"""Kraken's tickers: 24 hours of a pair over REST, each number beside today's."""

from exchanges.sandbox.kraken.errors import result
from exchanges.sandbox.kraken.listing import Pairs, key_of
from exchanges.sandbox.market.bars import VOLUME_DECIMALS, Bar
from exchanges.sandbox.market.decimals import fixed
from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.calls import Call, Reply


class Tickers:
    """Answers `Ticker`."""

    def __init__(self, market: Market, pairs: Pairs):
        self._market, self._pairs = market, pairs

    def many(self, call: Call) -> Reply:
        chosen = self._pairs.all()
        if "pair" in call.params:
            chosen = [self._pairs.named(name) for name in call.params["pair"].split(",")]
        told = {key_of(one): self._ticker(one, call.now_ms) for one in chosen}
        return result({key: ticker for key, ticker in told.items() if ticker})

    def _ticker(self, listing: Listing, now_ms: int) -> dict | None:
        day = self._market.of(listing.symbol).day_before(now_ms)
        return day and _day_ticker(listing, day)


def _day_ticker(listing: Listing, day: Bar) -> dict:
    """Write 24 hours; today's are told to be the same."""

    def price(ticks: int) -> str:
        return fixed(ticks, listing.decimals)

    volume, lot = fixed(day.volume, VOLUME_DECIMALS), fixed(listing.lot, VOLUME_DECIMALS)
    average = price(day.quote // day.volume if day.volume else day.close)
    return {
        "a": [price(day.close + 1), "1", lot],
        "b": [price(day.close - 1), "1", lot],
        "c": [price(day.close), lot],
        "v": [volume, volume],
        "p": [average, average],
        "t": [day.trades, day.trades],
        "l": [price(day.low), price(day.low)],
        "h": [price(day.high), price(day.high)],
        "o": price(day.open),
    }
