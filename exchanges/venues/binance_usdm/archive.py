"""Bulk files of candles of Binance's USD-M futures (binance-public-data, README).

As spot's, but for the folder, a header, and times that stay in milliseconds. Rows are known to be
missing in them (issues 229 and 230 there).
"""

from exchanges.klines.archive import archive_in

ARCHIVE = archive_in("/data/futures/um")
