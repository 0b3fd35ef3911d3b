"""Candles in bulk, as exchanges of this protocol publish them."""

from urllib.parse import quote

from exchanges.venue import Archive
from livermore.market.timeframe import Timeframe

COLUMNS = (
    *("timestamp", "open", "high", "low", "close", "volume", "close_time"),
    *("quote_volume", "trades", "taker_base", "taker_quote", "ignored"),
)


def archive_in(folder: str) -> Archive:
    """Return how the files of the markets below a folder are named, and what is in them."""

    def path(kind: str, native: str, timeframe: Timeframe, period: str) -> str:
        place = f"{folder}/{kind}/klines/{native}/{timeframe}"
        return quote(f"{place}/{native}-{timeframe}-{period}.zip")

    return Archive(
        month=lambda native, timeframe, month: path("monthly", native, timeframe, month),
        day=lambda native, timeframe, day: path("daily", native, timeframe, day),
        columns=COLUMNS,
        checksum_suffix=".CHECKSUM",
    )
