"""Binance's spot REST interface (github.com/binance/binance-spot-api-docs, rest-api.md)."""

from typing import Any

from exchanges.errors import LivermoreError
from exchanges.klines.replies import error_of
from exchanges.klines.rest import KlineRest
from exchanges.rest.pacing.budget import Limits
from exchanges.rest.reply import QuietBars
from exchanges.symbols.listed import ListedSymbol
from exchanges.venues.binance.symbols import read_listing

WORKERS = 30  # an answer is 40 ms away, and a call takes a millisecond of ours


class BinanceRest(KlineRest):
    """Candles, listing and clock of a Binance exchange."""

    label = "Binance"
    prefix = "/api/v3"
    # What Binance.US published before August 2026, the least of the family.
    limits_until_known = Limits(weight_per_minute=1200, requests_per_5_minutes=5000)
    listing_weight = 20
    tickers_weight = 80  # of all symbols; Binance.US may count 40
    tickers = {"type": "MINI"}
    candles_per_call = 1000
    candle_weight = 2  # binance.com's; Binance.US may count 1
    settle_ms = 2_000
    quiet_bars = QuietBars.FILLS
    lag_ms = 300_000  # rows come from their database; one was seen to lack for a minute

    @staticmethod
    def _listed(body: Any) -> list[ListedSymbol]:
        return read_listing(body)


def read_error(status: int, body: Any) -> LivermoreError | None:
    """Return the error that Binance's `{"code","msg"}` names, None if none of ours."""
    return error_of(status, body)


def elsewhere(host: str) -> str:
    """Return where else Binance's candles are to be had from than at `host`, "" for nowhere.

    Binance.US is another exchange, with other markets, and has no such hosts.
    """
    if host.endswith((".binance.us", ".binance.vision")):
        return ""
    return (
        "Binance publishes hosts for market data alone, which need no key: put "
        "https://data-api.binance.vision and wss://data-stream.binance.vision into the row"
    )
