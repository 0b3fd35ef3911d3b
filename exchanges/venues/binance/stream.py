"""Binance's market streams (github.com/binance/binance-spot-api-docs, web-socket-streams.md)."""

from exchanges.klines.stream import KlineStream
from exchanges.stream.base import StreamLimits

LONGEST_LIFE_SECONDS = 23 * 3600  # they cut at 24 h


class BinanceStream(KlineStream):
    """Candles of all six timeframes and tickers of a Binance exchange."""

    path = "/stream"
    limits = StreamLimits(
        topics_per_connection=900,  # 1024 are allowed; so all are subscribed in two seconds
        topics_per_message=100,
        # Above about 4,088 bytes the server says nothing at all until its next ping.
        bytes_per_message=4000,
        seconds_between_messages=0.25,  # 5 a second, pongs among them
        # 300 in five minutes: 12, and 200 more at this distance, so that others of this address
        # have some.
        connects_at_once=12,
        seconds_between_connects=1.5,
        longest_life_seconds=LONGEST_LIFE_SECONDS,
    )
