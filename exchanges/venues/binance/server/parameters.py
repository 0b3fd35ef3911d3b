"""How Binance reads the query of a call, and refuses what it can't (errors.md)."""

import json
import re

from multidict import MultiMapping

from exchanges.venues.binance.server.errors import ApiError

_SYMBOL = r"^[\w\-._&&[^a-z]]{1,50}$"


class Parameters:
    """The query of one request, read name by name; `finish` refuses what nobody read."""

    def __init__(self, params: MultiMapping[str]):
        self._params = params
        self._read: set[str] = set()
        if len(params) != len(set(params)):
            raise ApiError(-1101, "Duplicate values for a parameter detected.")

    def text(self, name: str) -> str:
        """Return a mandatory parameter."""
        value = self.optional(name)
        if value is None:
            raise ApiError(
                -1102,
                f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.",
            )
        return value

    def optional(self, name: str) -> str | None:
        self._read.add(name)
        value = self._params.get(name)
        if value == "":
            raise ApiError(-1105, f"Parameter '{name}' was empty.")
        return value

    def symbol(self) -> str:
        return legal_symbol("symbol", self.text("symbol"))

    def time(self, name: str) -> int | None:
        value = self.optional(name)
        return None if value is None else _digits(name, value)

    def count(self, name: str, default: int) -> int:
        value = self.optional(name)
        if value is None:
            return default
        if _digits(name, value) < 1:
            raise ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")
        return int(value)

    def symbols(self) -> list[str] | None:
        """Return what `symbol` or `symbols=["A","B"]` names, or None where neither is sent."""
        one, many = self.optional("symbol"), self.optional("symbols")
        if one and many:
            raise ApiError(-1128, "Combination of optional parameters invalid.")
        if one:
            return [legal_symbol("symbol", one)]
        return None if many is None else _listed(many)

    def finish(self, *ignored: str) -> None:
        """Refuse parameters that weren't read."""
        unread = set(self._params) - self._read - set(ignored)
        if unread:
            sent = len(self._params)
            raise ApiError(
                -1104,
                f"Not all sent parameters were read; read '{sent - len(unread)}' parameter(s) "
                f"but was sent '{sent}'.",
            )


def legal_symbol(name: str, value: str) -> str:
    """Return a symbol that could exist: any script, but no lower-case Latin letters."""
    if not re.fullmatch(r"[\w\-.]{1,50}", value) or re.search("[a-z]", value):
        raise ApiError(-1100, _illegal(name, _SYMBOL))
    return value


def _listed(text: str) -> list[str]:
    try:
        names = json.loads(text)
    except ValueError:
        names = None
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise ApiError(-1100, _illegal("symbols", rf'^\[("{_SYMBOL[1:-1]}"(,)?)+\]$'))
    return [legal_symbol("symbols", name) for name in names]


def _digits(name: str, value: str) -> int:
    if not re.fullmatch("[0-9]{1,20}", value):
        raise ApiError(-1100, _illegal(name, "^[0-9]{1,20}$"))
    return int(value)


def _illegal(name: str, pattern: str) -> str:
    return f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'."
