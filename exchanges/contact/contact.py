"""What a question to an exchange is asked with: its REST, and moments of its stream."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from exchanges.rest.base import VenueRest
from exchanges.stream.base import Topic, VenueStream
from exchanges.stream.connection import Connection
from exchanges.stream.events import Event
from exchanges.symbols.listed import ListedSymbol
from livermore.market.candle import Candle
from livermore.market.timeframe import MINUTE_MS, Timeframe

LOOK_SECONDS = 0.05
LONGEST_ACK_SECONDS = 15.0
QUIET_LOOK_MS = 60 * MINUTE_MS
SETTLED_MS = 10 * MINUTE_MS  # a minute that ended so long ago is as it will stay


class Frame(NamedTuple):
    """A frame as it came, when that was (monotonic seconds), and what was read in it.

    `asked` is how often topics had been asked for until then; `confirmed` is what was confirmed
    after it.
    """

    at: float
    content: bytes
    events: list[Event]
    asked: int
    confirmed: frozenset[Topic]


@dataclass
class Listening:
    """What came of some topics in `seconds`; of frames that supersede each other not all.

    `refused` are the topics that were given up, with the exchange's words; `missing` those that
    were neither confirmed nor refused. `ended` is why the connection ended, "" where it did not.
    """

    frames: list[Frame] = field(default_factory=list)
    confirmed: set[Topic] = field(default_factory=set)
    missing: set[Topic] = field(default_factory=set)
    refused: dict[Topic, str] = field(default_factory=dict)
    malformed: int = 0
    unknown: int = 0
    seconds: float = 0.0
    ended: str = ""

    @property
    def events(self) -> list[Event]:
        """Return what was read in all frames, in order."""
        return [event for frame in self.frames for event in frame.events]


class Contact:
    """An exchange that is asked for the first time, by one thread; nothing of it is stored.

    `rest` takes a bar for closed at its end, as what becomes of it afterwards is a question too.
    `symbol` is canonical, one that is traded all the time; `listed` are all. `volumes` are in the
    quote currency, by canonical symbol. `minutes` is how long a question may listen.
    """

    def __init__(
        self,
        rest: VenueRest,
        stream: VenueStream,
        symbol: str,
        listed: list[ListedSymbol],
        volumes: Mapping[str, float],
        minutes: float,
    ):
        rest.settle_ms = 0
        self.rest, self.stream = rest, stream
        self.symbol, self.listed = symbol, listed
        self.volumes, self.minutes = volumes, minutes

    def now_ms(self) -> int:
        """Return the exchange's time, as it says it now."""
        return self.rest.server_time_ms()

    def wait_until(self, time_ms: int, look_seconds: float = 1.0) -> None:
        """Wait until it is so late by the exchange's time."""
        while (left_ms := time_ms - self.now_ms()) > 0:
            time.sleep(min(look_seconds, max(left_ms / 1000, LOOK_SECONDS)))

    def rows(
        self, symbol: str, timeframe: Timeframe, start_ms: int, end_ms: int
    ) -> dict[int, Candle]:
        """Return what REST tells now of bars that ended and opened in a stretch, by open time."""
        found = self.rest.get_candles(symbol, timeframe, start_ms, end_ms)
        candles = [*found, found.young] if found.young else found
        return {each.timestamp: each for each in candles}

    def settled_hour(self) -> tuple[int, int]:
        """Return an hour that ended some minutes ago, half-open."""
        end_ms = Timeframe.M1.floor(self.now_ms() - SETTLED_MS)
        return end_ms - QUIET_LOOK_MS, end_ms

    def listen(
        self,
        topics: Iterable[Topic],
        seconds: float,
        until: Callable[[Listening], bool] = lambda listening: False,
    ) -> Listening:
        """Subscribe `topics` on one connection, take what comes for so long, and go.

        The seconds begin when all is confirmed or refused, or nothing more is to be waited for.
        They end earlier where `until` is true of what came.
        """
        topics = list(topics)
        listening = Listening()
        connection = Connection(self.stream, topics)
        _record(connection, listening)
        connection.start()
        try:
            begun = time.monotonic()
            _take(connection, listening, LONGEST_ACK_SECONDS, lambda _: _is_answered(connection))
            _take(connection, listening, seconds, until)
            listening.seconds = time.monotonic() - begun
            listening.missing = connection.missing()
            listening.refused = dict(connection.given_up)
            listening.confirmed = set(topics) - listening.missing - listening.refused.keys()
            listening.malformed = connection.malformed
            listening.unknown = connection.session.unknown
            listening.ended = connection.reason if connection.ended.is_set() else ""
            return listening
        finally:
            connection.close()
            connection.join(1.0)


def _is_answered(connection: Connection) -> bool:
    return connection.accepted.is_set() and not connection.missing()


def _take(
    connection: Connection,
    listening: Listening,
    seconds: float,
    until: Callable[[Listening], bool],
) -> None:
    ends_at = time.monotonic() + seconds
    while True:
        over = connection.ended.is_set()  # asked first: what it still had is read
        connection.read()
        if over or until(listening) or time.monotonic() >= ends_at:
            return
        time.sleep(LOOK_SECONDS)


def _record(connection: Connection, listening: Listening) -> None:
    """Let every frame that is read be kept as it came."""
    session = connection.session
    parse, subscribe = session.parse, session.subscribe
    asked = 0

    def count(topics: Iterable[Topic]) -> list[str]:
        nonlocal asked
        asked += 1
        return subscribe(topics)

    def keep(frame: bytes) -> list[Event]:
        at, events = time.monotonic(), list[Event]()
        try:
            events = parse(frame)
            return events
        finally:
            confirmed = frozenset(session.confirmed)
            listening.frames.append(Frame(at, bytes(frame), events, asked, confirmed))

    session.parse = keep  # type: ignore[method-assign]
    session.subscribe = count  # type: ignore[method-assign]
