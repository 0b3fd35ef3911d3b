"""What every venue's stream does, without a socket: a connection feeds it frames."""

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from math import inf

from exchanges.stream.events import Event
from exchanges.symbols.listed import kind_of
from exchanges.transport.dialing import DIRECTLY, Route
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe

Topic = str  # one thing to subscribe to, in the venue's own words
HOUR_SECONDS = 3600.0
LEAST_WAIT_SECONDS = 0.001  # for those whose turn is first
NO_ALIASES: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What an exchange allows; a breach of any of it can end in a ban."""

    topics_per_connection: int
    topics_per_message: int
    bytes_per_message: int
    seconds_between_messages: float  # of a connection, or where `by_address` of all of them
    seconds_between_connects: float
    longest_life_seconds: float  # a connection is renewed when it is that old
    by_address: bool = False
    connects_at_once: int = 1  # before they have to be apart
    ping_seconds: float | None = None  # how often a session's own `ping` is sent, None: never
    messages_per_hour: int | None = None  # of a connection, its own pings not counted; None: any

    @property
    def messages_per_second(self) -> float:
        """Return how many messages of a connection there are at most within any second.

        An exchange may count an answer to its ping beside them.
        """
        apart = self.seconds_between_messages
        return max(1, int(1 / apart)) if apart else inf


class MessagePace:
    """Keeps messages apart by the seconds that an exchange wants. Threads may share it.

    Whoever has to wait has its turn before those that came later. Of `per_hour` messages, where
    only so many are allowed, none is sent beyond that within any hour.
    """

    def __init__(self, seconds: float, per_hour: int | None = None):
        self._seconds = seconds
        self._per_hour = per_hour
        self._next_at = 0.0
        self._sent_at: deque[float] = deque()  # within the last hour, where that is counted
        self._waiting: dict[object, None] = {}
        self._lock = threading.Lock()

    def wait(self, who: object, now: float, *, counts: bool = True) -> float:
        """Return 0 where `who` may send a message now, which is counted; else when to ask again.

        That is in seconds. Who does not want to send any more says so by `leave`. A message that
        doesn't `count` is apart from others as they are, and is none of an hour's.
        """
        with self._lock:
            self._waiting.setdefault(who)
            ahead = list(self._waiting).index(who)
            seconds = self._next_at - now + ahead * self._seconds
            if counts and self._is_used_up(now):
                seconds = max(seconds, self._sent_at[0] + HOUR_SECONDS - now)
            if ahead or seconds > 0:
                return max(seconds, LEAST_WAIT_SECONDS)
            del self._waiting[who]
            self._next_at = now + self._seconds
            if counts and self._per_hour is not None:
                self._sent_at.append(now)
            return 0.0

    def is_used_up(self, now: float) -> bool:
        """Tell whether all was sent that an hour allows."""
        with self._lock:
            return self._is_used_up(now)

    def is_scarce(self, now: float) -> bool:
        """Tell whether half of what an hour allows was sent: the rest is for what has to be."""
        with self._lock:
            most = self._per_hour
            return most is not None and 2 * self._sent_lately(now) >= most

    def leave(self, who: object) -> None:
        """Wait no more."""
        with self._lock:
            self._waiting.pop(who, None)

    def _is_used_up(self, now: float) -> bool:
        return self._per_hour is not None and self._sent_lately(now) >= self._per_hour

    def _sent_lately(self, now: float) -> int:
        while self._sent_at and self._sent_at[0] <= now - HOUR_SECONDS:
            self._sent_at.popleft()
        return len(self._sent_at)


class StreamSession(ABC):
    """The protocol of one connection: remembers what was asked for and what was acknowledged.

    It has no socket and no clock, and is used by one thread at a time. `unknown` counts frames
    that say something we don't know, `answered` the messages of ours that were answered, be it by
    an error. `has_heartbeats` where heartbeats are subscribed: then silence is never quiet.
    """

    closing_flag = b""  # what a frame that closes a bar has in it, where there is such a flag

    def __init__(self):
        self.unknown = self.answered = 0
        self.has_heartbeats = False
        self.wanted: set[Topic] = set()
        self.confirmed: set[Topic] = set()

    @abstractmethod
    def batches(self, topics: Iterable[Topic]) -> list[list[Topic]]:
        """Share topics out over messages, each within the exchange's limits."""

    @abstractmethod
    def subscribe(self, topics: Iterable[Topic]) -> list[str]:
        """Return the messages that ask for `topics`: one for each batch, others first."""

    @abstractmethod
    def unsubscribe(self, topics: Iterable[Topic]) -> list[str]:
        """Return the messages that end `topics`."""

    @abstractmethod
    def parse(self, frame: bytes) -> list[Event]:
        """Return what a frame says; nothing for an acknowledgement, which is remembered.

        Raises BadPayload for a frame that can't be read; nothing else.
        """

    @abstractmethod
    def question(self) -> str:
        """Return a message whose answer is what the exchange believes to be subscribed.

        What is not in it is not confirmed any more.
        """

    def ping(self) -> str | None:
        """Return the exchange's own kind of ping, a message, None where it has none.

        It is sent every `ping_seconds`, and waited for by nobody: `parse` returns nothing for its
        answer, and does not count it among `answered` or `unknown`.
        """
        return None

    def go_on_from(self, before: "StreamSession") -> None:
        """Learn what the connection before this one has told, which is gone."""
        return

    def lost_frame(self, frame: bytes) -> None:
        """Learn that a frame could not be read: something may have been said that is not known.

        It is empty where frames may be missing, as none came for a while.
        """
        return

    def unacknowledged(self) -> set[Topic]:
        """Return the topics that were asked for and that the exchange has not confirmed."""
        return self.wanted - self.confirmed

    def forget(self, topics: Set[Topic]) -> None:
        """Want these no more, without a message."""
        self.wanted -= topics
        self.confirmed -= topics

    def superseded_by(self, frame: bytes) -> bytes | None:
        """Return a name for what the frame tells the whole of, None if it must be read.

        Of the frames of one name that wait to be read the newest one will do. The connection's
        thread asks this, and what is below.
        """
        return None

    def may_close(self, frame: bytes) -> bool:
        """Tell, at a glance, whether a frame that must be read may close a bar: it is read at once.

        It is asked once of each, in order. Where it is wrong a close waits for the next round.
        """
        return bool(self.closing_flag) and self.closing_flag in frame


