"""Coinbase Advanced Trade's protocol as the sandbox speaks it.

It has no `limits`, as it publishes none, and no `archive`: nobody publishes its candles in bulk.
"""

from exchanges.sandbox.coinbase.rest import CANDLE_ROWS, CoinbaseRest
from exchanges.sandbox.coinbase.settings import NAME, CoinbaseSettings
from exchanges.sandbox.coinbase.stream import PATHS, CoinbaseStreams
from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.protocol import Protocol

PROTOCOL = Protocol(
    name=NAME,
    settings=CoinbaseSettings,
    rest=CoinbaseRest,
    candle_rows=CANDLE_ROWS,
    streams=CoinbaseStreams,
    ws_paths=PATHS,
    own_listings=(Listing("BTC-USDC", "67012.37", alias="BTC-USD", protocols=(NAME,)),),
)
