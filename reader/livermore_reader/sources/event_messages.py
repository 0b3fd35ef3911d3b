"""What events say and how their ids are ordered, the same over Redis and over HTTP. Pure."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from livermore_reader.errors import BadRequest
from livermore_reader.sources.source import Close
from livermore_reader.times import DERIVED, KEPT

BEGINNING = "0-0"  # before all that are kept
NOTHING_TOLD = "0-1"  # before the first that was ever told
ID = re.compile(r"\d{1,20}-\d{1,20}", re.ASCII)
# Behind the symbol and the timeframe, in the order of a row.
SIX = ("timestamp", "open", "high", "low", "close", "volume")
FOUR_MORE = ("quoteVolume", "trades", "takerBase", "takerQuote")


def order(event_id: str) -> tuple[int, int]:
    """Return what ids are compared by."""
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number)


def id_to_begin_at(since: "str | None") -> str:
    """Return the id behind which a reader begins, "" where only new ones are wanted.

    Raises BadRequest.
    """
    if since is None or since == "":
        return ""
    if not isinstance(since, str) or not ID.fullmatch(since) or max(order(since)) >= 2**64:
        raise BadRequest(f"since={since!r} is no id of a close, such as 1795896060029-0")
    return since


class Wanted(NamedTuple):
    """Of which symbols and timeframes closes are wanted; of all where none is named."""

    symbols: frozenset[str]
    timeframes: frozenset[str]

    @classmethod
    def of(cls, symbols: Sequence[str], timeframes: Sequence[str]) -> "Wanted":
        """Raises BadRequest for a timeframe whose closes nobody tells."""
        for each in timeframes:
            if each in DERIVED:
                raise BadRequest(f"{each} is made of {DERIVED[each][0]}: follow those")
            if each not in KEPT:
                raise BadRequest(f"{each!r} is no timeframe; followed are {' '.join(KEPT)}")
        return cls(frozenset(symbols), frozenset(timeframes))

    def has(self, close: Close) -> bool:
        if self.symbols and close.symbol not in self.symbols:
            return False
        return not self.timeframes or close.timeframe in self.timeframes


def close_of(event_id: str, exchange: str, message: Any, again: bool = False) -> "Close | None":
    """Return the close that a message tells, None where it is none."""
    if not isinstance(message, dict) or message.get("timeframe") not in KEPT:
        return None
    row = [message.get(name) for name in (*SIX, *FOUR_MORE)]
    if type(row[0]) is not int or any(type(each) not in (int, float) for each in row[1:6]):
        return None
    return Close(
        event_id,
        exchange,
        str(message.get("symbol")),
        message["timeframe"],
        row,
        healed=message.get("healed") is True,
        late=message.get("late") is True,
        again=again or message.get("again") is True,
    )
