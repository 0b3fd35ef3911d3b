"""How Binance reads the query of a call, and refuses what it can't (rest-api.md, errors.md).

The patterns are those that its refusals quote; where it looks at what first is taken from answers
that others have recorded.
"""

import json
import re

from multidict import MultiMapping

from exchanges.venues.binance.server.errors import (
    BAD_COMBINATION,
    BAD_STATUS,
    REPEATED_SYMBOL,
    ApiError,
)

DIGITS = "^[0-9]{1,20}$"
WORD = "^[a-zA-Z_0-9]{1,36}$"
SYMBOL = r"^[\w\-._&&[^a-z]]{1,50}$"  # of Java: it takes "and none of a-z"
SYMBOLS = rf'^\[("{SYMBOL[1:-1]}"(,"{SYMBOL[1:-1]}"){{0,}}){{0,1}}\]$'
STATUSES = ("TRADING", "HALT", "BREAK", "CANCEL_ONLY")
MICROSECONDS_FROM = 10**15  # a time in ms has thirteen digits, one in microseconds sixteen
EARLIEST_ZONE, LATEST_ZONE = -12 * 60, 14 * 60  # minutes

_SYMBOL = r"(?:(?![a-z])[\w\-.]){1,50}"
_READS = {  # the same for Python, whose \w takes letters of any script as well
    DIGITS: re.compile("[0-9]{1,20}"),
    WORD: re.compile("[a-zA-Z_0-9]{1,36}"),
    SYMBOL: re.compile(_SYMBOL),
    SYMBOLS: re.compile(rf'\[(?:"{_SYMBOL}"(?:,"{_SYMBOL}")*)?\]'),
}
_ZONE = re.compile(r" ?([+-]?)([0-9]{1,2})(?::([0-9]{2}))?")  # a + that is not escaped is a space


class Parameters:
    """The query of one request, read name by name; `finish` refuses what nobody read.

    Every name that an endpoint takes is read, sent or not: they are counted.
    """

    def __init__(self, params: MultiMapping[str]):
        self._params = params
        self._read: set[str] = set()

    def text(self, name: str) -> str:
        """Return a mandatory parameter."""
        value = self.optional(name)
        if value is None:
            raise _malformed(name)
        return value

    def optional(self, name: str, pattern: str | None = None) -> str | None:
        """Return a parameter, of which all characters are within a pattern."""
        self._read.add(name)
        value = self._params.get(name)
        if value == "":
            raise ApiError(-1105, f"Parameter '{name}' was empty.")
        if value is not None and pattern and not _READS[pattern].fullmatch(value):
            raise ApiError(-1100, _illegal(name, pattern))
        return value

    def symbol(self) -> str:
        return legal_symbol("symbol", self.text("symbol"))

    def interval(self) -> str:
        """Return what is sent as `interval`; whether there is such a one is not looked at."""
        self.text("interval")
        return self.optional("interval", WORD) or ""

    def time(self, name: str) -> int | None:
        """Return a time in ms, rounded down: it may be sent in microseconds."""
        value = self._whole(name)
        return value if value is None or value < MICROSECONDS_FROM else value // 1000

    def start_time(self, name: str) -> int | None:
        """Return the first ms that is not before a time."""
        value = self._whole(name)
        return value if value is None or value < MICROSECONDS_FROM else -(-value // 1000)

    def count(self, name: str, default: int) -> int:
        value = self._whole(name)
        if value == 0:
            raise _malformed(name)
        return default if value is None else value

    def number(self, name: str, *, mandatory: bool = False) -> int | None:
        """Return digits, such as an id."""
        if mandatory:
            self.text(name)
        return self._whole(name)

    def zone(self, name: str) -> int:
        """Return how many minutes a time zone is before UTC, 0 where none is sent.

        What is said of a wrong one is not documented.
        """
        value = self.optional(name)
        if value is None:
            return 0
        found = _ZONE.fullmatch(value)
        minutes = 60 * int(found[2]) + int(found[3] or 0) if found else LATEST_ZONE + 1
        offset = -minutes if found and found[1] == "-" else minutes
        if not EARLIEST_ZONE <= offset <= LATEST_ZONE or (found and int(found[3] or 0) > 59):
            raise ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")
        return offset

    def status(self) -> str | None:
        """Return what `symbolStatus` asks for."""
        value = self.optional("symbolStatus")
        if value is not None and value not in STATUSES:
            raise ApiError(*BAD_STATUS)
        return value

    def symbols(self) -> list[str] | None:
        """Return what `symbol` or `symbols=["A","B"]` names, or None where neither is sent."""
        one, many = self.optional("symbol", SYMBOL), self.optional("symbols", SYMBOLS)
        if one and many:
            raise ApiError(*BAD_COMBINATION)
        if one:
            return [one]
        return None if many is None else _listed(many)

    def finish(self) -> None:
        """Refuse what is sent twice, and what no parameter of this endpoint is."""
        sent, read = len(self._params), sum(name in self._params for name in self._read)
        if sent == read:
            return
        if sent != len(set(self._params)):
            raise ApiError(-1101, "Duplicate values for a parameter detected.")
        known = len(self._read)
        if sent > known:
            text = f"Too many parameters; expected '{known}' and received '{sent}'."
            raise ApiError(-1101, text)
        raise ApiError(
            -1104,
            f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'.",
        )

    def _whole(self, name: str) -> int | None:
        value = self.optional(name, DIGITS)
        return None if value is None else int(value)


def legal_symbol(name: str, value: str) -> str:
    """Return a symbol that could exist: any script, but no lower-case Latin letters."""
    if not _READS[SYMBOL].fullmatch(value):
        raise ApiError(-1100, _illegal(name, SYMBOL))
    return value


def _listed(text: str) -> list[str]:
    names = json.loads(text)
    if not names:  # what is said of none is not documented
        raise ApiError(-1105, "Parameter 'symbols' was empty.")
    if len(names) != len(set(names)):
        raise ApiError(*REPEATED_SYMBOL)
    return names


def _illegal(name: str, pattern: str) -> str:
    return f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'."


def _malformed(name: str) -> ApiError:
    text = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    return ApiError(-1102, text)
