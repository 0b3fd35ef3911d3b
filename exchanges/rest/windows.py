"""Candles of an exchange that has a row of each bar, asked for by windows of open times."""

from abc import abstractmethod
from contextlib import suppress
from typing import NamedTuple

from exchanges.rest.base import LOOKS, Known, VenueRest
from exchanges.rest.pacing.budget import Lane
from exchanges.rest.reply import NO_CANDLE, CandleReply, Candles
from livermore.market.candle import LATEST_MS
from livermore.market.coverage import Interval
from livermore.market.timeframe import Timeframe


class Window(NamedTuple):
    """What a page is to hold: at most `limit` rows that opened in `[start_ms, last_ms]`.

    None: from the beginning, or up to now.
    """

    start_ms: int | None
    last_ms: int | None
    limit: int


class WindowRest(VenueRest):
    """The paging of a venue that takes a window whose ends are both inclusive.

    Without a start a page is the newest rows up to its last time. Of a window with more rows than
    its limit it is the oldest ones; the newest ones where the venue `gives_newest`.
    """

    gives_newest = False

    @abstractmethod
    def _page(self, native: str, timeframe: Timeframe, window: Window, lane: Lane) -> list:
        """Return the rows of one answer, in the exchange's order."""

    def _newest(
        self, native: str, timeframe: Timeframe, end_ms: int, count: int, lane: Lane
    ) -> Candles:
        reply = self._reply(timeframe)
        earliest = self._earliest(timeframe, end_ms)
        reaches_now = end_ms == self._closed_ms(timeframe)
        last_ms = LATEST_MS if reaches_now else end_ms + timeframe.ms - 1
        closed: list[int] = []
        while True:
            # Two more than wanted: the open bar, and one that closed a moment ago.
            limit = min(count - len(closed) + 2, self.candles_per_call)
            window = Window(None, None if last_ms == LATEST_MS else last_ms, limit)
            rows = self._rows(native, timeframe, window, lane, LOOKS)
            reply.add_page(rows, 0, last_ms)
            before = len(closed)
            closed = [time for time in reply.times() if time < end_ms]
            if len(closed) >= count or len(closed) == before or closed[0] <= earliest:
                break
            # The oldest row again: what lies before it has rows on both sides then.
            last_ms = closed[0]
        if 0 < len(closed) < count and closed[0] > earliest:
            self._find_beginning(reply, native, timeframe, earliest, closed[0], lane)
        return self._newest_of(reply, timeframe, end_ms, count)

    def _find_beginning(
        self,
        reply: CandleReply,
        native: str,
        timeframe: Timeframe,
        earliest: int,
        oldest_ms: int,
        lane: Lane,
    ) -> None:
        """Ask for the first rows since `earliest`: history began where `oldest_ms` is the first.

        Where the newest ones are given, others than that one tell nothing of what is before them.
        """
        last_ms = oldest_ms + timeframe.ms - 1
        window = Window(earliest, last_ms, self.candles_per_call)
        rows = self._rows(native, timeframe, window, lane, LOOKS)
        known = [] if self.gives_newest and len(rows) > 1 else [oldest_ms]
        reply.add_page(rows, earliest, last_ms, known)

    def _range(
        self,
        native: str,
        timeframe: Timeframe,
        start_ms: int,
        end_ms: int,
        known: Known,
        lane: Lane,
    ) -> Candles:
        return self._range_to(native, timeframe, (start_ms, end_ms), end_ms, known, lane)

    def _range_to(
        self,
        native: str,
        timeframe: Timeframe,
        stretch: Interval,
        reach_ms: int,
        known: Known,
        lane: Lane,
    ) -> Candles:
        reply, (start_ms, end_ms) = self._reply(timeframe), stretch
        is_young = end_ms + self.lag_ms > self.clock.now_ms()
        # The bars after the last one show that it is closed: the open one, and another meanwhile.
        beyond = 2 if is_young else 0
        at, until_ms = known.before_ms or start_ms, (known.after_ms or end_ms - 1) + 1
        while at < until_ms:
            page_end = min(until_ms, at + (self.candles_per_call - beyond) * timeframe.ms)
            last_ms = page_end - 1 + beyond * timeframe.ms
            if page_end == until_ms:
                room_ms = self.candles_per_call * timeframe.ms
                last_ms = max(last_ms, min(reach_ms, at + room_ms) - 1)
            self._add_window(reply, native, timeframe, (at, last_ms), known, lane, is_young)
            newest = max((time for time in reply.times() if time >= at), default=page_end)
            # After a short page go on behind its last row, whatever made it short.
            at = min(newest + timeframe.ms, page_end) if newest < page_end else page_end
        return self._result(reply, timeframe, start_ms, end_ms)

    def _add_window(
        self,
        reply: CandleReply,
        native: str,
        timeframe: Timeframe,
        window: Interval,
        known: Known,
        lane: Lane,
        is_young: bool,
    ) -> None:
        """Take what opens from the window's start to its end, both inclusive.

        Where the newest ones are given, what a page lacks at its beginning is asked for again: it
        may have been too long. Nothing is there where the oldest row alone comes again, as far as
        an answer with a known row proves that.
        """
        (start_ms, last_ms), oldest = window, None
        beside = [time for time in known if time is not None and start_ms <= time <= last_ms]
        while True:
            asked = Window(start_ms, last_ms, self.candles_per_call)
            rows = self._rows(native, timeframe, asked, lane, 1 if is_young else LOOKS)
            first = self._first_time(rows, start_ms)
            is_late = first > timeframe.ceil(start_ms)
            is_cut = self.gives_newest and is_late and (oldest is None or first < oldest)
            here = [time for time in beside if time <= last_ms]
            if beside and oldest is not None:
                here.append(oldest)
            reply.add_page(rows, start_ms, last_ms, [] if is_cut else here)
            if not is_cut:
                return
            oldest = last_ms = first

    def _first_time(self, rows: list, start_ms: int) -> int:
        """Return when the first of these rows opened, not before a start; that without rows."""
        try:
            times = list(map(self._open_time, rows))
        except NO_CANDLE:  # of one at least
            times = []
            for row in rows:
                with suppress(*NO_CANDLE):
                    times.append(self._open_time(row))
        usable = (time for time in times if type(time) is int and time >= start_ms)
        return min(usable, default=start_ms)

    def _rows(
        self, native: str, timeframe: Timeframe, window: Window, lane: Lane, looks: int
    ) -> list:
        """Return the rows of a page; where there are none look again, so many times in all."""
        rows: list = []
        while not rows and looks:
            rows, looks = self._page(native, timeframe, window, lane), looks - 1
        return rows
