"""What every venue's stream does, without a socket: a connection feeds it frames."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from exchanges.dialing import DIRECTLY, Route
from exchanges.stream_events import Event
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe

Topic = str  # one thing to subscribe to, in the venue's own words


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What an exchange allows; a breach of any of it can end in a ban."""

    topics_per_connection: int
    topics_per_message: int
    bytes_per_message: int
    seconds_between_messages: float
    seconds_between_connects: float
    longest_life_seconds: float  # a connection is renewed when it is that old


class StreamSession(ABC):
    """The protocol of one connection: remembers what was asked for and what was acknowledged.

    It has no socket and no clock, and is used by one thread at a time. `unknown` counts frames
    that say something we don't know.
    """

    def __init__(self):
        self.unknown = 0

    @abstractmethod
    def subscribe(self, topics: Iterable[Topic]) -> list[str]:
        """Return the messages that ask for `topics`, each within the exchange's limits."""

    @abstractmethod
    def unsubscribe(self, topics: Iterable[Topic]) -> list[str]:
        """Return the messages that end `topics`."""

    @abstractmethod
    def parse(self, frame: bytes) -> list[Event]:
        """Return what a frame says; nothing for an acknowledgement, which is remembered.

        Raises BadPayload for a frame that can't be read; nothing else.
        """

    @abstractmethod
    def unacknowledged(self) -> set[Topic]:
        """Return the topics that were asked for and that the exchange has not confirmed."""

    def superseded_by(self, frame: bytes) -> bytes | None:
        """Return a name for what the frame tells the whole of, None if it must be read.

        Of the frames of one name that wait to be read the newest one will do.
        """
        return None


class VenueStream(ABC):
    """One exchange's stream: what to subscribe for which symbols, and where."""

    limits: StreamLimits
    # The timeframe of which the open candles of longer ones are made, None where the exchange
    # streams those itself.
    rolls_up_from: Timeframe | None = None

    def __init__(self, ws_url: str, native_symbols: Mapping[str, str], route: Route = DIRECTLY):
        self.ws_url = ws_url.rstrip("/")
        self.route = route
        self._native_symbols: dict[str, str] = {}
        self._symbols: dict[str, str] = {}  # canonical by native; sessions look into it too
        self.learn(native_symbols)

    def learn(self, native_symbols: Mapping[str, str]) -> None:
        """Learn names, those of symbols that were listed since among them."""
        self._native_symbols.update(native_symbols)
        self._symbols.update({native: symbol for symbol, native in native_symbols.items()})

    @property
    @abstractmethod
    def url(self) -> str:
        """Return the address to connect to."""

    @abstractmethod
    def topics(self, symbols: Iterable[str]) -> dict[Topic, list[Pair]]:
        """Return what to subscribe for `symbols`, each with the pairs whose candles it feeds."""

    @abstractmethod
    def session(self) -> StreamSession:
        """Return the protocol of a new connection."""
