"""The six timeframes, and where their candles open."""

from enum import StrEnum

MINUTE_MS = 60_000


class Timeframe(StrEnum):
    """A candle's length; its text (`1m`, `4h`, …) is what keys, commands and exchanges say.

    All six open on multiples of their length since the UTC epoch, so a day opens at 00:00 UTC.
    """

    ms: int  # length in milliseconds

    M1 = "1m", MINUTE_MS
    M5 = "5m", 5 * MINUTE_MS
    M15 = "15m", 15 * MINUTE_MS
    H1 = "1h", 60 * MINUTE_MS
    H4 = "4h", 240 * MINUTE_MS
    D1 = "1d", 1440 * MINUTE_MS

    def __new__(cls, text: str, ms: int = 0):  # with its text alone one is looked up, none made
        member = str.__new__(cls, text)
        member._value_ = text
        member.ms = ms
        return member

    # That of its text, as it equals its text; an enum's own is three times as slow, and a pair is
    # looked up by it several times for each frame of a stream.
    __hash__ = str.__hash__

    def floor(self, time_ms: int) -> int:
        """Return the open time of the candle that holds `time_ms`."""
        return time_ms - time_ms % self.ms

    def ceil(self, time_ms: int) -> int:
        """Return the first open time at or after `time_ms`."""
        return -(-time_ms // self.ms) * self.ms


SHORTEST_FIRST = tuple(Timeframe)
LONGEST_FIRST = tuple(reversed(Timeframe))


def parse_timeframe(text: str) -> Timeframe:
    """Return the timeframe written as `text`; ValueError names the six where it is none of them."""
    try:
        return Timeframe(text)
    except ValueError:
        known = " ".join(Timeframe)
        raise ValueError(f"unknown timeframe {text!r}; known are {known}") from None
