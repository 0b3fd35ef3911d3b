"""What time it is at each exchange, and what of a pair's candles the cache has then."""

import asyncio

from livermore.market.candle import Candle
from livermore.market.coverage import missing
from livermore.market.derived import AnyTimeframe, base_of
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.candles.clocks import Clocks
from serving.candles.selection import GRACE_MS, Selection, Wanted, select
from serving.candles.waiting import Waits
from serving.counting.asked import held
from serving.directory import ServedExchange
from serving.memory.views import view
from serving.memory.windows import Window, Windows
from serving.reading import CacheReader

# Who waits for a bar may ask that long before it ends, and for so long at the most.
EARLY_MS, LONGEST_WAIT_MS = 1000, 60_000
MOST_BEHIND_MS = 60_000  # a candle that is further ahead than that says nothing of the time
SECONDS_BETWEEN_LOOKS = 0.02
MOST_SELECTED = 100  # of one window


class Cached:
    """Reads times and windows of all exchanges. Any number of tasks may ask."""

    def __init__(self, windows: Windows, clocks: Clocks, reader: CacheReader):
        self._windows = windows
        self._clocks = clocks
        self._reader = reader
        self._waits = Waits()
        self._ahead: dict[int, asyncio.Task[Candle | None]] = {}  # of open candles, by exchange
        self._ending = False

    async def now_ms(self, exchange: ServedExchange) -> int:
        """Return the exchange's time. Raises Unavailable where it can't be read yet."""
        if not self._clocks.knows(exchange.exchange_id):
            await self._reader.read(self._clocks.read, exchange.exchange_id)
        return self._clocks.now_ms(exchange.exchange_id)

    async def told_ms(self, exchange: ServedExchange) -> int | None:
        """Return the exchange's time, None where no runner has told it. Raises Unavailable."""
        now_ms = await self.now_ms(exchange)
        return now_ms if self._clocks.is_told(exchange.exchange_id) else None

    async def time_of(self, exchange: ServedExchange, symbol: str, timeframe: AnyTimeframe) -> int:
        """Return the exchange's time, at least the end of a pair's newest close, in ms.

        Raises Unavailable.
        """
        base = base_of(timeframe)
        now_ms = await self.now_ms(exchange)
        return _by_closes(now_ms, await self.current(exchange, Pair(symbol, base)), base)

    async def is_streamed(self, exchange: ServedExchange) -> bool:
        """Tell whether a runner streams it now. Raises Unavailable."""
        await self.now_ms(exchange)
        return self.is_streamed_now(exchange)

    def is_streamed_now(self, exchange: ServedExchange) -> bool:
        """Tell that at once of one that was asked for before."""
        return self._clocks.is_streamed(exchange.exchange_id)

    async def wait(
        self, exchange: ServedExchange, symbol: str, timeframe: AnyTimeframe, wait_ms: int
    ) -> None:
        """Return once the bar is known that ends now, or after so long. Raises Unavailable.

        It is the one that has ended last, or that ends within a second.
        """
        pair = Pair(symbol, base_of(timeframe))
        ends_ms = pair.timeframe.floor(await self.now_ms(exchange) + EARLY_MS)
        seconds = min(wait_ms, LONGEST_WAIT_MS) / 1000

        async def look() -> None:
            while not self._ending:
                window = await self.current(exchange, pair)
                if not missing(window.coverage, ends_ms - pair.timeframe.ms, ends_ms):
                    return
                await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

        with held():
            await self._waits.wait((exchange.exchange_id, pair, ends_ms), look, seconds)

    def end(self) -> None:
        """Hold no answer any longer: the server ends."""
        self._ending = True

    async def find(
        self, exchange: ServedExchange, symbol: str, timeframe: AnyTimeframe, wanted: Wanted
    ) -> tuple[Window, Selection, int]:
        """Return a pair's window, what of it is wanted, and the time at which that was so."""
        await self.now_ms(exchange)  # and whether it is streamed: what is known hangs on that
        kept = await self.current(exchange, Pair(symbol, base_of(timeframe)))
        window, now_ms = view(kept, timeframe), await self.now_ms(exchange)
        now_ms = _by_closes(now_ms, kept, base_of(timeframe))
        return window, _selected(window, timeframe, wanted, now_ms), now_ms

    async def window(self, exchange: ServedExchange, pair: Pair) -> Window:
        """Return a pair's candles and when all are known, as the cache has them now.

        Raises Unavailable.
        """
        await self.now_ms(exchange)  # and whether it is streamed: what is known hangs on that
        return await self.current(exchange, pair)

    async def current(self, exchange: ServedExchange, pair: Pair) -> Window:
        """Return the same for who has asked for the time before. Raises Unavailable."""
        window = self._windows.kept(exchange.exchange_id, pair)
        if window is None:
            window = await self._reader.read(self._windows.current, exchange, pair)
        return window

    async def read_again(self, exchange: ServedExchange, pair: Pair) -> Window:
        """Read it again: that it has changed may not have been told yet. Raises Unavailable."""
        return await self._reader.read(self._windows.read, exchange, pair)

    async def live(self, exchange: ServedExchange, pair: Pair) -> Candle | None:
        """Return the open candle that its stream told last, None where none did.

        While it is asked for again and again it is read ahead, and nobody waits. Raises
        Unavailable.
        """
        number = exchange.exchange_id
        was_read, candle = self._windows.kept_live(number, pair)
        if not was_read:
            return await self._reader.read(self._windows.read_live, number, pair)
        if number not in self._ahead and self._windows.is_live_due(number, pair):
            reading = self._reader.read(self._windows.read_live, number, pair)
            self._ahead[number] = task = asyncio.create_task(reading)
            task.add_done_callback(lambda done: self._end_reading_ahead(number, done))
        return candle

    def _end_reading_ahead(self, number: int, done: asyncio.Task[Candle | None]) -> None:
        del self._ahead[number]
        if not done.cancelled():
            done.exception()  # who asks once it is too old is told why


def _by_closes(now_ms: int, window: Window, timeframe: Timeframe) -> int:
    """Return a time that is not before the end of a bar that is known to have closed.

    What its runner tells of the exchange's time is as old as the message that told it.
    """
    ends_ms = window.times[-1] + timeframe.ms if window.times else 0
    return max(now_ms, ends_ms) if ends_ms - now_ms < MOST_BEHIND_MS else now_ms


def _selected(window: Window, timeframe: AnyTimeframe, wanted: Wanted, now_ms: int) -> Selection:
    """Return what of a window is wanted: many ask for the same, which is looked for once."""
    open_ms = timeframe.floor(now_ms)
    which = wanted, open_ms, now_ms < open_ms + GRACE_MS  # all that is asked of the time
    found = window.selected.get(which)
    if found is None:
        if len(window.selected) >= MOST_SELECTED:
            window.selected.clear()
        found = select(window.times, window.coverage, timeframe, wanted, now_ms)
        window.selected[which] = found
    return found
