"""How candles came into the cache, as far as the newest events of an exchange tell it.

Every close that is streamed, or asked for in its place ("healed"), is told by an event. A candle
without one was fetched over REST, unless its event is no longer read: then nobody knows.
"""

import json
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from livermore_reader.times import KEPT, length_ms

STREAM, HEALED, REST = ORDER = ("stream", "healed", "rest")
MOST_EVENTS = 1_000  # that are read: 10 ms
RUNS_KEPT = 200  # of each pair

Entries = Sequence[tuple[bytes, dict[bytes, bytes]]]


class Run(NamedTuple):
    """Closes told one after the other in the same way."""

    first_ms: int
    last_ms: int
    kind: str


class Origins:
    """What the events of one exchange have told. Any thread may ask.

    `ask` sends with other questions what `learn` takes the answers to.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._last_id = b""
        self._is_whole = False  # these are all that ever were told
        self._runs: dict[tuple[str, str], list[Run]] = {}
        self._lock = threading.Lock()

    def ask(self, pipe: Any) -> bytes:
        """Return the id behind which it asks."""
        if self._last_id:
            pipe.xrange(self._key, self._last_id, "+", count=MOST_EVENTS)
        else:
            self.ask_anew(pipe)
        return self._last_id

    def ask_anew(self, pipe: Any) -> None:
        pipe.xrevrange(self._key, "+", "-", count=MOST_EVENTS)
        pipe.xinfo_stream(self._key)

    def learn(self, behind: bytes, replies: Any) -> bool:
        """Take answers; False where events were missed, so that it has to be asked anew."""
        if not behind:
            self.learn_anew(replies)
            return True
        found = next(replies)
        if not isinstance(found, list) or not found or found[0][0] != behind:
            return False
        with self._lock:
            if behind == self._last_id:  # else another thread has learnt it
                self._add_all(found[1:])
        return len(found) < MOST_EVENTS

    def learn_anew(self, replies: Any) -> None:
        found, info = next(replies), next(replies)
        if isinstance(info, dict):
            added = info.get("entries-added")
        else:  # where there is no stream yet, none ever was told
            added = 0 if "no such key" in str(info) else None
        with self._lock:
            self._runs, self._last_id = {}, b""
            if not isinstance(found, list):  # not a stream, or not for us to see
                self._is_whole = False
                return
            self._is_whole = added is not None and len(found) >= added
            self._add_all(found[::-1])

    def of(self, symbol: str, timeframe: str, times: Sequence[int]) -> set[str]:
        """Return how candles came that opened at `times`, ascending; of some nothing is known."""
        with self._lock:
            runs = list(self._runs.get((symbol, timeframe), ()))
        found: set[str] = set()
        known = 0
        for run in runs:
            told = bisect_right(times, run.last_ms) - bisect_left(times, run.first_ms)
            if told:
                known += told
                found.add(run.kind)
        since = bisect_left(times, runs[0].first_ms) if runs else len(times)
        is_whole = self._is_whole and len(runs) < RUNS_KEPT
        if len(times) - (0 if is_whole else since) > known:
            found.add(REST)
        return found

    def _add_all(self, entries: Entries) -> None:
        for entry_id, fields in entries:
            self._last_id = entry_id
            try:
                told = json.loads(fields[b"event"])
                if told["timeframe"] in KEPT:
                    self._add(told)
            except (LookupError, TypeError, ValueError):  # somebody else wrote it
                continue

    def _add(self, told: dict[str, Any]) -> None:
        """Add a close to the runs of its pair: behind them, or late between them."""
        kind, opened = HEALED if told["healed"] else STREAM, int(told["timestamp"])
        runs = self._runs.setdefault((told["symbol"], told["timeframe"]), [])
        last = runs[-1] if runs else None
        if last and last.kind == kind and opened == last.last_ms + length_ms(told["timeframe"]):
            runs[-1] = last._replace(last_ms=opened)
            return
        if any(run.first_ms <= opened <= run.last_ms for run in runs):  # told again
            return
        at = bisect_left(runs, (opened, 0, ""))
        if at == 0 and "late" in told and not self._is_whole:
            return  # what was told between it and the others is not known
        runs.insert(at, Run(opened, opened, kind))
        del runs[:-RUNS_KEPT]


def joined(kinds: Iterable[str]) -> str | None:
    """Return them as text, None for none."""
    known = set(kinds)
    return ", ".join([each for each in ORDER if each in known]) or None
