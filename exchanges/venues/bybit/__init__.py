"""Bybit: spot and linear perpetuals, quoted in USDT and USDC, in one exchange.

Sources, as read in November 2026: bybit-exchange.github.io/docs/v5, "Market", "WebSocket Public",
"Rate Limit Rules" and "Error Codes". Its limit counts calls: 600 in five seconds of an address; who
makes more is refused for ten minutes. What nobody has seen of it is in `unsure`.
"""

from exchanges.rest.pacing.budget import CallLimit
from exchanges.venue import Preset, Venue
from exchanges.venues.bybit.rest import BybitRest, elsewhere, is_own_error, read_ban, read_error
from exchanges.venues.bybit.stream import BybitStream
from exchanges.venues.bybit.symbols import read_listing
from exchanges.venues.bybit.unsure import UNSURE

VENUE = Venue(
    name="bybit",
    label="Bybit",
    rest=BybitRest,
    stream=BybitStream,
    read_listing=read_listing,
    read_error=read_error,
    is_own_error=is_own_error,
    stream_paths=("/v5/public",),
    errors_in_200=True,
    read_ban=read_ban,
    elsewhere=elsewhere,
    calls=CallLimit(600, 5),
    seen_live=False,
    unsure=UNSURE,
    presets=(
        Preset(
            name="bybit",
            display_name="Bybit",
            rest_url="https://api.bybit.com",
            ws_url="wss://stream.bybit.com/v5/public",
            pacing="batch",
            default_symbols=(
                *("BTC-USDT", "ETH-USDT", "SOL-USDT"),
                *("BTC-USDT-PERP", "ETH-USDT-PERP", "SOL-USDT-PERP"),
            ),
            is_active=False,
        ),
    ),
)
