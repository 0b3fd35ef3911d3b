"""Bybit's protocol as the sandbox speaks it: spot and linear perpetuals.

It has no `auth`, as all calls are public, no `archive`, as nothing that it publishes in bulk is
read, and no `track`, which is another's alone.
"""

from exchanges.sandbox.bybit.frames import close_early
from exchanges.sandbox.bybit.rest import CANDLE_ROWS, BybitRest
from exchanges.sandbox.bybit.settings import NAME, BybitSettings
from exchanges.sandbox.bybit.stream import PATHS, BybitStreams
from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.protocol import Protocol

PROTOCOL = Protocol(
    name=NAME,
    settings=BybitSettings,
    rest=BybitRest,
    candle_rows=CANDLE_ROWS,
    streams=BybitStreams,
    ws_paths=PATHS,
    own_listings=(
        Listing("MNT-USDT", "0.713100", lot=1_000_000_000, protocols=(NAME,)),
        Listing("SHIB1000-USDT-PERP", "0.0137100", lot=10**12, protocols=(NAME,)),
    ),
    early_close=close_early,
)
