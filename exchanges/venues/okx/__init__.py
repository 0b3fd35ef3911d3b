"""OKX: spot and linear perpetual swaps, public market data of its v5 interface.

Sources, as read in November 2026: www.okx.com/docs-v5, "Overview", "Market Data", "Public Data" and
"WebSocket"; what callers of September 2026 saw of it. Its limits count for each path, and are told
as one for all, that of the candles. Nothing of this was tried against the exchange itself.
"""

from exchanges.rest.pacing.budget import CallLimit
from exchanges.venue import Preset, Venue
from exchanges.venues.okx.rest import OkxRest, elsewhere, is_own_error, read_error
from exchanges.venues.okx.stream import OkxStream
from exchanges.venues.okx.symbols import read_listing
from exchanges.venues.okx.unsure import UNSURE

VENUE = Venue(
    name="okx",
    label="OKX",
    rest=OkxRest,
    stream=OkxStream,
    read_listing=read_listing,
    read_error=read_error,
    is_own_error=is_own_error,
    elsewhere=elsewhere,
    stream_paths=("/ws/v5",),
    errors_in_200=True,
    calls=CallLimit(20, per_seconds=2),
    seen_live=False,
    unsure=UNSURE,
    presets=(
        Preset(
            name="okx",
            display_name="OKX",
            rest_url="https://www.okx.com",
            ws_url="wss://ws.okx.com:8443/ws/v5",
            pacing="batch",
            default_symbols=(
                *("BTC-USDT", "ETH-USDT", "SOL-USDT"),
                *("BTC-USDT-PERP", "ETH-USDT-PERP", "SOL-USDT-PERP"),
            ),
            is_active=False,
        ),
    ),
)
