"""Binance's USD-M futures: perpetual contracts that are margined in what they are quoted in.

Sources, as read in November 2026: developers.binance.com, "USDⓈ-M Futures" (General Info, Market
Data Endpoints, Websocket Market Streams, Change Log up to October 2026); what callers of September
and October 2026 saw of its listing and streams; github.com/binance/binance-public-data, README.
Since June 2026 its request weight is one pool with that of the coin-margined contracts. Nothing of
this was tried against the exchange itself.
"""

from exchanges.klines.replies import is_own_error, used_weight
from exchanges.klines.rest import ask_limits
from exchanges.venue import Preset, RequestWeight, Venue
from exchanges.venues.binance_usdm.archive import ARCHIVE
from exchanges.venues.binance_usdm.rest import WORKERS, UsdmRest, read_error
from exchanges.venues.binance_usdm.stream import UsdmStream
from exchanges.venues.binance_usdm.symbols import read_listing
from exchanges.venues.binance_usdm.unsure import UNSURE

VENUE = Venue(
    name="binance_usdm",
    label="Binance USD-M",
    rest=UsdmRest,
    stream=UsdmStream,
    read_listing=read_listing,
    read_error=read_error,
    is_own_error=is_own_error,
    weight=RequestWeight(
        UsdmRest.limits_until_known, used=used_weight, ask=ask_limits, workers=WORKERS
    ),
    seen_live=False,
    unsure=UNSURE,
    archive=ARCHIVE,
    presets=(
        Preset(
            name="binance_usdm",
            display_name="Binance USD-M",
            rest_url="https://fapi.binance.com",
            ws_url="wss://fstream.binance.com",
            pacing="weight",
            default_symbols=("BTC-USDT-PERP", "ETH-USDT-PERP", "SOL-USDT-PERP"),
            archive_url="https://data.binance.vision",
            is_active=False,
        ),
    ),
)
