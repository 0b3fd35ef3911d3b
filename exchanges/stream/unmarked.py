"""Minutes of an exchange that shows each trade's bar, but never says of one that it is closed.

Where nothing is traded it sends nothing. So a bar ends as it was shown last, once a later one of
its symbol comes, or the exchange's time is far enough beyond it; and a minute of which nothing came
had no trades, as long as the subscription was there from before its beginning to after its end.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

from exchanges.stream.events import CandleUpdate, Concluded, Event, Revised
from livermore.market.candle import Candle
from livermore.market.timeframe import Timeframe

M1 = Timeframe.M1
GRACE_MS = 2_000  # how far behind frames of others an update of a bar may come
KEPT = 30  # closed minutes of a symbol, to be compared with what is shown of them later
MOST_CONCLUDED = 120  # minutes of a symbol at once: what lies further apart is left to REST


@dataclass(slots=True)
class _Minutes:
    """One symbol: what is before `next_ms` was told, or is not known here; `price` is the last."""

    next_ms: int
    price: float
    is_open: Candle | None = None  # the bar at `next_ms`, None where nothing was shown of it
    told: dict[int, Candle] = field(default_factory=dict)
    is_paused: bool = False
    sure_ms: int = 0  # up to when what was told was shown again, and was the same


class UnmarkedBars:
    """Closes the bars of one connection; a new connection has new ones, which `go_on_from` those.

    Candles given to it are of a minute, whole from its beginning as far as it has got, each in the
    order in which it was sent. Frames that come to it must not be superseded while they wait:
    `time` would overtake them.
    """

    def __init__(self, grace_ms: int = GRACE_MS):
        self._grace_ms = grace_ms
        self._symbols: dict[str, _Minutes] = {}
        self._next_due_ms: float = inf

    def shown(self, symbol: str, candle: Candle) -> list[Event]:
        """Take a bar as a frame shows it; return what closed before it, and the bar itself.

        Of a bar that was told to be closed and is another one now `Revised` is returned.
        """
        minutes = self._symbols.get(symbol)
        if minutes is None:
            minutes = self._symbols[symbol] = _Minutes(candle.timestamp, candle.open)
        if minutes.is_paused:
            return [CandleUpdate(symbol, candle, closed=False)]
        if _is_behind_all_told(minutes, candle):
            minutes.next_ms = candle.timestamp  # a subscription began in it, and it is whole
        if candle.timestamp < minutes.next_ms:
            return self._compared(symbol, minutes, candle)
        if _are_far_apart(minutes.next_ms, candle.timestamp):
            del self._symbols[symbol]
            return [CandleUpdate(symbol, candle, closed=False)]
        found = self._close_until(symbol, minutes, candle.timestamp)
        if minutes.is_open is None or candle.volume >= minutes.is_open.volume:  # else it is older
            minutes.is_open, minutes.price = candle, candle.close
        self._note_due(minutes)
        return [*found, CandleUpdate(symbol, candle, closed=False)]

    def snapshot(self, symbol: str, rows: Sequence[Candle], sent_ms: int) -> list[Event]:
        """Take the newest bars, oldest first, as a subscription begins with them.

        Minutes without trades are not among them. What ended before is left to REST, but where the
        same connection had this symbol before and a row shows that nothing lies between.
        """
        minutes = self._symbols.pop(symbol, None)
        if not rows:
            return []
        if minutes and rows[0].timestamp < minutes.next_ms:
            minutes.is_paused = False
            self._symbols[symbol] = minutes
            self._note_due(minutes)
            return [event for row in rows for event in self.shown(symbol, row)]
        doubtful = [] if minutes is None else self._doubted(symbol, minutes, rows[0].timestamp)
        minute_ms = M1.floor(sent_ms)
        if rows[-1].timestamp >= minute_ms:
            return [*doubtful, *self.shown(symbol, rows[-1])]
        minutes = _Minutes(minute_ms + M1.ms, rows[-1].close)
        minutes.told[rows[-1].timestamp] = rows[-1]  # its last trades may be shown yet
        self._symbols[symbol] = minutes
        self._note_due(minutes)
        return doubtful

    @staticmethod
    def _doubted(symbol: str, minutes: _Minutes, shown_ms: int) -> list[Event]:
        """Return what to doubt where much was traded that was not shown: all since it was.

        Not where that was long ago: much is fetched by then, and may not be had again.
        """
        told = minutes.told
        if not told or told[max(told)].volume or _are_far_apart(minutes.next_ms, shown_ms):
            return []
        return [Revised(symbol, _shown_last(told, minutes.next_ms))]

    def go_on_from(self, before: "UnmarkedBars") -> None:
        """Learn what a connection that is gone has told: snapshots are held against it."""
        for symbol, minutes in before._symbols.items():
            minutes.is_paused = True
            self._symbols[symbol] = minutes

    def pause(self, symbol: str) -> None:
        """Learn that a symbol is not subscribed, until a snapshot of it comes."""
        if minutes := self._symbols.get(symbol):
            minutes.is_paused = True

    def lost(self, symbols: Iterable[str] | None = None) -> None:
        """Learn that a frame of symbols, None: of any, is missing: what is open is left to REST.

        A symbol begins anew with what is shown of it next, which is whole again.
        """
        for symbol in list(self._symbols) if symbols is None else symbols:
            self._symbols.pop(symbol, None)

    def time(self, time_ms: int) -> list[Event]:
        """Learn the exchange's time when it sent a frame, of whatever; return what closed."""
        if time_ms < self._next_due_ms:
            return []
        until_ms = M1.floor(time_ms - self._grace_ms)
        self._next_due_ms = inf
        found: list[Event] = []
        for symbol, minutes in list(self._symbols.items()):
            if minutes.is_paused:
                continue
            if _are_far_apart(minutes.next_ms, until_ms):
                del self._symbols[symbol]
            else:
                found += self._close_until(symbol, minutes, until_ms)
                self._note_due(minutes)
        return found

    def _note_due(self, minutes: _Minutes) -> None:
        self._next_due_ms = min(self._next_due_ms, minutes.next_ms + M1.ms + self._grace_ms)

    def _compared(self, symbol: str, minutes: _Minutes, candle: Candle) -> list[Event]:
        """Hold a bar against what was told of it."""
        told = minutes.told.get(candle.timestamp)
        if told == candle:
            minutes.sure_ms = max(minutes.sure_ms, candle.close_time_ms)
        if told is None or told == candle or candle.volume < told.volume:  # as it was before
            return []
        from_ms = max(_shown_last(minutes.told, candle.timestamp), minutes.sure_ms)
        revised = Revised(symbol, min(from_ms, candle.timestamp))
        minutes.told[candle.timestamp] = candle  # once is enough
        later = [each for time, each in minutes.told.items() if time > candle.timestamp]
        if minutes.is_open is None and not any(each.volume for each in later):
            minutes.price = candle.close
        return [revised]

    def _close_until(self, symbol: str, minutes: _Minutes, until_ms: int) -> list[Event]:
        found: list[Event] = []
        while minutes.next_ms < until_ms:
            bar = minutes.is_open or _flat(minutes.next_ms, minutes.price)
            minutes.is_open, minutes.next_ms = None, minutes.next_ms + M1.ms
            minutes.told[bar.timestamp] = bar
            if len(minutes.told) > KEPT:
                del minutes.told[next(iter(minutes.told))]
            found.append(Concluded(symbol, bar))
        return found


def _is_behind_all_told(minutes: _Minutes, candle: Candle) -> bool:
    """Tell whether a bar that was passed over comes after those that are known."""
    told = minutes.told
    return bool(told) and max(told) < candle.timestamp < minutes.next_ms


def _are_far_apart(next_ms: int, until_ms: int) -> bool:
    """Tell whether frames that come all the time can't lie so far apart: a time is wrong then."""
    return until_ms - next_ms > MOST_CONCLUDED * M1.ms


def _shown_last(told: dict[int, Candle], time_ms: int) -> int:
    """Return when the bar opened that was shown last before what is known to be wrong by now.

    It may lack its last trades, and what lies between trades that nobody was told of.
    """
    if (bar := told.get(time_ms)) and bar.volume:
        return time_ms
    before = sorted((time for time in told if time < time_ms), reverse=True)
    return next((time for time in before if told[time].volume), min(told))


def _flat(open_ms: int, price: float) -> Candle:
    """Return the bar of a minute without trades: at the price of the last one before."""
    return Candle(open_ms, price, price, price, price, 0.0, M1)
