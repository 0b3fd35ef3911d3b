"""Kraken: spot markets, public market data of its REST interface and of version 2 of its WebSocket.

Sources, as read in November 2026: docs.kraken.com, "Get OHLC Data", "Get Tradable Asset Pairs",
"Candles (OHLC)", "Ticker" and "Ping" of WebSocket API v2; support.kraken.com 206548367, which says
that a call a second is safe; what callers of September 2026 saw of it. Nothing of this was tried
against the exchange itself.
"""

from exchanges.rest.pacing.budget import CallLimit
from exchanges.venue import Preset, Venue
from exchanges.venues.kraken.rest import KrakenRest, is_own_error, read_ban, read_error
from exchanges.venues.kraken.stream import KrakenStream
from exchanges.venues.kraken.symbols import read_listing
from exchanges.venues.kraken.unsure import UNSURE

VENUE = Venue(
    name="kraken",
    label="Kraken",
    rest=KrakenRest,
    stream=KrakenStream,
    read_listing=read_listing,
    read_error=read_error,
    is_own_error=is_own_error,
    read_ban=read_ban,
    stream_paths=("/v2", "/v2/public"),  # of version 2, and at another host of newer documents
    errors_in_200=True,
    calls=CallLimit(1, per_seconds=1),
    seen_live=False,
    unsure=UNSURE,
    presets=(
        Preset(
            name="kraken",
            display_name="Kraken",
            rest_url="https://api.kraken.com",
            ws_url="wss://ws.kraken.com/v2",
            pacing="batch",
            default_symbols=("BTC-USD", "ETH-USD", "SOL-USD"),
            is_active=False,
        ),
    ),
)
