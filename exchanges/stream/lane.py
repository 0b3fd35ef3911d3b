"""A share of an address's topics on one connection: reconnecting, renewing, noticing silence."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import log2
from typing import NamedTuple, Protocol, TypeVar

from exchanges.stream.base import StreamSession, Topic, VenueStream
from exchanges.stream.connection import QUIET_SECONDS, Connection
from exchanges.stream.events import (
    CandleUpdate,
    Clock,
    Concluded,
    Lost,
    Quiet,
    Revised,
    Shutdown,
    Traded,
)
from exchanges.stream.inbox import EVERY
from exchanges.stream.refused_topics import RefusedTopics
from exchanges.stream.silence import SilenceWatch, Trades
from exchanges.transport.backoff import reconnect_delays
from livermore.market.candle import Ticker
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe

logger = logging.getLogger(__name__)

FRAMES_TOGETHER = 64  # a millisecond's work
GOOD_LIFE_SECONDS = 60  # after so long a connection has proved itself, and delays begin anew
SECONDS_BETWEEN_LISTENING = 5
LEAST_SILENCE_SECONDS = 30
SECONDS_BETWEEN_ANEW = 120  # between two times that all is asked for as frames can't be read
TRIES_PER_SILENCE = 2  # then the pair is taken to be quiet, until it is received again


OfSymbol = TypeVar("OfSymbol", CandleUpdate, Concluded, Revised, Traded, Quiet, Ticker)


class Trouble(NamedTuple):
    """Why a connection failed or ended, and when the next one is tried, in UTC epoch ms."""

    reason: str
    retry_at_ms: int


class Sink(Protocol):
    """Where a stream's events go. All calls come from one thread, `tick` after each round."""

    def candle(self, update: CandleUpdate) -> None: ...
    def ticker(self, ticker: Ticker) -> None: ...
    def traded(self, event: Traded) -> None: ...
    def quiet(self, event: Quiet) -> None: ...
    def concluded(self, event: Concluded) -> None: ...
    def revised(self, event: Revised) -> None: ...

    def clock(self, time_ms: int) -> None:
        """Take the exchange's time when it sent a frame."""

    def received_until(self, time_ms: int) -> None:
        """Learn that every connection has told what the exchange sent up to this time of its."""

    def connected(self, pairs: Iterable[Pair]) -> None:
        """Learn that these are streamed from now on: look for what closed before."""

    def disconnected(self, pairs: Iterable[Pair]) -> None:
        """Learn that these are not streamed any more: nothing is known of them until they are."""

    def polled(self, pairs: Iterable[Pair]) -> None:
        """Learn that these are not streamed, but REST is to be asked at their bars' ends.

        So it stays until they are `connected` or `disconnected`.
        """

    def closed(self) -> None:
        """Learn that frames came that may close bars, and were told between two rounds."""

    def tick(self) -> None: ...


