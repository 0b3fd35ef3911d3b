"""What every venue can do over REST, and what is the same for all of them."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from exchanges.errors import UnknownSymbol
from exchanges.rest.clock import ExchangeClock
from exchanges.rest.key import KeyInUse
from exchanges.rest.pacing.budget import Lane
from exchanges.rest.reply import CandleReply, Candles, QuietBars, Row, Values
from exchanges.symbols.listed import ListedSymbol, kind_of
from livermore.market.coverage import Interval, intersect, oldest_told_ms, union
from livermore.market.timeframe import Timeframe

if TYPE_CHECKING:  # who makes one loads requests, who only knows the venues does not
    from exchanges.rest.client import RestClient

LONGEST_LOOK_BACK = 1000  # periods; who asks for the newest N candles gets none that are older
LOOKS = 3  # how often an answer is asked for, in all, that lacks what must be there


class Known(NamedTuple):
    """Open times of rows that exist beside a stretch: the last before it, the first after it.

    They are asked for again, so that the answer has rows on both sides; one that lacks them is
    wrong, and proves nothing of what else it lacks. None where no such row is known.
    """

    before_ms: int | None = None
    after_ms: int | None = None


UNKNOWN = Known()


class VenueRest(ABC):
    """One exchange over REST, in canonical symbols and milliseconds. Threads may share it.

    `exchange_id` is the row's primary key; `native_symbols` maps canonical to native names, and
    where it is empty the listing is fetched when the first name is needed. `key` is the one that
    `client` signs with. The methods raise the errors of `exchanges.errors`.
    """

    candles_per_call: int
    candle_weight = 1  # request weight of a candle call, where the exchange counts weight
    # Of how many of its newest closed bars the exchange tells, whichever the timeframe; None: of
    # all. What is older is never asked for.
    depth_rows: int | None = None
    settle_ms: int  # how long after its end a bar may still change in REST answers
    quiet_bars: QuietBars
    newest_first = False  # how rows stand in its answers
    time_step_ms = 1  # in which `server_time_ms` goes: of what comes between it tells the beginning
    lag_ms: int  # how long after its end an answer may still lack a bar, or tell a part of it alone

    def __init__(
        self,
        exchange_id: int,
        client: "RestClient",
        native_symbols: Mapping[str, str] | None = None,
        key: KeyInUse | None = None,
    ):
        self.exchange_id = exchange_id
        self.client = client
        self.clock = ExchangeClock(self.server_time_ms, client.host, self.time_step_ms)
        # Is told of each symbol that turns out to be unknown; in any thread.
        self.on_unknown_symbol: Callable[[str], object] = lambda symbol: None
        self._native_symbols = dict(native_symbols or {})
        self._in_use = key or KeyInUse()
        self._candle_calls = 0
        self._counting = threading.Lock()
        self._listing = threading.Lock()

    @property
    def workers(self) -> int:
        """Return how many calls may usefully be under way at once."""
        return self.client.workers

    @property
    def candle_calls(self) -> int:
        """Return how many candle requests were sent, retries among them."""
        return self._candle_calls

    def get_candles(
        self,
        symbol: str,
        timeframe: Timeframe | str,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int | None = None,
        *,
        known: Known = UNKNOWN,
        lane: Lane = Lane.BACKFILL,
        with_open: bool = False,
    ) -> Candles:
        """Return closed candles that opened in `[start_ms, end_ms)`, oldest first.

        Without `end_ms` up to now. With `start_ms` all of them, or those of the first `limit`
        periods; without it the newest `limit`: 100 if None, 1,000 at the most, and where the
        exchange omits quiet periods none older than 1,000 periods. As many calls are made as the
        exchange's page needs. Only an answer that reaches up to now has an `open_candle`; with
        `start_ms` it is one that was asked for `with_open`, and where no further call was needed
        for that. What is older than the exchange tells of is `too_old`, and costs no call. `known`
        are rows beside a stretch that begins at `start_ms`.
        """
        if limit is not None and limit < 1:
            raise ValueError(f"limit is 1 or more, not {limit}")
        timeframe = Timeframe(timeframe)
        window = (start_ms, end_ms, limit, known)
        try:
            native = self._native(symbol)
            candles = self._get_candles(native, timeframe, *window, lane, with_open)
            if candles.runs_ahead:
                # Our idea of the exchange's time is behind: the machine slept, or theirs flies.
                self.clock.settle()
                candles = self._get_candles(native, timeframe, *window, lane, with_open)
        except UnknownSymbol:
            self.on_unknown_symbol(symbol)
            raise
        return candles

    def _get_candles(
        self,
        native: str,
        timeframe: Timeframe,
        start_ms: int | None,
        end_ms: int | None,
        limit: int | None,
        known: Known,
        lane: Lane,
        with_open: bool,
    ) -> Candles:
        asked_at, open_ms = time.monotonic(), timeframe.floor(self.clock.now_ms())
        closed_ms = self._closed_ms(timeframe)
        end_ms = closed_ms if end_ms is None else min(timeframe.ceil(end_ms), closed_ms)
        oldest_ms = self.oldest_told_ms(timeframe)
        if start_ms is None:
            limit = min(limit or 100, LONGEST_LOOK_BACK)
            candles = Candles()
            if end_ms > oldest_ms:
                candles = self._newest(native, timeframe, end_ms, limit, lane)
            if len(candles) < limit:
                wanted = ((end_ms - limit * timeframe.ms, end_ms),)
                too_old = intersect(wanted, ((0, oldest_ms),))
                candles.too_old = union([*too_old, *candles.too_old])
            candles.asked_at = asked_at
            return candles
        start_ms = timeframe.ceil(start_ms)
        if limit is not None:
            end_ms = min(end_ms, start_ms + limit * timeframe.ms)
        too_old = intersect(union([(start_ms, end_ms)]), ((0, oldest_ms),))
        start_ms = max(start_ms, oldest_ms)
        if start_ms >= end_ms:
            candles = Candles()
            candles.too_old = too_old
            return candles
        if known.before_ms is not None and known.before_ms < oldest_ms:
            known = known._replace(before_ms=None)
        takes_open = with_open and end_ms == closed_ms
        reach_ms = open_ms + timeframe.ms if takes_open else end_ms
        candles = self._range_to(native, timeframe, (start_ms, end_ms), reach_ms, known, lane)
        candles.asked_at = asked_at
        candles.too_old = union([*too_old, *candles.too_old])
        if not takes_open:
            candles.open_candle = candles.open_ms = None
        elif candles.open_candle is None and candles.open_ms != open_ms:
            candles.open_ms = None  # it has begun since
        return candles

    def has_traded(self, symbols: Iterable[str], since_ms: int) -> bool | None:
        """Tell whether one of these traded in a closed minute that began after a time.

        None where no such minute has closed yet. Not more than the newest 100 are looked at.
        """
        self.clock.forget()  # nothing was streamed that would have told it
        closed_ms = self._closed_ms(Timeframe.M1)
        start_ms = Timeframe.M1.ceil(max(since_ms, closed_ms - 100 * Timeframe.M1.ms))
        if start_ms >= closed_ms:
            return None
        for symbol in symbols:
            found = self.get_candles(symbol, Timeframe.M1, start_ms, lane=Lane.HEAL)
            minutes = [*found, found.young] if found.young else found  # it may only grow
            if any(candle.volume > 0 for candle in minutes):
                return True
        return False

    @abstractmethod
    def list_symbols(self) -> list[ListedSymbol]:
        """Return all that the exchange lists, tradable or not."""

    @abstractmethod
    def list_volumes(self) -> dict[str, float]:
        """Return how much was traded in 24 hours, in the quote currency, by `market_name`.

        A symbol of which that isn't told, or can't be read, is left out.
        """

    @staticmethod
    def market_name(native_symbol: str, kind: str) -> str:
        """Return the text by which `_newest`, `_range` and `list_volumes` name a market.

        The native symbol; more where that stands for a market of each kind.
        """
        return native_symbol

    @abstractmethod
    def server_time_ms(self) -> int:
        """Return the exchange's clock."""

    @abstractmethod
    def _newest(
        self, native: str, timeframe: Timeframe, end_ms: int, count: int, lane: Lane
    ) -> Candles: ...

    @abstractmethod
    def _range(
        self,
        native: str,
        timeframe: Timeframe,
        start_ms: int,
        end_ms: int,
        known: Known,
        lane: Lane,
    ) -> Candles:
        """Return what is told of a stretch, half-open."""

    def _range_to(
        self,
        native: str,
        timeframe: Timeframe,
        stretch: Interval,
        reach_ms: int,
        known: Known,
        lane: Lane,
    ) -> Candles:
        """Return the same, where a venue can do that with the open bar.

        Its last call asks for what opened up to `reach_ms`, as far as it has room for that.
        """
        return self._range(native, timeframe, *stretch, known, lane)

    @staticmethod
    @abstractmethod
    def _open_time(row: Row) -> int:
        """Return when a row of an answer opened; raises for what is no row."""

    @staticmethod
    @abstractmethod
    def _values(row: Row, timeframe: Timeframe) -> Values:
        """Return what else a row says; raises for what is no row of that timeframe."""

    def _reply(self, timeframe: Timeframe) -> CandleReply:
        return CandleReply(
            timeframe,
            self._open_time,
            self._values,
            self.quiet_bars,
            self.lag_ms,
            newest_first=self.newest_first,
        )

    def _result(
        self, reply: CandleReply, timeframe: Timeframe, start_ms: int, end_ms: int
    ) -> Candles:
        return reply.result(start_ms, end_ms, self.clock.now_ms())

    def oldest_told_ms(self, timeframe: Timeframe) -> int:
        """Return when the oldest bar opened that the exchange still tells of; 0: of all."""
        if self.depth_rows is None:
            return 0
        return oldest_told_ms(timeframe, self.clock.now_ms(), self.depth_rows)

    def _earliest(self, timeframe: Timeframe, end_ms: int) -> int:
        look_back_ms = LONGEST_LOOK_BACK * timeframe.ms
        return max(end_ms - look_back_ms, self.oldest_told_ms(timeframe))

    def _newest_of(
        self, reply: CandleReply, timeframe: Timeframe, end_ms: int, count: int
    ) -> Candles:
        """Return the newest `count` candles of a reply; all of 1,000 periods where it has fewer."""
        found = self._result(reply, timeframe, self._earliest(timeframe, end_ms), end_ms)
        if len(found) < count:
            return found
        return self._result(reply, timeframe, found[-count].timestamp, end_ms)

    def learn(self, native_symbols: Mapping[str, str]) -> None:
        """Learn names, those of symbols that were listed since among them."""
        with self._listing:
            self._native_symbols |= native_symbols

    def calls_for(self, periods: int) -> int:
        """Return how many candle calls it takes to fetch a range of so many periods."""
        return -(-periods // self.candles_per_call)

    @property
    def key_trouble(self) -> str | None:
        """Return what is wrong with a key that the exchange doesn't take, for a person."""
        return None

    def close(self) -> None:
        """Close the connections; whoever waits for a turn gets Temporary."""
        self.client.close()

    def _closed_ms(self, timeframe: Timeframe) -> int:
        """Return the open time of the first bar that is not surely closed."""
        return timeframe.floor(self.clock.now_ms() - self.settle_ms)

    def _get_rows(self, path: str, params: Mapping[str, str | int], lane: Lane):
        return self.client.get(
            path, params, weight=self.candle_weight, lane=lane, on_send=self._count
        )

    def _count(self) -> None:
        with self._counting:
            self._candle_calls += 1

    def _native(self, symbol: str) -> str:
        with self._listing:
            if not self._native_symbols:
                # Of two native names for one symbol the one that trades comes last, and stays.
                listed = sorted(self.list_symbols(), key=lambda item: bool(item.is_trading))
                self._native_symbols = {item.symbol: item.native_symbol for item in listed}
        try:
            return self.market_name(self._native_symbols[symbol], kind_of(symbol))
        except KeyError:
            raise UnknownSymbol(f"{self.client.host} lists no symbol {symbol}") from None


def read_volumes(rows: Iterable[Any], read: Callable[[Any], tuple[str, float]]) -> dict[str, float]:
    """Return the native name and the volume of each row that `read` can read."""
    found = {}
    for row in rows:
        with suppress(LookupError, TypeError, AttributeError, ValueError):
            native, volume = read(row)
            if isinstance(native, str) and 0 <= volume < inf:
                found[native] = volume
    return found
