"""Minutes of the stream beside what REST tells of them afterwards."""

import time
from dataclasses import dataclass, field
from math import isclose
from typing import TYPE_CHECKING

from exchanges.contact.contact import CLOCK_SECONDS, Contact
from exchanges.contact.fact import Answer
from exchanges.stream.events import CandleUpdate, Clock
from livermore.market.candle import Candle
from livermore.market.timeframe import MINUTE_MS, Timeframe

if TYPE_CHECKING:
    from exchanges.contact.listening import Listening

M1 = Timeframe.M1
LATE_MS = 15_000  # so long after the last minute its frames and its row are waited for


@dataclass
class Told:
    """What the stream told of one minute: its frames, those that closed it, and how late.

    `row_volume` is what REST told of it later, None for nothing.
    """

    frames: int = 0
    volume: float = 0.0
    closes: int = 0
    close_after_ms: int | None = None
    row_volume: float | None = None

    @property
    def is_other(self) -> bool:
        """Return whether the last frame told another volume than REST."""
        row = self.row_volume
        return bool(self.frames) and row is not None and not isclose(self.volume, row)


@dataclass
class Watched:
    """Whole minutes of some symbols, with trades and without, and what the stream told of each."""

    traded: list[Told] = field(default_factory=list)
    quiet: list[Told] = field(default_factory=list)
    symbols: list[str] = field(default_factory=list)


def watch(contact: Contact) -> Watched:
    """Listen to a lively symbol and a quiet one of each kind, and ask REST for the same minutes.

    It is done once for a contact.
    """
    if contact.watched is None:
        contact.watched = _watch(contact)
    return contact.watched


def _watch(contact: Contact) -> Watched:
    quiet = [contact.quiet_symbol(kind) for kind in contact.kinds]
    symbols = list(dict.fromkeys([contact.symbol, *filter(None, quiet)]))
    start_ms = M1.ceil(contact.now_ms())
    end_ms = M1.ceil(start_ms + int(contact.minutes * MINUTE_MS))
    topics = contact.stream.topics(symbols)
    wanted = [topic for topic, pairs in topics.items() if pairs]
    seconds = (end_ms + LATE_MS - contact.now_ms()) / 1000

    looked_at = time.monotonic()

    def over(_: "Listening") -> bool:
        nonlocal looked_at
        if time.monotonic() < looked_at + CLOCK_SECONDS:
            return False
        looked_at = time.monotonic()
        return contact.now_ms() >= end_ms + LATE_MS

    listening = contact.listen(wanted or topics, seconds, over)
    told = told_of_minutes(listening)
    watched = Watched(symbols=symbols)
    for symbol in symbols:
        rows = contact.rows(symbol, M1, start_ms, end_ms)
        for at in range(start_ms, end_ms, M1.ms):
            _sort_in(watched, rows.get(at), told.get((symbol, at), Told()))
    return watched


def told_of_minutes(listening: "Listening") -> dict[tuple[str, int], Told]:
    """Return what was told of each minute, by symbol and open time."""
    found: dict[tuple[str, int], Told] = {}
    sent_ms = 0
    for event in listening.events:
        match event:
            case Clock():
                sent_ms = event.time_ms
            case CandleUpdate() if event.candle.timeframe is M1:
                candle = event.candle
                told = found.setdefault((event.symbol, candle.timestamp), Told())
                told.frames += 1
                told.volume = candle.volume
                if event.closed:
                    told.closes += 1
                    if sent_ms:  # some exchanges do not tell their time
                        told.close_after_ms = max(sent_ms - candle.close_time_ms, 0)
    return found


def ask_closing(contact: Contact) -> Answer:
    """Count the minutes with trades that the stream told to be closed."""
    watched = watch(contact)
    traded = watched.traded
    closed = [each for each in traded if each.closes]
    delays = [each.close_after_ms for each in closed if each.close_after_ms is not None]
    seen = {
        "symbols": watched.symbols,
        "minutes": len(traded),
        "told": sum(each.frames > 0 for each in traded),
        "closed": len(closed),
        "closedTwice": sum(each.closes > 1 for each in closed),
        "latestCloseAfterMs": max(delays, default=None),
        "toldOtherwise": sum(each.is_other for each in traded),
    }
    if not traded:
        return Answer("no minute with trades was watched", None, seen)
    late = f", {max(delays)} ms after their end at the latest" if delays else ""
    text = f"{len(closed)} of {len(traded)} minutes with trades were told to be closed{late}"
    # Where no flag is waited for, bars are closed by what comes after them, or by REST.
    is_so = len(closed) == len(traded) if contact.stream.marks_closed_bars else None
    if contact.stream.concludes_bars:  # from the last frame of each, which has to tell it all
        others = seen["toldOtherwise"]
        is_so = not others
        text = f"the last frames of {others} of {len(traded)} minutes told another volume than REST"
    return Answer(text, is_so, seen)


def ask_quiet_frames(contact: Contact) -> Answer:
    """Count the minutes without trades that the stream told."""
    watched = watch(contact)
    told = sum(each.frames > 0 for each in watched.quiet)
    closed = sum(each.closes > 0 for each in watched.quiet)
    seen = {"minutes": len(watched.quiet), "told": told, "closed": closed}
    if not watched.quiet:
        return Answer("no minute without trades was watched", None, seen)
    text = f"{told} of {len(watched.quiet)} minutes without trades had a frame, {closed} a close"
    return Answer(text, None, seen | {"symbols": watched.symbols})


def _sort_in(watched: Watched, row: Candle | None, told: Told) -> None:
    told.row_volume = row.volume if row else None
    has_trades = row.volume > 0 if row else told.volume > 0
    (watched.traded if has_trades else watched.quiet).append(told)
