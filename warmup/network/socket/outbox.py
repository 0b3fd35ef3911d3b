"""What one browser was sent and has not seen yet. Pure: it is told what time it is.

A WebSocket server takes in whatever it is given to send and keeps it until the browser reads: one
that is frozen would cost more memory with every message. So a browser says how many messages it
has seen, and is not sent more than a few beyond that.
"""

from collections import OrderedDict
from typing import Any

import orjson

from warmup.network.page.prices import with_changes
from warmup.network.signals import reader as signals

WINDOW = 80
SILENCE_SECONDS = 10.0
# A browser says what it has seen every two seconds at the most, and not again if nothing follows:
# only a message that comes later than that has to be answered.
TIMEOUT_SECONDS = 3.0

Message = dict[str, Any]  # `kind`, `text`, and what distinguishes it from others of its kind


class Outbox:
    """The messages of one socket: at most `window` under way, the newest state of the rest."""

    def __init__(self, window: int = WINDOW, silence_seconds: float = SILENCE_SECONDS):
        self.sent = self.seen = 0
        self._window = window
        self._silence_seconds = silence_seconds
        self._answered_at = float("-inf")
        self._owes_since: float | None = None
        self._waiting: OrderedDict[tuple[Any, ...], Message] = OrderedDict()

    @property
    def is_open(self) -> bool:
        """Tell whether a message may go out now."""
        return self.sent - self.seen < self._window

    def note_sent(self, now: float) -> None:
        """Count a message that went out."""
        self.sent += 1
        if self._owes_since is None and now - self._answered_at >= TIMEOUT_SECONDS:
            self._owes_since = now

    def note_seen(self, count: int, now: float) -> None:
        """Learn how many messages the browser has seen so far; ValueError for what can't be."""
        if not self.seen <= count <= self.sent:
            raise ValueError(f"{count} messages seen, of {self.sent} sent")
        if count > self.seen:
            self.seen, self._answered_at, self._owes_since = count, now, None

    def is_frozen(self, now: float) -> bool:
        """Tell whether the browser has owed an answer for too long."""
        return self._owes_since is not None and now - self._owes_since > self._silence_seconds

    def put(self, message: Message) -> None:
        """Take in a message; those that wait and it are merged where one tells both."""
        key = _key(message)
        before = self._waiting.pop(key, None)  # the newest goes last: a card may follow its end
        self._waiting[key] = merge(before, message) if before else message

    def forget(self, kind: str) -> None:
        """Drop what waits of a kind: the browser is about to be told all of it."""
        for key in [key for key in self._waiting if key[0] == kind]:
            del self._waiting[key]

    def take(self) -> Message | None:
        """Return the message to send now, None where there is none or it may not go out."""
        if not self._waiting or not self.is_open:
            return None
        return self._waiting.popitem(last=False)[1]


def merge(first: Message, second: Message) -> Message:
    """Return one message that tells what two of the same kind told, one after the other."""
    if second["kind"] == "pair":
        return _joined_pairs(first, second)
    join = JOINED.get(second["kind"])
    if join is None or second["since"] == 0:
        return second
    if second["since"] != first["version"]:
        return second  # one between them was lost: the browser sees that, and asks for all
    old, new = orjson.loads(first["text"]), orjson.loads(second["text"])
    changes = join(old["changes"], new["changes"])
    text = orjson.dumps(new | {"since": first["since"], "changes": changes}).decode()
    return second | {"since": first["since"], "text": text}


def _joined_changes(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    joined = old | new
    if "grid" in new:
        joined.pop("cells", None)
    elif "cells" in new:
        cells = {(row, column): letter for row, column, letter in old.get("cells", ())}
        cells |= {(row, column): letter for row, column, letter in new["cells"]}
        joined["cells"] = [[*place, letter] for place, letter in cells.items()]
        if "grid" in old:
            joined["grid"] = _painted(old["grid"], joined.pop("cells"))
    if "prices" in new:
        joined.pop("priceChanges", None)
    elif "priceChanges" in new:
        joined["priceChanges"] = old.get("priceChanges", {}) | new["priceChanges"]
        if "prices" in old:
            joined["prices"] = with_changes(old["prices"], joined.pop("priceChanges"))
    return joined


def _painted(grid: dict[str, Any], cells: list) -> dict[str, Any]:
    rows = [list(row) for row in grid["rows"]]
    for row, column, letter in cells:
        rows[row][column] = letter
    return grid | {"rows": ["".join(row) for row in rows]}


def _joined_pairs(first: Message, second: Message) -> Message:
    old, new = orjson.loads(first["text"]), orjson.loads(second["text"])
    for name in ("candles", "macdv"):
        rows = {row[0]: row for row in (*old[name], *new[name])}
        new[name] = [rows[time] for time in sorted(rows)]
    return second | {"text": orjson.dumps(new).decode()}


JOINED = {"card": _joined_changes, "signals": signals.joined}


def _key(message: Message) -> tuple:
    return (message["kind"], message.get("exchange"), *message.get("pair", ()))
