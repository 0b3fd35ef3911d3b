"""Market streams of Binance's USD-M futures, on the route that has candles and tickers.

Since April 2026 a connection without a route, or on another, is acknowledged and stays silent.
"""

from exchanges.klines.stream import KlineStream
from exchanges.stream.base import StreamLimits


class UsdmStream(KlineStream):
    """Candles of all six timeframes and tickers of Binance's perpetuals."""

    path = "/market/stream"
    limits = StreamLimits(
        topics_per_connection=200,  # 1024 are documented; more than 200 were refused in a URL
        topics_per_message=100,
        bytes_per_message=4000,  # what spot's answers to: nobody has tried more here
        seconds_between_messages=0.25,  # 10 a second, pongs among them
        seconds_between_connects=1.0,
        longest_life_seconds=23 * 3600,  # they cut at 24 h
    )
