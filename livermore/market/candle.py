"""Price bars and tickers: frozen, and checked when they are made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any

from livermore.market.columns import COLUMNS, Columns, read_columns
from livermore.market.decimal_text import plain
from livermore.market.timeframe import Timeframe

# 2000-01-01 and 2100-01-01: a time in seconds falls before, one in microseconds after.
EARLIEST_MS = 946_684_800_000
LATEST_MS = 4_102_444_800_000
ROW_LENGTHS = (6, 6 + len(COLUMNS))  # how many numbers a candle is stored as


def is_time(found: Any) -> bool:
    """Tell whether it is whole epoch milliseconds in this century."""
    return type(found) is int and EARLIEST_MS <= found < LATEST_MS


def check_time(time_ms: Any) -> int:
    """Return `time_ms`; ValueError unless it is whole epoch milliseconds in this century."""
    if not is_time(time_ms):
        shown = time_ms if isinstance(time_ms, int | float) else type(time_ms).__name__
        raise ValueError(f"time {shown} is not in epoch milliseconds")
    return time_ms


@dataclass(frozen=True, slots=True)
class Candle:
    """One price bar, in the same form whichever exchange it came from.

    `timestamp` is the open time in UTC epoch milliseconds, on a boundary of `timeframe`.
    Prices are in the quote currency, `volume` in the base. `columns` are the four that some
    exchanges tell beside these (`livermore.market.columns`), None where they are not known; two
    candles that differ in them alone are the same.

    Raises ValueError off the boundary, in another unit of time, with low above high, open or
    close outside of them, a price of zero or less, a negative volume, or a value that is not
    finite: a bad bar is refused here, so nothing downstream checks again.
    """

    timestamp: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    timeframe: Timeframe
    columns: Columns | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        # Chained comparisons are false for NaN, so they refuse it too.
        time, low, high = self.timestamp, self.low, self.high
        if type(time) is not int or time % self.timeframe.ms or not EARLIEST_MS <= time < LATEST_MS:
            check_time(time)
            raise ValueError(f"time {time} is off the {self.timeframe} boundary")
        if not 0 < low <= self.open <= high < inf:
            raise ValueError(f"open is not between low and high: {self}")
        if not low <= self.close <= high:
            raise ValueError(f"close is not between low and high: {self}")
        if not 0 <= self.volume < inf:
            raise ValueError(f"volume is negative or not a number: {self}")

    @classmethod
    def of_values(cls, values: Sequence[Any], timeframe: Timeframe) -> "Candle":
        """Return the candle whose `values` or `row` these are; TypeError unless six or ten."""
        try:
            timestamp, opened, high, low, close, volume, *others = values
        except ValueError as error:
            raise TypeError(f"a candle has six values, or ten: {error}") from None
        if len(values) not in ROW_LENGTHS:
            raise TypeError(f"a candle has six values, or ten, not {len(values)}")
        columns = read_columns(others) if others else None
        return cls(timestamp, opened, high, low, close, volume, timeframe, columns)

    @property
    def close_time_ms(self) -> int:
        """Return the first millisecond after the bar: the next one's open time."""
        return self.timestamp + self.timeframe.ms

    def values(self) -> list[int | float]:
        """Return `[timestamp, open, high, low, close, volume]`, which all readers know."""
        return [self.timestamp, self.open, self.high, self.low, self.close, self.volume]

    def row(self) -> list[int | float]:
        """Return the form in which it is stored: its values, and its columns behind them if any."""
        row = [self.timestamp, self.open, self.high, self.low, self.close, self.volume]
        if self.columns is not None:
            row += self.columns
        return row

    def __str__(self) -> str:
        return f"[{', '.join(map(plain, self.values()))}]"


@dataclass(frozen=True, slots=True)
class Ticker:
    """A symbol's last price and its rolling 24 hours.

    `change_24h`, prices: quote currency. `change_percent_24h`: 5.0 is five percent.
    `volume_24h`: base currency. `timestamp`: UTC epoch milliseconds.

    Raises ValueError for a value that is not finite or a price of zero or less.
    """

    symbol: str
    price: float
    change_24h: float
    change_percent_24h: float
    high_24h: float
    low_24h: float
    volume_24h: float
    timestamp: int

    def __post_init__(self) -> None:
        check_time(self.timestamp)
        numbers = (self.change_24h, self.change_percent_24h, self.high_24h, self.low_24h)
        if not (
            0 < self.price < inf and 0 <= self.volume_24h < inf and all(map(isfinite, numbers))
        ):
            raise ValueError(f"not a usable ticker: {self}")

    def __str__(self) -> str:
        numbers = list(self.as_json().items())[1:]
        return ", ".join([self.symbol, *(f"{name} {plain(each)}" for name, each in numbers)])

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Ticker":
        """Return the ticker that `as_json` wrote; fields that we don't know are left alone."""
        return cls(
            stored["symbol"],
            stored["price"],
            stored["change24h"],
            stored["changePercent24h"],
            stored["high24h"],
            stored["low24h"],
            stored["volume24h"],
            stored["timestamp"],
        )

    def as_json(self) -> dict[str, str | int | float]:
        """Return the object that is stored and published."""
        return {
            "symbol": self.symbol,
            "price": self.price,
            "change24h": self.change_24h,
            "changePercent24h": self.change_percent_24h,
            "high24h": self.high_24h,
            "low24h": self.low_24h,
            "volume24h": self.volume_24h,
            "timestamp": self.timestamp,
        }
