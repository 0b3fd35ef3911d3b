"""What a question to an exchange is asked with: its REST, and moments of its stream."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from exchanges.errors import Permanent
from exchanges.rest.base import VenueRest
from exchanges.stream.base import Topic, VenueStream
from exchanges.symbols.listed import ListedSymbol
from livermore.market.candle import Candle
from livermore.market.timeframe import MINUTE_MS, Timeframe

if TYPE_CHECKING:  # who asks loads sockets, who only knows the venues does not
    from exchanges.contact.listening import Listening
    from exchanges.contact.watching import Watched
    from exchanges.stream.connection import Connection

LOOK_SECONDS = 0.05
CLOCK_SECONDS = 1.0  # between two questions for the time, while it is waited for
LONGEST_ACK_SECONDS = 15.0
QUIET_TRIED = 8  # of the least traded symbols: the first one that has a minute without trades
HOUR_MS = Timeframe.H1.ms
SETTLED_MS = 10 * MINUTE_MS  # a minute that ended so long ago is as it will stay


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
        self.settle_ms = rest.settle_ms
        rest.settle_ms = 0
        self.rest, self.stream = rest, stream
        self.symbol, self.listed = symbol, listed
        self.volumes, self.minutes = volumes, minutes
        self.watched: Watched | None = None  # minutes of the stream, once somebody asked for them
        self._quiet: dict[str, str | None] = {}

    @property
    def kinds(self) -> list[str]:
        """Return the kinds of symbols that trade here."""
        return sorted({each.kind for each in self.listed if each.is_trading})

    def now_ms(self) -> int:
        """Return the exchange's time, as it says it now."""
        self.rest.clock.forget()
        return self.rest.clock.now_ms()

    def wait_until(self, time_ms: int) -> None:
        """Wait until it is so late by the exchange's time."""
        while (left_ms := time_ms - self.now_ms()) > 0:
            time.sleep(min(left_ms / 1000, CLOCK_SECONDS))

    def rows(
        self, symbol: str, timeframe: Timeframe, start_ms: int, end_ms: int
    ) -> dict[int, Candle]:
        """Return what REST tells now of bars that ended and opened in a stretch, by open time."""
        found = self.rest.get_candles(symbol, timeframe, start_ms, end_ms)
        candles = [*found, found.young] if found.young else found
        return {each.timestamp: each for each in candles}

    def least_traded(self, kind: str) -> list[str]:
        """Return the symbols of a kind that trade, those with the least known volume first."""
        names = [each.symbol for each in self.listed if each.is_trading and each.kind == kind]
        known = [name for name in names if self.volumes.get(name)]
        return sorted(known, key=lambda name: (self.volumes[name], name)) or names

    def quiet_symbol(self, kind: str) -> str | None:
        """Return a symbol with a minute without trades in the last hour, None where none is found.

        A minute without trades has no row, or one whose volume is 0.
        """
        if kind not in self._quiet:
            tried = self.least_traded(kind)[:QUIET_TRIED]
            self._quiet[kind] = next(filter(self._has_quiet_minute, tried), None)
        return self._quiet[kind]

    def settled_hour(self) -> tuple[int, int]:
        """Return an hour that ended some minutes ago, half-open."""
        end_ms = Timeframe.M1.floor(self.now_ms() - SETTLED_MS)
        return end_ms - HOUR_MS, end_ms

    def listen(
        self,
        topics: Iterable[Topic],
        seconds: float,
        until: "Callable[[Listening], bool]" = lambda listening: False,
    ) -> "Listening":
        """Subscribe `topics`, on one connection for each address, take what comes, and go.

        The seconds begin when all is confirmed or refused, or nothing more is to be waited for.
        They end earlier where `until` is true of what came.
        """
        from exchanges.contact.listening import Listening, record
        from exchanges.stream.connection import Connection

        shares = self.stream.topics_by_address(topics)
        connections = [Connection(self.stream, each, address=at) for at, each in shares.items()]
        listening = Listening()
        for connection in connections:
            record(connection, listening)
            connection.start()
        try:
            begun = time.monotonic()
            _take(connections, listening, LONGEST_ACK_SECONDS, lambda _: _answered(connections))
            _take(connections, listening, seconds, until)
            listening.seconds = time.monotonic() - begun
            for connection in connections:
                listening.conclude(connection)
            return listening
        finally:
            for connection in connections:
                connection.close()
            for connection in connections:
                connection.join(1.0)

    def _has_quiet_minute(self, symbol: str) -> bool:
        try:
            rows = self.rows(symbol, Timeframe.M1, *self.settled_hour())
        except Permanent:  # one that REST does not know is no symbol to look at
            return False
        traded = sum(each.volume > 0 for each in rows.values())
        return 0 < traded < HOUR_MS // MINUTE_MS


def _answered(connections: "Iterable[Connection]") -> bool:
    return all(each.accepted.is_set() and not each.missing() for each in connections)


def _take(
    connections: "Iterable[Connection]",
    listening: "Listening",
    seconds: float,
    until: "Callable[[Listening], bool]",
) -> None:
    ends_at = time.monotonic() + seconds
    while True:
        over = any(each.ended.is_set() for each in connections)  # asked first: the rest is read
        for connection in connections:
            connection.read()
        if over or until(listening) or time.monotonic() >= ends_at:
            return
        time.sleep(LOOK_SECONDS)
