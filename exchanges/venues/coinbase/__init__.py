"""Coinbase Advanced Trade: its public market data, or the signed twins where a key is set.

Sources, as read in October 2026: docs.cdp.coinbase.com, Advanced Trade "REST API" and "WebSocket
Overview". The REST limit is unpublished (until 2025 "REST API Rate Limits" said ten calls a second:
that page is gone since): pacing `batch`.
"""

from exchanges.rest.pacing.budget import CallLimit
from exchanges.venue import Preset, Venue
from exchanges.venues.coinbase.key import load_key
from exchanges.venues.coinbase.rest import CoinbaseRest, is_own_error, read_error
from exchanges.venues.coinbase.stream import CoinbaseStream
from exchanges.venues.coinbase.symbols import read_listing

VENUE = Venue(
    name="coinbase",
    label="Coinbase Advanced Trade",
    rest=CoinbaseRest,
    stream=CoinbaseStream,
    read_listing=read_listing,
    read_error=read_error,
    is_own_error=is_own_error,
    calls=CallLimit(10, per_seconds=1, is_published=False),
    load_key=load_key,
    seen_live=False,
    api_path="/api/v3/brokerage",
    presets=(
        Preset(
            name="coinbase",
            display_name="Coinbase",
            rest_url="https://api.coinbase.com/api/v3/brokerage",
            ws_url="wss://advanced-trade-ws.coinbase.com",
            pacing="batch",
            default_symbols=("BTC-USD", "ETH-USD", "SOL-USD"),
        ),
    ),
)
