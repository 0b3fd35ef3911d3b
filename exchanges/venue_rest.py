"""What every venue can do over REST, and what is the same for all of them."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from exchanges.candle_reply import CandleReply, Candles
from exchanges.errors import UnknownSymbol
from exchanges.listing import ListedSymbol
from exchanges.pacing import Lane
from exchanges.rest_client import RestClient
from livermore.market.timeframe import Timeframe

LONGEST_LOOK_BACK = 1000  # periods; who asks for the newest N candles gets none that are older
CLOCK_MAX_AGE_SECONDS = 300


class ExchangeClock:
    """The exchange's own time, never ahead of it.

    It is asked once in a while and carried on by the machine's monotonic clock. As an answer
    was already on its way, and as a machine may sleep, the result can only be late: a candle is
    never taken as closed before the exchange closed it.
    """

    def __init__(self, ask_ms: Callable[[], int]):
        self._ask_ms = ask_ms
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self._answer_ms = 0

    def now_ms(self) -> int:
        """Return the exchange's time, asking for it if the last answer is too old."""
        with self._lock:
            if time.monotonic() - self._asked_at > CLOCK_MAX_AGE_SECONDS:
                self._answer_ms = self._ask_ms()
                self._asked_at = time.monotonic()
            return self._answer_ms + int(1000 * (time.monotonic() - self._asked_at))

    def observe(self, time_ms: int) -> None:
        """Learn the time from elsewhere, such as a frame the exchange has sent."""
        with self._lock:
            now = time.monotonic()
            if time_ms > self._answer_ms + 1000 * (now - self._asked_at):
                self._answer_ms, self._asked_at = time_ms, now

    def forget(self) -> None:
        """Ask the exchange again next time."""
        with self._lock:
            self._asked_at = float("-inf")


class VenueRest(ABC):
    """One exchange over REST, in canonical symbols and milliseconds. Threads may share it.

    `exchange_id` is the row's primary key; `native_symbols` maps canonical to native names, and
    where it is empty the listing is fetched when the first name is needed. The methods raise the
    errors of `exchanges.errors`.
    """

    candles_per_call: int
    candle_weight = 1  # request weight of a candle call, where the exchange counts weight
    settle_ms: int  # how long after its end a bar may still change in REST answers
    # How long after its end a bar that is missing may still be on its way; later it never was.
    lag_ms: int

    def __init__(
        self, exchange_id: int, client: RestClient, native_symbols: Mapping[str, str] | None = None
    ):
        self.exchange_id = exchange_id
        self.client = client
        self.clock = ExchangeClock(self.server_time_ms)
        self._native_symbols = dict(native_symbols or {})
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
        lane: Lane = Lane.BACKFILL,
    ) -> Candles:
        """Return closed candles that opened in `[start_ms, end_ms)`, oldest first.

        Without `end_ms` up to now. With `start_ms` all of them, or those of the first `limit`
        periods; without it the newest `limit`: 100 if None, 1,000 at the most, and where the
        exchange omits quiet periods none older than 1,000 periods. As many calls are made as the
        exchange's page needs. Only an answer that reaches up to now, without `start_ms`, has an
        `open_candle`.
        """
        if limit is not None and limit < 1:
            raise ValueError(f"limit is 1 or more, not {limit}")
        timeframe = Timeframe(timeframe)
        native = self._native(symbol)
        candles = self._get_candles(native, timeframe, start_ms, end_ms, limit, lane)
        if candles.runs_ahead:
            # Our idea of the exchange's time is behind: the machine slept, or theirs flies.
            self.clock.forget()
            candles = self._get_candles(native, timeframe, start_ms, end_ms, limit, lane)
        return candles

    def _get_candles(
        self,
        native: str,
        timeframe: Timeframe,
        start_ms: int | None,
        end_ms: int | None,
        limit: int | None,
        lane: Lane,
    ) -> Candles:
        closed_ms = self._closed_ms(timeframe)
        end_ms = closed_ms if end_ms is None else min(timeframe.ceil(end_ms), closed_ms)
        if start_ms is None:
            limit = min(limit or 100, LONGEST_LOOK_BACK)
            return self._newest(native, timeframe, end_ms, limit, lane)
        start_ms = timeframe.ceil(start_ms)
        if limit is not None:
            end_ms = min(end_ms, start_ms + limit * timeframe.ms)
        if start_ms >= end_ms:
            return Candles()
        candles = self._range(native, timeframe, start_ms, end_ms, lane)
        candles.open_candle = None
        return candles

    @abstractmethod
    def list_symbols(self) -> list[ListedSymbol]:
        """Return all that the exchange lists, tradable or not."""

    @abstractmethod
    def server_time_ms(self) -> int:
        """Return the exchange's clock."""

    @abstractmethod
    def _newest(
        self, native: str, timeframe: Timeframe, end_ms: int, count: int, lane: Lane
    ) -> Candles: ...

    @abstractmethod
    def _range(
        self, native: str, timeframe: Timeframe, start_ms: int, end_ms: int, lane: Lane
    ) -> Candles: ...

    def _result(
        self, reply: CandleReply, timeframe: Timeframe, start_ms: int, end_ms: int
    ) -> Candles:
        """Return what `reply` holds of `[start_ms, end_ms)`, all of it closed."""
        now_ms = self.clock.now_ms()
        closed = [time for time in reply.times() if time < end_ms]
        answered_until = closed[-1] + timeframe.ms if closed else start_ms
        reply.distrust(max(answered_until, timeframe.floor(now_ms - self.lag_ms)), end_ms)
        return reply.result(start_ms, end_ms, now_ms)

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
                listed = sorted(self.list_symbols(), key=lambda item: item.is_trading)
                self._native_symbols = {item.symbol: item.native_symbol for item in listed}
        try:
            return self._native_symbols[symbol]
        except KeyError:
            raise UnknownSymbol(f"{self.client.host} lists no symbol {symbol}") from None
