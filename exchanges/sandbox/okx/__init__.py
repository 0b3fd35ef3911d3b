"""OKX's protocol as the sandbox speaks it: spot, and linear perpetual swaps.

It has no `auth`, as all calls are public, and no `archive` and no `track`, which others have.
"""

from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.okx.frames import close_early
from exchanges.sandbox.okx.rest import CANDLE_ROWS, OkxRest
from exchanges.sandbox.okx.settings import NAME, OkxSettings
from exchanges.sandbox.okx.stream import PATHS, OkxStreams
from exchanges.sandbox.protocol import Protocol

PROTOCOL = Protocol(
    name=NAME,
    settings=OkxSettings,
    rest=OkxRest,
    candle_rows=CANDLE_ROWS,
    streams=OkxStreams,
    ws_paths=PATHS,
    own_listings=(Listing("OKB-USDT", "47.3100", lot=3_000_000, protocols=(NAME,)),),
    early_close=close_early,
)
