"""What came over connections in a moment, frame by frame, with what was made of each."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from exchanges.stream.base import Topic
from exchanges.stream.connection import Connection
from exchanges.stream.events import Event


class Frame(NamedTuple):
    """A frame as it came, when that was (monotonic seconds), and what was read in it.

    `asked` is how often its connection had asked for topics until then; `confirmed` is what was
    confirmed after it.
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
    were neither confirmed nor refused. `ended` is why a connection ended, "" where none did.
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

    def conclude(self, connection: Connection) -> None:
        """Take what is known of a connection at the end."""
        missing, refused = connection.missing(), dict(connection.given_up)
        self.missing |= missing
        self.refused |= refused
        self.confirmed |= connection.topics - missing - refused.keys()
        self.malformed += connection.malformed
        self.unknown += connection.session.unknown
        if connection.ended.is_set():
            self.ended = connection.reason


def record(connection: Connection, listening: Listening) -> None:
    """Let every frame of a connection that is read be kept as it came."""
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
