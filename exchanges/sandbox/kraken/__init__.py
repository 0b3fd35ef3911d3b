"""Kraken's spot protocol as the sandbox speaks it: REST, and version 2 of its WebSocket.

It has no `auth`, as all calls are public, no `limits` of its own kind, and no `archive` and no
`track`, which others have.
"""

from exchanges.sandbox.kraken.rest import CANDLE_ROWS, KrakenRest
from exchanges.sandbox.kraken.settings import NAME, KrakenSettings
from exchanges.sandbox.kraken.stream import PATHS, KrakenStreams
from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.protocol import Protocol

PROTOCOL = Protocol(
    name=NAME,
    settings=KrakenSettings,
    rest=KrakenRest,
    candle_rows=CANDLE_ROWS,
    streams=KrakenStreams,
    ws_paths=PATHS,
    own_listings=(Listing("BTC-EUR", "61877.3", lot=100_000, protocols=(NAME,)),),
)
