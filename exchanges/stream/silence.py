"""Whether what is due on a lane comes: a quiet market and a deaf connection are told apart."""

import logging
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import Future
from typing import Protocol

from exchanges.daemon_threads import Workers
from exchanges.errors import clip
from exchanges.rest.clock import ExchangeClock
from exchanges.stream.base import Topic
from exchanges.stream.connection import Connection

logger = logging.getLogger(__name__)

GAPS_NEEDED = 3  # then there is a rate
LONGER = 5  # so many times longer than the usual gap is no rate any more
WHERE_UNKNOWN = 4  # so many times the least silence, where there is no rate
NEXT = 3  # so many times longer than a silence that was accepted is the next one
WEIGHT = 0.1  # of each new gap in the usual one
INSTANTS = 30  # the least silence holds so many
SOON = 0.5  # of what is too long
SYMBOLS_ASKED = 3


class ArrivalRate:
    """How often something came, and so whether it is due. Pure: seconds of a monotonic clock."""

    def __init__(self, least_seconds: float):
        """`least_seconds` of silence are never too long."""
        self._least = least_seconds
        self._received_at: float | None = None  # or listened since; None: nobody listens
        self._received_here = False
        self._gaps = 0
        self._usual = 0.0  # seconds between two times

    @property
    def is_known(self) -> bool:
        return self._gaps >= GAPS_NEEDED

    @property
    def longest_silence(self) -> float:
        """Return how many seconds it may be silent."""
        least = self._least if self.is_known else WHERE_UNKNOWN * self._least
        return max(least, LONGER * self._usual)

    def begin(self, now: float | None) -> None:
        """Begin to listen, or with None listen no more: that silence doesn't count."""
        self._received_at, self._received_here = now, False

    def note(self, now: float) -> None:
        """Note that it came; what comes within an instant counts once."""
        gap = self.silence(now)
        if self._received_at is None or gap < self._least / INSTANTS:
            return
        if self._received_here:
            self._gaps += 1
            self._usual += max(WEIGHT, 1 / self._gaps) * (gap - self._usual)
        self._received_at, self._received_here = now, True

    def silence(self, now: float) -> float:
        return 0.0 if self._received_at is None else now - self._received_at

    def is_late(self, now: float, part: float = 1.0) -> bool:
        """Tell whether it should have come by now, or has been silent for a part of that time."""
        return self.silence(now) > part * self.longest_silence

    def accept(self, now: float) -> None:
        """Take the silence until now for a usual one."""
        self._usual = max(self._usual, NEXT * self.silence(now) / LONGER)


class Trades(Protocol):
    """What REST knows, as `VenueRest` has it; its calls may take long, and raise."""

    clock: ExchangeClock

    def has_traded(self, symbols: Sequence[str], since_ms: int) -> bool | None: ...


