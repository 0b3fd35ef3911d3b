"""Times in microseconds, where a request asks for them (rest-api.md, "General API Information")."""

import re
from collections.abc import Mapping

from exchanges.venues.binance.server.errors import BAD_TIME_UNIT, ApiError

HEADER = "X-MBX-TIME-UNIT"
UNITS = {"MILLISECOND": False, "millisecond": False, "MICROSECOND": True, "microsecond": True}
# A row of klines up to its second time: what it opens with, five texts, what it closes with.
ROW = re.compile(rb'\[(\d+),((?:"[^"]*",){5})(\d+),')


def wants_microseconds(headers: Mapping[str, str]) -> bool:
    """Tell whether times are to be told in microseconds. Raises ApiError for another unit."""
    sent = headers.get(HEADER)
    if sent is None:
        return False
    if sent not in UNITS:
        raise ApiError(*BAD_TIME_UNIT)
    return UNITS[sent]


def klines_in_microseconds(body: bytes) -> bytes:
    """Return rows of klines with their times so: a bar ends with the last microsecond of its ms."""
    return ROW.sub(rb"[\g<1>000,\g<2>\g<3>999,", body)