class Lane:
    """A share of the topics on one connection, or on two while the first is being renewed.

    It looks at what is and does what is missing: each step compares the topics it shall have with
    those of its connection, and the pairs that the sink was told of with those that are streamed.
    What the exchange refuses is remembered over connections, and its pairs are to be polled.
    """

    def __init__(
        self,
        stream: VenueStream,
        address: str,
        sink: Sink,
        may_connect: Callable[[], bool],
        told_for: Mapping[str, Sequence[str]],
        trades: Trades | None,
        connection: Callable[..., Connection],
    ):
        """`told_for` says for which symbols those events are that are not for their own alone.

        `connection` returns a new one of the topics and those of them that are refused, at the
        `address` of them all.
        """
        self.address = address
        self.topics: dict[Topic, list[Pair]] = {}
        self.pairs: set[Pair] = set()  # of the topics; made anew in every step they cost more
        self.counters: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._stream = stream
        self._sink = sink
        self._may_connect = may_connect
        self._told_for = told_for
        self._connection = connection
        self._current: Connection | None = None
        self._successor: Connection | None = None
        self._before: StreamSession | None = None  # of the last connection that was opened
        self.streamed: set[Pair] = set()  # as the sink was told
        self.polled: set[Pair] = set()  # as the sink was told
        self._announce_again = False
        self._refused_topics = RefusedTopics(stream)
        self._seen: tuple[set[Pair], set[Pair]] = set(), set()  # streamed, polled in this step
        self._delays = reconnect_delays()
        self._next_try_at = 0.0
        self.trouble: Trouble | None = None  # why there is no connection, once one failed
        self._ends_soon = False
        self._received_at: dict[tuple[str, Timeframe], float] = {}  # by what equals a pair
        self._asked_again: Counter[Topic] = Counter()
        self._asks_anew, self._next_anew_at = False, 0.0
        self._next_listening_at = 0.0
        self._watch = SilenceWatch(LEAST_SILENCE_SECONDS, trades)
        self._symbols: set[str] = set()
        self._shortest: dict[Topic, Pair] = {}
        self._kept_up: tuple[Connection, dict[Topic, list[Pair]]] | None = None
        self._tickers: list[Topic] = []  # topics without candles
        self._received_any_at = 0.0
        self.received_ms = 0  # the exchange's time, as the last frame told it
        self._resubscribing = False  # something of what was streamed

    @property
    def silent(self) -> bool:
        """Tell whether something is due that doesn't come."""
        return self._current is not None and self._watch.doubtful

    @property
    def connected(self) -> bool:
        return self._current is not None and self._current.opened

    def step(
        self, now: float, *, nameless: bool = False, between: Callable[[], None] = lambda: None
    ) -> None:
        """Read what came, then see to the connections. `now` is monotonic, in seconds.

        `nameless` leaves what may be superseded for a later step. `between` is called after each
        few frames: what can't wait goes between them.
        """
        for connection in self._connections():
            if nameless and not connection.ended.is_set():
                self._read(connection, now, nameless=True)
            else:
                self._read_all(connection, now, between)
        if self._current and self._current.ended.is_set():
            self._disconnected(self._current, now)
        if self._current is None:
            self._connect(now)
        else:
            self._current = self._renewed(self._current, now)
            self._keep_up(self._current, now)
        self._seen = self._standing()
        self._tell_gone()

    def read_closes(self, now: float) -> None:
        """Read what may close bars; open candles wait for the next step."""
        for connection in self._connections():
            self._read(connection, now, nameless=True)

    def announce(self, now: float) -> None:
        """Tell the sink what is new in this step: after all lanes have told what is gone."""
        streamed, polled = self._seen
        if not self._announce_again and self._is_told():
            return
        if new := streamed if self._announce_again else streamed - self.streamed:
            self._received_at.update(dict.fromkeys(new - self.streamed, now))
            self._sink.connected(new)
            self._announce_again = False
        if more := polled - self.polled:
            self._sink.polled(more)
        self.streamed, self.polled = self._seen

    def retry_given_up(self) -> None:
        """Ask once more for what the exchange refuses, from the next step on."""
        self._refused_topics.retry()

    def carry(self, topics: dict[Topic, list[Pair]]) -> None:
        """Carry these topics, all of its address, and no others, from the next step on."""
        self.topics = topics
        self.pairs = {pair for pairs in topics.values() for pair in pairs}
        self._symbols = {pair.symbol for pair in self.pairs}
        self._tickers = [topic for topic, pairs in topics.items() if not pairs]
        # Of a topic that feeds several timeframes only the shortest is received.
        self._shortest = {
            topic: min(pairs, key=lambda pair: pair.timeframe.ms)
            for topic, pairs in topics.items()
            if pairs
        }

    def close(self) -> None:
        """Begin to end the connections."""
        self._watch.close()
        for connection in self._connections():
            connection.close()

    def join(self, seconds: float) -> None:
        """Wait for the connections to end, and read what they still had."""
        for connection in self._connections():
            connection.join(seconds)
            self._read(connection, time.monotonic())

    def _connections(self) -> list[Connection]:
        return [each for each in (self._current, self._successor) if each]

    def _read_all(self, connection: Connection, now: float, between: Callable[[], None]) -> None:
        for _ in range(0, connection.inbox.waiting, FRAMES_TOGETHER):
            between()
            self._read(connection, now, most=FRAMES_TOGETHER)
        self._read(connection, now)

    def _read(
        self, connection: Connection, now: float, *, nameless: bool = False, most: int = EVERY
    ) -> None:
        candles, tickers, told_ms = set(), False, 0
        events = connection.read(nameless=nameless, most=most)
        self.counters += connection.counted()
        if connection.has_lost() and self._stream.concludes_bars:
            self._asks_anew = True  # nothing is concluded of what is silent until it is shown
        for event in events:
            self._received_any_at = now
            match event:
                case CandleUpdate():
                    candles.add(event.symbol)
                    for update in self._for_each(event):
                        self._received_at[update.symbol, update.candle.timeframe] = now
                        self._sink.candle(update)
                case Clock(time_ms=time_ms):  # one with each of them: ahead of what is rare
                    if time_ms != told_ms:
                        self.received_ms = told_ms = time_ms
                        self._sink.clock(time_ms)
                case Concluded():  # nothing was received of it: it may be the silence of a fault
                    for ended in self._for_each(event):
                        self._sink.concluded(ended)
                case Revised():
                    for revised in self._for_each(event):
                        self._sink.revised(revised)
                case Traded():
                    for traded in self._for_each(event):
                        self._sink.traded(traded)
                case Quiet():
                    for quiet in self._for_each(event):
                        self._sink.quiet(quiet)
                case Ticker():
                    tickers = True
                    for ticker in self._for_each(event):
                        self._sink.ticker(ticker)
                case Lost():
                    self.counters["lost"] += event.count or 1
                    self._announce_again = True  # so that what was lost is healed
                case Shutdown():
                    self._ends_soon = True
        if candles:
            self._watch.received_candles(candles, self.received_ms, now)
        if tickers:
            self._watch.received_tickers(now)
        self.refused += connection.refused()

    def _for_each(self, event: OfSymbol) -> Iterable[OfSymbol]:
        """Return an event under the name of each symbol that it is for."""
        names = self._told_for.get(event.symbol) if self._told_for else None
        return (event,) if names is None else [_named(event, name) for name in names]

    def _connect(self, now: float) -> None:
        if self.topics and now >= self._next_try_at and self._may_connect():
            self._current = self._open()
            if self._before:
                self._current.session.go_on_from(self._before)

    def _open(self) -> Connection:
        refused = set(self._refused_topics.topics)
        connection = self._connection(self.topics, refused, address=self.address)
        connection.start()
        return connection

    def _disconnected(self, gone: Connection, now: float) -> None:
        self._read(gone, now)  # what came since it was read last, before it ended
        self._current = None
        self._before = gone.session if gone.opened else self._before
        logger.warning("stream.disconnected url=%s reason=%s", self.address, gone.reason)
        self._ends_soon = False
        if self._successor:
            self._current, self._successor = self._successor, None
            self._announce_again = True
            if self._current.opened and self._current.settled:
                return
        if gone.opened:
            self.counters["reconnects"] += 1
        if gone.age_seconds > GOOD_LIFE_SECONDS:
            self._delays = reconnect_delays()
        delay = next(self._delays)
        self._next_try_at = now + delay
        self.trouble = Trouble(gone.reason, int(1000 * (time.time() + delay)))
        self._watch.pause()
        self._sink.disconnected(self.streamed)
        self.streamed = set()

    def _renewed(self, current: Connection, now: float) -> Connection:
        """Return the successor of a connection that is old or about to end, once it is there."""
        limit = self._stream.limits.longest_life_seconds
        old = self._ends_soon or current.age_seconds > limit
        successor = self._successor
        if successor is None:
            if old and now >= self._next_try_at and self._may_connect():
                self._successor = self._open()
        elif successor.flowing or self._is_quiet(successor, now):
            logger.info("stream.renewed url=%s", self.address)
            current.close()
            self._read(current, now)  # a bar may have closed on it alone
            self._successor = None
            self._ends_soon = False
            self._announce_again = True  # all is streamed without a break, but looking is cheap
            return successor
        elif successor.ended.is_set():
            self._read(successor, now)
            self._next_try_at = now + next(self._delays)
            self._successor = None
        return current

    def _is_quiet(self, successor: Connection, now: float) -> bool:
        """Tell whether a successor is there, and no frame of data can be waited for."""
        there = successor.opened and successor.settled
        return there and now - self._received_any_at > QUIET_SECONDS

    def _keep_up(self, connection: Connection, now: float) -> None:
        """Let the connection have the topics that are wanted, and look for those that fail."""
        if self._kept_up != (connection, self.topics):
            wanted, carried = self.topics.keys(), connection.topics
            connection.add(wanted - carried)
            connection.remove(carried - wanted)
            self._kept_up = connection, self.topics
        self._refused_topics.check(connection, self.topics, now)
        if not connection.settled:
            lost = self._pairs_of(connection.missing()) & self.streamed
            self._resubscribing = self._resubscribing or bool(lost)
        elif self._resubscribing:  # what was missed meanwhile is healed
            self._resubscribing, self._announce_again = False, True
        if now >= self._next_listening_at:
            self._next_listening_at = now + SECONDS_BETWEEN_LISTENING
            self._ask_the_silent(connection, now)
        if connection.opened:
            symbols = self._symbols if self.streamed else ()
            self._watch.check(connection, self._tickers, symbols, now)

    def _is_to_be_asked(self, silence: float, longest: float, asked: int) -> bool:
        """Tell whether a topic that was `asked` for so often in a silence is to be once more."""
        if self._stream.concludes_bars:
            return silence > longest * 2**asked
        return asked < TRIES_PER_SILENCE and silence > longest * (1 + asked)

    def _standing(self) -> tuple[set[Pair], set[Pair]]:
        """Return the pairs that are streamed now, and those that are to be polled instead."""
        polled = self._pairs_of(self._refused_topics.topics)
        if self._current is None or not self._current.opened:
            return set(), polled
        wanted = self.pairs - polled if polled else self.pairs
        if self._current.settled:
            return wanted, polled
        if self._current.asking:  # in a moment all is told at once
            return wanted & self.streamed, polled
        # What is subscribed anew on a connection goes on being streamed.
        return wanted - (self._pairs_of(self._current.missing()) - self.streamed), polled

    def _pairs_of(self, topics: Iterable[Topic]) -> set[Pair]:
        return {pair for topic in topics for pair in self.topics.get(topic, ())}

    def _tell_gone(self) -> None:
        streamed, polled = self._seen
        if self._is_told():
            return
        if gone := (self.streamed | self.polled) - streamed - polled:
            self._sink.disconnected(gone)
            self.streamed, self.polled = self.streamed - gone, self.polled - gone

    def _is_told(self) -> bool:
        """Tell whether the sink knows all; nearly always they are the same sets, not just alike."""
        return self._seen == (self.streamed, self.polled)

    def _ask_the_silent(self, connection: Connection, now: float) -> None:
        """Subscribe anew what has not been received for two bars although it used to trade."""
        silent = []
        if self._asks_anew and now >= self._next_anew_at:
            self._asks_anew, self._next_anew_at = False, now + SECONDS_BETWEEN_ANEW
            self._asked_again.clear()
        for topic, shortest in self._shortest.items():
            if topic in self._refused_topics.topics:
                continue
            longest = max(LEAST_SILENCE_SECONDS, 2 * shortest.timeframe.ms / 1000)
            silence = now - self._received_at.get(shortest, now)
            if silence <= longest:
                self._asked_again.pop(topic, None)
            elif self._is_to_be_asked(silence, longest, self._asked_again[topic]):
                # In a silence that is long already the next time is no sooner than where it grew.
                self._asked_again[topic] += 1
                if self._stream.concludes_bars:
                    self._asked_again[topic] = 1 + int(log2(silence / longest))
                silent.append(topic)
        if silent and connection.opened:
            logger.warning("stream.silent url=%s topics=%d", self.address, len(silent))
            connection.again(silent)
            # Known here already: it may be answered before the next step.
            self._resubscribing = self._resubscribing or not self.streamed.isdisjoint(
                self._pairs_of(silent)
            )


def _named(event: OfSymbol, name: str) -> OfSymbol:
    if isinstance(event, CandleUpdate):
        return event._replace(symbol=name)
    return replace(event, symbol=name)