class SilenceWatch:
    """Watches a lane for candles and tickers that are due and don't come.

    Half on the way to what is too long the exchange is asked what it believes to be subscribed;
    what is not is subscribed again. Then, where it gave no answer, or lists all while REST tells of
    trades, the connection is ended. Else the market is quiet, and such a silence a usual one.
    """

    def __init__(self, least_seconds: float, trades: Trades | None = None):
        self._trades = trades
        self._workers = Workers(1, "silence")
        self._candles, self._tickers = ArrivalRate(least_seconds), ArrivalRate(least_seconds)
        self._connection: Connection | None = None
        self._received_at: dict[str, float] = {}  # by symbol
        self._since_ms: int | None = None  # the exchange's time when the last candle came
        self.doubtful = False  # something is due that has not come
        self._asked_at: float | None = None
        self._answers = 0
        self._verdict: Future[bool | None] | None = None
        self._next_verdict_at = 0.0

    def received_candles(self, symbols: Iterable[str], time_ms: int, now: float) -> None:
        """Learn of which symbols candles came, and the exchange's time then; 0: it isn't told."""
        self._received_at |= dict.fromkeys(symbols, now)
        self._since_ms = time_ms or (self._trades.clock.believed_ms() if self._trades else None)
        self._candles.note(now)

    def received_tickers(self, now: float) -> None:
        """Learn that tickers came."""
        self._tickers.note(now)

    def pause(self) -> None:
        """Learn that there is no connection."""
        self._begin(None, None)

    def close(self) -> None:
        """Ask nothing more."""
        self._workers.close()

    def check(
        self,
        connection: Connection,
        tickers: Collection[Topic],
        symbols: Collection[str],
        now: float,
    ) -> None:
        """Question a connection where something is due.

        `tickers` are the topics of tickers, `symbols` those whose candles it is to send.
        """
        if connection is not self._connection:
            self._begin(connection, now)
        rates = [self._candles] * bool(symbols) + [self._tickers] * bool(tickers)
        late = [rate for rate in rates if rate.is_late(now)]
        self.doubtful = bool(late)
        if not any(rate.is_late(now, SOON) for rate in rates):
            self._asked_at = self._verdict = None
        elif self._asked_at is None:
            self._ask(connection, now)
        elif late and self._verdict is None and now >= self._next_verdict_at:
            self._judge(connection, late, tickers, symbols, now - self._asked_at, now)
        elif self._verdict is not None and self._verdict.done():
            self._conclude(connection, self._verdict, now)

    def _begin(self, connection: Connection | None, now: float | None) -> None:
        self._connection, self.doubtful = connection, False
        self._asked_at = self._verdict = self._since_ms = None
        self._candles.begin(now)
        self._tickers.begin(now)

    def _ask(self, connection: Connection, now: float) -> None:
        if connection.settled:
            self._asked_at, self._answers = now, connection.answered
            connection.question()

    def _judge(
        self,
        connection: Connection,
        late: list[ArrivalRate],
        tickers: Collection[Topic],
        symbols: Collection[str],
        waited_seconds: float,
        now: float,
    ) -> None:
        rate = self._candles if symbols else self._tickers
        if connection.answered == self._answers:
            if waited_seconds <= min(connection.answer_seconds, SOON * rate.longest_silence):
                return
            if rate.is_known and rate in late:
                self._end(connection, rate, "no answer to what was asked", now)
                rate.accept(now)
                return
        if self._tickers in late:
            connection.again(tickers)
            self._tickers.accept(now)
        if self._candles not in late:
            self._asked_at = None
        elif self._trades is None:
            self._decide(connection, None, now)
        else:
            liveliest = sorted(symbols, key=lambda name: self._received_at.get(name, 0.0))
            asked = liveliest[-SYMBOLS_ASKED:], self._since_ms
            self._verdict = self._workers.submit(self._ask_rest, self._trades, *asked)

    def _ask_rest(
        self, trades: Trades, symbols: Sequence[str], since_ms: int | None
    ) -> bool | None:
        """Return whether one of these traded, None where that can't be known yet; in a thread."""
        if since_ms is None:  # nothing came of this connection: it counts from now on
            self._since_ms = trades.clock.now_ms()
            return None
        return trades.has_traded(symbols, since_ms)

    def _conclude(self, connection: Connection, verdict: Future[bool | None], now: float) -> None:
        self._verdict = None
        self._next_verdict_at = now + SOON * self._candles.longest_silence
        if error := verdict.exception():
            logger.warning("stream.not_asked error=%s", clip(str(error)))
            self._decide(connection, None, now)
        elif verdict.result() is not None:
            self._decide(connection, verdict.result(), now)

    def _decide(self, connection: Connection, traded: bool | None, now: float) -> None:
        """End the connection if there were trades, or nobody knows and there used to be."""
        late = self._candles.is_late(now)
        if late and traded:
            self._end(connection, self._candles, "REST tells of trades", now)
            return
        if late and traded is None and self._candles.is_known:
            self._end(connection, self._candles, "it used to come", now)
        self._candles.accept(now)  # it may be quiet all the same: no reconnecting for ever
        self._asked_at = None

    def _end(self, connection: Connection, rate: ArrivalRate, why: str, now: float) -> None:
        connection.end(f"no data for {rate.silence(now):.0f} s, and {why}")
        self._asked_at = None
