"""Candles that files of history have, for answers: read in threads of their own, and bounded."""

import asyncio
import logging
import time
from typing import NamedTuple

from django.db import Error as DatabaseError
from django.db import close_old_connections

from exchanges.daemon_threads import Workers
from exchanges.errors import LivermoreError, Misconfigured
from exchanges.models import Exchange
from exchanges.redis.unreadable import OnceAnHour
from history.decoded import Decoded
from history.parquet import Row
from history.reading import CACHE, HISTORY, Found, Reading, open_store
from history.store.reading import Stretch
from history.store.store import HistoryStore
from livermore.market.coverage import Coverage, Interval, intersect
from livermore.market.derived import AnyTimeframe, base_of
from livermore.market.timeframe import Timeframe
from serving.candles.selection import Wanted
from serving.directory import ServedExchange
from serving.memory.stored import StoredRows
from serving.memory.windows import Window

logger = logging.getLogger(__name__)

THREADS = 2
MOST_BYTES = 64_000_000  # of months in memory: 18 of minutes
MOST_PARTS = 200_000  # shorter bars that are read to make longer ones for one answer
LONGEST_READ_SECONDS = 5.0
SECONDS_BETWEEN_LOOKS = 5.0  # whether there is history of an exchange
MORE_BARS = 2  # the newest may be awaited
FOREVER_MS = 1 << 53


class Joined(NamedTuple):
    """What history and the cache have together: a window, and who has what of it."""

    window: Window
    found: Found

    def source(self, needed: Interval, *, with_open: bool = False) -> str:
        """Return who has what of a stretch that was needed; an open candle is the cache's."""
        return f"{CACHE}+{HISTORY}" if with_open else self.found.source(*needed)

    def is_of_history(self, stretch: Interval) -> bool:
        """Tell whether the cache lacks some of a stretch that history has."""
        return HISTORY in self.found.source(*stretch)


class History:
    """Reads history of all exchanges. Used in the event loop alone."""

    def __init__(self) -> None:
        self._workers = Workers(THREADS, "serving-history")
        self._decoded = Decoded(MOST_BYTES)
        self._stores: dict[int, tuple[float, HistoryStore | None]] = {}
        self._news = OnceAnHour()
        self._is_off = False

    async def wanted(
        self,
        exchange: ServedExchange,
        symbol: str,
        timeframe: AnyTimeframe,
        wanted: Wanted,
        until_ms: int,
        kept: Window,
    ) -> Joined | None:
        """Return closed bars before `until_ms`: as many as are wanted, but for a hole or the end.

        `kept` is what the cache has of what the timeframe is made of. None where there is no
        history, or it can't be read now, which the log says.
        """

        def read(reading: Reading) -> Found:
            if wanted.start_ms is None:
                more = wanted.limit + MORE_BARS
                return _newest(reading.newest(timeframe, until_ms, more), wanted.limit)
            found = reading.oldest(timeframe, wanted.start_ms, until_ms, wanted.limit)
            return _oldest(found, timeframe.ceil(wanted.start_ms), wanted.limit, timeframe.ms)

        return await self._joined(exchange, symbol, timeframe, kept, read)

    async def between(
        self,
        exchange: ServedExchange,
        symbol: str,
        timeframe: AnyTimeframe,
        stretch: Interval,
        kept: Window,
    ) -> Joined | None:
        """Return what is known of the closed bars of a stretch, be it with holes."""
        return await self._joined(
            exchange, symbol, timeframe, kept, lambda reading: reading.read(timeframe, *stretch)
        )

    def close(self) -> None:
        """Begin nothing more."""
        self._workers.close()

    async def _joined(self, exchange, symbol, timeframe, kept, read) -> Joined | None:
        if self._is_off:
            return None
        known = self._stores.get(exchange.exchange_id)
        if known and known[1] is None and time.monotonic() < known[0]:
            return None
        base = base_of(timeframe)
        job = self._workers.submit(self._read, exchange, symbol, base, kept, read)
        try:
            async with asyncio.timeout(LONGEST_READ_SECONDS):
                return await asyncio.wrap_future(job)
        except Misconfigured as error:  # it lacks what it takes, as long as this process lives
            self._is_off = True
            logger.warning("serving.no_history error=%s", error)
        except TimeoutError:  # of a place that is far away, or a disk that hangs
            self._note(exchange, f"that takes longer than {LONGEST_READ_SECONDS:.0f} s")
        except (LivermoreError, DatabaseError) as error:
            self._note(exchange, error)
        return None

    def _note(self, exchange: ServedExchange, error: Exception | str) -> None:
        if self._news.is_news(exchange.name, type(error).__name__):
            logger.warning("serving.no_history error=%s", error)

    def _read(self, exchange, symbol, base, kept, read) -> Joined | None:
        close_old_connections()
        store = self._store(exchange.exchange_id)
        if store is None:
            return None

        def cached(timeframe: Timeframe) -> Stretch:
            is_kept = timeframe == base
            return Stretch(kept.rows[:], kept.coverage) if is_kept else Stretch([], ())

        found = read(Reading(store, symbol, cached, MOST_PARTS))
        rows = StoredRows.of(found.rows)
        window = Window([int(row[0]) for row in found.rows], rows, found.covered)
        return Joined(window, found)

    def _store(self, exchange_id: int) -> HistoryStore | None:
        until, store = self._stores.get(exchange_id, (0.0, None))
        if time.monotonic() >= until:
            store = open_store(Exchange.objects.get(pk=exchange_id), self._decoded)
            self._stores[exchange_id] = time.monotonic() + SECONDS_BETWEEN_LOOKS, store
        return store


def _oldest(found: Found, start_ms: int, limit: int, step: int) -> Found:
    rows = [row for row in found.rows if row[0] >= start_ms][:limit]
    until_ms = int(rows[-1][0]) + step if len(rows) == limit else FOREVER_MS
    return _cut(found, rows, (0, until_ms))


def _newest(found: Found, limit: int) -> Found:
    rows = found.rows[-limit:]
    return _cut(found, rows, (int(rows[0][0]) if len(rows) == limit else 0, FOREVER_MS))


def _cut(found: Found, rows: list[Row], stretch: Interval) -> Found:
    covered: Coverage = intersect(found.covered, (stretch,))
    return found._replace(rows=rows, covered=covered)
