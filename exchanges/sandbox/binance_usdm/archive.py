"""The bulk files of Binance's USD-M futures: as spot's, below `/data/futures/um`.

They have a header, and times in milliseconds whatever year it is.
"""

from math import inf

from exchanges.sandbox.binance.archive import BinanceArchive

PATH = "/data/futures/um/{segment:.+}"


class UsdmArchive(BinanceArchive):
    """The bulk files of a market's perpetuals."""

    has_header = True
    microseconds_from_ms = inf
