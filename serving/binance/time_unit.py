"""Times in microseconds, where a request asks for them (rest-api.md, "General API Information";
web-socket-streams.md)."""

import re

from exchanges.venues.binance.server.errors import BAD_TIME_UNIT, ApiError

HEADER, PARAMETER = "X-MBX-TIME-UNIT", "timeUnit"  # of REST, of the address of streams
UNITS = {"MILLISECOND": False, "millisecond": False, "MICROSECOND": True, "microsecond": True}
# A row of klines up to its second time: what it opens with, five texts, what it closes with.
ROW = re.compile(rb'\[(\d+),((?:"[^"]*",){5})(\d+),')


def is_microsecond(unit: str | None) -> bool:
    """Tell whether a unit is the finer one; None is the other. Raises ApiError for any else."""
    if unit is None:
        return False
    if unit not in UNITS:
        raise ApiError(*BAD_TIME_UNIT)
    return UNITS[unit]


def klines_in_microseconds(body: bytes) -> bytes:
    """Return rows of klines with their times so: a bar ends with the last microsecond of its ms."""
    return ROW.sub(rb"[\g<1>000,\g<2>\g<3>999,", body)
