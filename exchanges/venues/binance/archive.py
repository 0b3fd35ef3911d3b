"""Binance's bulk files of spot candles (github.com/binance/binance-public-data, README).

Monthly files appear up to a week after the month's end, daily ones the next day. Times are in
microseconds from 2025-01-01 on, in milliseconds before. It is known to happen that rows or whole
days are missing (issue 153 there), that a zip can't be unpacked or has no checksum (469), and
that a checksum is another's (405).
"""

from exchanges.klines.archive import archive_in

ARCHIVE = archive_in("/data/spot")
