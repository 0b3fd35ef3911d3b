"""Binance's spot protocol: binance.com, Binance.US and the sandbox, which differ by URL alone.

Sources, as read in October 2026:
- github.com/binance/binance-spot-api-docs, rest-api.md "General API Information" and
  web-socket-streams.md "General WSS information". Its limits are published and every reply says how
  much is used: pacing `weight`.
- docs.binance.us, "General Information" of REST and WebSocket streams. It lists USD beside USDT, as
  different markets; USD is what most of its users hold.
- github.com/binance/binance-public-data, README: candles in bulk. Binance.US publishes none.
- the sandbox is the exchange on this machine, `manage.py sandbox`.
"""

from exchanges.klines.replies import is_own_error, used_weight
from exchanges.klines.rest import ask_limits
from exchanges.venue import Preset, RequestWeight, Venue
from exchanges.venues.binance.archive import ARCHIVE
from exchanges.venues.binance.rest import WORKERS, BinanceRest, elsewhere, read_error
from exchanges.venues.binance.stream import BinanceStream
from exchanges.venues.binance.symbols import read_listing

VENUE = Venue(
    name="binance",
    label="Binance",
    rest=BinanceRest,
    stream=BinanceStream,
    read_listing=read_listing,
    read_error=read_error,
    is_own_error=is_own_error,
    elsewhere=elsewhere,
    weight=RequestWeight(
        BinanceRest.limits_until_known, used=used_weight, ask=ask_limits, workers=WORKERS
    ),
    seen_live=False,
    archive=ARCHIVE,
    presets=(
        Preset(
            name="binance",
            display_name="Binance",
            rest_url="https://api.binance.com",
            ws_url="wss://stream.binance.com:9443",
            pacing="weight",
            default_symbols=("BTC-USDT", "ETH-USDT", "SOL-USDT"),
            archive_url="https://data.binance.vision",
        ),
        Preset(
            name="binance_us",
            display_name="Binance.US",
            rest_url="https://api.binance.us",
            ws_url="wss://stream.binance.us:9443",
            pacing="weight",
            default_symbols=("BTC-USD", "ETH-USD", "SOL-USD"),
        ),
        Preset(
            name="sandbox",
            display_name="Sandbox",
            rest_url="http://127.0.0.1:8899",
            ws_url="ws://127.0.0.1:8899",
            pacing="weight",
            default_symbols=None,
            archive_url="http://127.0.0.1:8899",
        ),
    ),
)
