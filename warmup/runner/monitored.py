"""What is monitored, by the rows, and what runs: compared all the time, and made the same."""

import logging
import threading
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import Error as DatabaseError
from django.db import close_old_connections
from django.db.models.functions import Now

from exchanges.credentials import key_in_use
from exchanges.models import Exchange, Symbol
from exchanges.rest.base import VenueRest
from exchanges.stream.base import VenueStream
from exchanges.stream.streamer import Streamer
from exchanges.symbols.monitoring import monitor, unmonitor
from exchanges.symbols.renaming import RenameOffer, rename_offers
from livermore.market.pair import Pair, pairs_of
from warmup.live.indicators import IndicatorFollower
from warmup.live.sink import CandleSink
from warmup.runner.added_symbols import HistoryFetcher, Progress
from warmup.runner.listing_watch import ListingWatch, longest_age

logger = logging.getLogger(__name__)

STEP_SECONDS = 0.5
SECONDS_BETWEEN_ROWS = 2.0
SECONDS_AFTER_FAULT = 10.0  # of the database: whoever waits for it has nothing else done meanwhile


@dataclass(frozen=True, slots=True)
class LiveParts:
    """What has to learn of symbols that come and go while an exchange is live.

    `rest` is that by which the sink asks for what is missing.
    """

    stream: VenueStream
    streamer: Streamer
    sink: CandleSink
    rest: VenueRest
    follower: IndicatorFollower
    history: HistoryFetcher
    listing: ListingWatch


