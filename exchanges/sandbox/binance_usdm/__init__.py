"""Binance's USD-M futures as the sandbox speaks them: perpetuals, and what is listed beside them.

What is as on its spot exchange is that folder's. It has no `auth`, as all calls are public, no
`limits`: they are told with the listing, its `commands` are spot's, and a `track` is another's.
"""

from exchanges.sandbox.binance.frames import close_early
from exchanges.sandbox.binance.rest import CANDLE_ROWS, WEIGHT_HEADER
from exchanges.sandbox.binance_usdm.rest import UsdmRest
from exchanges.sandbox.binance_usdm.settings import NAME, UsdmSettings
from exchanges.sandbox.binance_usdm.stream import PATHS, UsdmStreams
from exchanges.sandbox.market.listings import GONE, Listing
from exchanges.sandbox.protocol import Protocol

PROTOCOL = Protocol(
    name=NAME,
    settings=UsdmSettings,
    rest=UsdmRest,
    candle_rows=CANDLE_ROWS,
    streams=UsdmStreams,
    ws_paths=PATHS,
    own_listings=(
        Listing("1000PEPE-USDT-PERP", "0.0123400", lot=10**12, protocols=(NAME,)),
        Listing("BNX-USDT-PERP", "1.713000", lot=10**8, status=GONE, protocols=(NAME,)),
    ),
    weight_header=WEIGHT_HEADER,
    early_close=close_early,
)
