"""Binance's protocol as the sandbox speaks it.

It has no `auth`, as all calls are public, its `commands` stand in the venue's folder, and a
`track` is Coinbase's alone.
"""

from exchanges.sandbox.binance.frames import close_early
from exchanges.sandbox.binance.rest import CANDLE_ROWS, WEIGHT_HEADER, BinanceRest
from exchanges.sandbox.binance.settings import NAME, BinanceSettings
from exchanges.sandbox.binance.stream import PATHS, BinanceStreams
from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.protocol import Protocol

PROTOCOL = Protocol(
    name=NAME,
    settings=BinanceSettings,
    rest=BinanceRest,
    candle_rows=CANDLE_ROWS,
    streams=BinanceStreams,
    ws_paths=PATHS,
    own_listings=(Listing("币安人生-USDT", "0.213700", lot=2_000_000_000, protocols=(NAME,)),),
    weight_header=WEIGHT_HEADER,
    early_close=close_early,
)
