"""The parameters of a request to /v1/, and the one line that says what is wrong with them."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from multidict import MultiMapping

from livermore.market.candle import EARLIEST_MS, LATEST_MS, is_time
from livermore.market.timeframe import Timeframe, parse_timeframe


class BadRequest(Exception):
    """What was asked can't be: HTTP 400 with this text."""


class Parameters:
    """Read name by name; `finish` refuses what nobody read."""

    def __init__(self, query: MultiMapping[str]):
        self._query = query
        self._read: set[str] = set()

    def text(self, name: str) -> str:
        """Return a parameter that has to be there."""
        found = self.optional(name)
        if not found:
            raise BadRequest(f"{name} is missing")
        return found

    def optional(self, name: str) -> str | None:
        self._read.add(name)
        values = self._query.getall(name, [])
        if len(values) > 1:
            raise BadRequest(f"{name} was given {len(values)} times")
        return values[0] if values else None

    def many(self, name: str) -> list[str] | None:
        """Return what is given separated by commas, None where nothing is."""
        found = self.optional(name)
        return None if found is None else [each for each in found.split(",") if each]

    def timeframe(self, name: str) -> Timeframe:
        return self._made(name, self.text(name), parse_timeframe)

    def timeframes(self, name: str) -> list[Timeframe] | None:
        found = self.many(name)
        if found is None:
            return None
        return [self._made(name, each, parse_timeframe) for each in found]

    def time(self, name: str) -> int | None:
        """Return a time in ms, given so or in ISO 8601, which is UTC unless it says another."""
        found = self.optional(name)
        return None if found is None else self._made(name, found, parse_time)

    def count(self, name: str, default: int, most: int) -> int:
        found = self.optional(name)
        if found is None:
            return default
        if not (found.isascii() and found.isdigit() and 1 <= int(found[:9]) <= most):
            raise BadRequest(f"{name} is a number from 1 to {most}")
        return int(found)

    def flag(self, name: str) -> bool:
        found = self.optional(name)
        if found not in (None, "0", "1"):
            raise BadRequest(f"{name} is 0 or 1")
        return found == "1"

    def finish(self) -> None:
        """Refuse what nobody has read: it may be a mistyped name."""
        if unknown := sorted(set(self._query) - self._read):
            raise BadRequest(f"{unknown[0][:50]} is not known here; known: {_listed(self._read)}")

    def _made(self, name: str, text: str, make: Callable[[str], Any]) -> Any:
        try:
            return make(text)
        except ValueError as error:
            raise BadRequest(f"{name}: {error}") from None


def parse_time(text: str) -> int:
    """Return a time in UTC epoch ms. Raises ValueError."""
    if text.isascii() and text.isdigit():
        found = int(text[:20])
        if not is_time(found):
            raise ValueError(f"{text[:30]} is no time in epoch milliseconds")
        return found
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text[:40]!r} is no time: write ms since 1970, or 2026-11-28T12:00:00Z"
        ) from None
    found = round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    if not EARLIEST_MS <= found < LATEST_MS:
        raise ValueError(f"{text[:40]} is not in this century")
    return found


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
