"""Binance's bulk files of spot candles (github.com/binance/binance-public-data, README).

Monthly files appear up to a week after the month's end, daily ones the next day. Times are in
microseconds from 2025-01-01 on, in milliseconds before. It is known to happen that rows or whole
days are missing (issue 153 there), that a zip can't be unpacked or has no checksum (469), and
that a checksum is another's (405).
"""

from urllib.parse import quote

from exchanges.venue import Archive
from livermore.market.timeframe import Timeframe


def month_path(native: str, timeframe: Timeframe, month: str) -> str:
    return _path("monthly", native, timeframe, month)


def day_path(native: str, timeframe: Timeframe, day: str) -> str:
    return _path("daily", native, timeframe, day)


def _path(kind: str, native: str, timeframe: Timeframe, period: str) -> str:
    folder = f"/data/spot/{kind}/klines/{native}/{timeframe}"
    return quote(f"{folder}/{native}-{timeframe}-{period}.zip")


ARCHIVE = Archive(
    month=month_path,
    day=day_path,
    columns=(
        *("timestamp", "open", "high", "low", "close", "volume", "close_time"),
        *("quote_volume", "trades", "taker_base", "taker_quote", "ignored"),
    ),
    checksum_suffix=".CHECKSUM",
)