class MonitoredSymbols:
    """Sees to it that what is monitored and trades is streamed, and its history fetched.

    Each step reads the rows and does what is missing, whoever changed them and whether or not
    somebody said so. A symbol is streamed at once, and fetched as soon as that can be done. One
    that does not trade is neither, until the listing says that it does.
    """

    def __init__(
        self, exchange: Exchange, live: LiveParts, symbols: Sequence[str], only: bool = False
    ):
        """`symbols` are streamed already; with `only` these alone, whatever else is monitored."""
        self.idle: dict[str, str] = {}  # what does not trade, and what became of it
        self._offers: list[RenameOffer] = []
        self._offered_for: object = None
        self._exchange = exchange
        self._live = live
        self._only = set(symbols) if only else None
        # What is streamed, with the names by which REST and the stream were asked for it.
        self._running = {
            symbol: (live.stream.native(symbol), live.stream.streamed_as(symbol))
            for symbol in symbols
        }
        self._unfetched: list[str] = []  # of what was begun
        self._listing_is_old = False
        self._left: set[Pair] = set()  # of these the sink still knows something
        self._lock = threading.RLock()
        self._failing = False
        self._triggered = False
        self._next_step_at = self._next_rows_at = 0.0

    @property
    def running(self) -> list[str]:
        """Return the symbols that are streamed."""
        return list(self._running)

    @property
    def fetched(self) -> list[str]:
        """Return those of them whose history nobody is fetching, or is about to."""
        with self._lock:
            unfetched = {*self._unfetched, *self._live.history.waiting()}
            return [symbol for symbol in self._running if symbol not in unfetched]

    def trigger(self) -> None:
        """Let the rows be read at the next occasion."""
        self._triggered = True

    def add(self, symbols: Collection[str]) -> tuple[list[str], Progress]:
        """Monitor symbols; return those that are streamed from now on, and how far they are.

        Raises UnknownSymbol, as `exchanges.symbols.monitoring.monitor` does, and errors of the
        database.
        """
        with self._lock:
            before = set(self._running)
            monitor(self._exchange, symbols)
            if self._only is not None:
                self._only.update(symbols)
            self.step()
            new = [each for each in symbols if each in self._running and each not in before]
            self._unfetched = [each for each in self._unfetched if each not in new]
            waiting = {*new, *self._live.history.waiting()}
            return new, self._live.history.want(each for each in symbols if each in waiting)

    def remove(self, symbols: Collection[str]) -> list[str]:
        """Monitor symbols no more; return those that were streamed until now."""
        with self._lock:
            before = set(self._running)
            unmonitor(self._exchange, symbols)
            if self._only is not None:
                self._only.difference_update(symbols)
            self.step()
            return [each for each in symbols if each in before]

    def renamed(self, name: str) -> None:
        """Learn that the history of a symbol that was renamed was taken over by `name`."""
        for pair in pairs_of([name]):
            self._live.follower.changed(pair)
        if self._only is not None:
            self._only.add(name)
        self.trigger()

    def step(self) -> None:
        """Compare the rows with what runs, and do what is missing. Raises errors of Django's."""
        with self._lock:
            close_old_connections()
            key_in_use(self._exchange)
            rows = rows_wanted(self._exchange, self._only)
            wanted = {row.symbol: row for row in rows if _trades(row)}
            self.idle = {row.symbol: row.status_text for row in rows if not _trades(row)}
            names = {symbol: self._names(row) for symbol, row in wanted.items()}
            self._end([each for each, known in self._running.items() if names.get(each) != known])
            self._begin([row for row in wanted.values() if row.symbol not in self._running])
            listed_at, read_at = listing_times(self._exchange)
            self._listing_is_old = listing_is_old(rows, listed_at, read_at)
            self._offer_renames(listed_at)

    def as_json(self) -> dict[str, Any]:
        """Return what the status says of symbols."""
        history = self._live.history
        return {
            "symbols": len(self._running),
            "idle": self.idle,
            "renames": [offer.as_json() for offer in self._offers],
            "fetching": list(history.fetching),
            "historiesWaiting": len(history.waiting()),
            "historiesTrouble": history.trouble,
        }

    def keep_up(self, now: float) -> None:
        """Do what is due; `now` is monotonic, in seconds. One thread calls it, often."""
        if not self._triggered and now < self._next_step_at:
            return
        self._next_step_at = now + STEP_SECONDS
        if self._triggered or now >= self._next_rows_at:
            self._triggered = False
            self._try_step()
            wait_seconds = SECONDS_AFTER_FAULT if self._failing else SECONDS_BETWEEN_ROWS
            self._next_rows_at = time.monotonic() + wait_seconds
        self._see_to_the_rest()

    def _try_step(self) -> None:
        try:
            self.step()
            self._failing = False
        except DatabaseError as error:
            if not self._failing:
                logger.warning(
                    "monitored.not_read exchange=%s error=%s", self._exchange.name, error
                )
            self._failing = True
        except Exception:
            if not self._failing:
                logger.exception("monitored.failed exchange=%s", self._exchange.name)
            self._failing = True

    def _see_to_the_rest(self) -> None:
        """Do what needs no row: fetch, forget, and look at the listing where it is time to."""
        live = self._live
        with self._lock:
            if self._unfetched:
                live.history.want(self._unfetched)
                self._unfetched = []
            # The sink keeps a pair until it has learned that it is not streamed any more.
            self._left = {pair for pair in self._left if live.sink.keeps(pair)}
            live.sink.forget(self._left)
        live.listing.doubt(live.sink.unanswered())
        live.listing.step(self._listing_is_old)

    # -- what is missing

    def _end(self, symbols: Sequence[str]) -> None:
        if not symbols:
            return
        logger.info("monitored.ended exchange=%s symbols=%d", self._exchange.name, len(symbols))
        pairs = pairs_of(symbols)
        self._live.streamer.remove(symbols)
        self._live.history.leave(symbols)
        self._live.follower.remove(pairs)
        self._left.update(pairs)
        for symbol in symbols:
            del self._running[symbol]

    def _begin(self, rows: Sequence[Symbol]) -> None:
        if not rows:
            return
        logger.info("monitored.begun exchange=%s symbols=%d", self._exchange.name, len(rows))
        natives = {row.symbol: row.native_symbol for row in rows}
        self._live.stream.learn(natives, {row.symbol: row.alias for row in rows if row.alias})
        self._live.rest.learn(natives)
        pairs = pairs_of(list(natives))
        self._left.difference_update(pairs)
        self._live.follower.add(pairs)  # each has its value as soon as it is fetched
        self._live.streamer.add(natives)
        self._unfetched += natives
        self._running |= {row.symbol: self._names(row) for row in rows}

    def _names(self, row: Symbol) -> tuple[str, str]:
        streamed_as = row.alias or row.native_symbol
        return row.native_symbol, self._live.stream.market_of(row.symbol, streamed_as)

    def _offer_renames(self, listed_at: datetime | None) -> None:
        """Look for new names of what trades no more, once for each listing; say each once."""
        basis = (self.idle, listed_at)
        if basis == self._offered_for:
            return
        before = set(self._offers)
        self._offers = rename_offers(self._exchange) if self.idle else []
        self._offered_for = basis
        for offer in self._offers:
            if offer not in before:
                logger.warning(
                    "symbols.rename_offered exchange=%s from=%s to=%s command=%s",
                    *(offer.exchange, offer.symbol, ",".join(offer.names), offer.commands[0]),
                )


def rows_wanted(exchange: Exchange, only: Collection[str] | None) -> list[Symbol]:
    """Return the rows of what is monitored; or with `only` of these, monitored or not."""
    if only is None:
        return list(exchange.symbols.monitored())
    return list(exchange.symbols.filter(symbol__in=only))


def trading(rows: Iterable[Symbol]) -> list[str]:
    """Return the symbols of those rows that trade."""
    return [row.symbol for row in rows if _trades(row)]


def listing_times(exchange: Exchange) -> tuple[datetime | None, datetime]:
    """Return when the listing was looked at last, and what time it is, by the database's clock."""
    found = Exchange.objects.filter(pk=exchange.pk).annotate(read_at=Now())
    return found.values_list("listed_at", "read_at").get()


def listing_is_old(rows: Iterable[Symbol], listed_at: datetime | None, read_at: datetime) -> bool:
    """Tell whether the listing is to be looked at again; `rows` are those of what is wanted."""
    if listed_at is None:
        return True
    changes = [row.status_since for row in rows if not _trades(row) and row.status_since]
    unchanged = (listed_at - max(changes)).total_seconds() if changes else None
    return (read_at - listed_at).total_seconds() > longest_age(unchanged)


def _trades(row: Symbol) -> bool:
    return row.status == Symbol.Status.TRADING