class VenueStream(ABC):
    """One exchange's stream: what to subscribe for which symbols, and where."""

    limits: StreamLimits
    marks_closed_bars: bool  # whether a frame says of a bar that it is closed
    # Whether its sessions conclude bars from silence: then silence is asked about ever again.
    concludes_bars: bool = False
    # The timeframe of which the open candles of longer ones are made, None where the exchange
    # streams those itself.
    rolls_up_from: Timeframe | None = None

    def __init__(
        self,
        ws_url: str,
        native_symbols: Mapping[str, str],
        aliases: Mapping[str, str] = NO_ALIASES,
        route: Route = DIRECTLY,
    ):
        """`aliases` are the native names under which symbols are streamed, where not their own."""
        self.ws_url = ws_url.rstrip("/")
        self.route = route
        self._pace: MessagePace | None = None
        self._native_symbols: dict[str, str] = {}
        self._streamed_as: dict[str, str] = {}
        self._symbols: dict[str, str] = {}  # canonical by `market_name`; sessions look into it too
        self.learn(native_symbols, aliases)

    def learn(
        self, native_symbols: Mapping[str, str], aliases: Mapping[str, str] = NO_ALIASES
    ) -> None:
        """Learn names, those of symbols that were listed since among them."""
        self._native_symbols.update(native_symbols)
        names = {symbol: self.market_of(symbol, each) for symbol, each in native_symbols.items()}
        self._symbols.update({market: symbol for symbol, market in names.items()})
        for symbol, market in names.items():
            alias = aliases.get(symbol)
            self._streamed_as[symbol] = self.market_of(symbol, alias) if alias else market
            self._symbols.setdefault(self._streamed_as[symbol], symbol)

    @staticmethod
    def market_name(native_symbol: str, kind: str) -> str:
        """Return the text by which a market is known here, and by which topics may name it.

        The native symbol; more where that stands for a market of each kind, as for its REST.
        """
        return native_symbol

    def market_of(self, symbol: str, native_symbol: str) -> str:
        """Return the same of a canonical symbol, under one of the exchange's names of it."""
        return self.market_name(native_symbol, kind_of(symbol))

    def told_for(self, symbols: Iterable[str]) -> dict[str, list[str]]:
        """Return for which of `symbols` the events of a symbol are meant, if not for itself alone.

        Where two are names of one market, only one of them is in the frames.
        """
        found: dict[str, list[str]] = {}
        for symbol in symbols:
            found.setdefault(self._symbols[self._streamed_as[symbol]], []).append(symbol)
        return {told: names for told, names in found.items() if names != [told]}

    def native(self, symbol: str) -> str | None:
        """Return the exchange's name of a symbol, None where it is not known."""
        return self._native_symbols.get(symbol)

    def streamed_as(self, symbol: str) -> str | None:
        """Return by which `market_name` a symbol is streamed, None where not known."""
        return self._streamed_as.get(symbol)

    @property
    @abstractmethod
    def url(self) -> str:
        """Return the address to connect to, for topics that have no other."""

    def address_of(self, topic: Topic) -> str:
        """Return the address at which a topic is streamed: a connection has those of one alone."""
        return self.url

    def topics_by_address(self, topics: Iterable[Topic]) -> dict[str, list[Topic]]:
        """Return the topics of each address."""
        found: dict[str, list[Topic]] = {}
        for topic in topics:
            found.setdefault(self.address_of(topic), []).append(topic)
        return found

    @abstractmethod
    def topics(self, symbols: Iterable[str]) -> dict[Topic, list[Pair]]:
        """Return what to subscribe for `symbols`, each with the pairs whose candles it feeds."""

    @abstractmethod
    def market_in(self, topic: Topic) -> str:
        """Return what a topic calls the market that it is about."""

    @abstractmethod
    def session(self, address: str = "") -> StreamSession:
        """Return the protocol of a new connection to an address, "" for `url`."""

    def pace(self) -> MessagePace:
        """Return the pace of a new connection, which is that of all others by `by_address`."""
        if self._pace is None or not self.limits.by_address:
            limits = self.limits
            self._pace = MessagePace(limits.seconds_between_messages, limits.messages_per_hour)
        return self._pace
