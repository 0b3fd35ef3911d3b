"""A subscription for a moment: one connection of the real stream, with nothing behind it."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from exchanges.connection import Connection
from exchanges.stream_events import CandleUpdate, Clock, Event, Lost, Refused
from livermore.market.candle import Ticker
from livermore.market.timeframe import SHORTEST_FIRST, Timeframe
from warmup.harness.facts import Facts
from warmup.harness.report import Failed, Outcome, Result
from warmup.harness.symbol import choose_from_database

ACK_SECONDS = 15.0  # for connecting, too
PATIENCE_SECONDS = 60.0  # on top of what was asked for: any minute has an end, and most a trade
LOOK_SECONDS = 0.05
TOPICS_SHOWN = 4


@dataclass
class Heard:
    """What a connection has said of one symbol."""

    symbol: str
    frames: int = 0
    lost: int = 0
    candles: Counter[Timeframe] = field(default_factory=Counter)
    tickers: int = 0
    ticker: Ticker | None = None
    refusal: str | None = None
    _now_ms: int = 0

    @property
    def complete(self) -> bool:
        return bool(self.candles and self.ticker)

    def take(self, event: Event) -> None:
        match event:
            case Clock():
                self._now_ms = event.time_ms
            case CandleUpdate(symbol=self.symbol) if self._is_live(event):
                self.candles[event.candle.timeframe] += 1
            case Ticker(symbol=self.symbol):
                self.tickers, self.ticker = self.tickers + 1, event
            case Lost():
                self.lost += event.count or 1
            case Refused():
                self.refusal = event.reason

    def _is_live(self, update: CandleUpdate) -> bool:
        """Tell the bar of now, or the one that just ended, from what is told of before."""
        candle = update.candle
        return candle.timestamp <= self._now_ms < candle.close_time_ms + candle.timeframe.ms

    def __str__(self) -> str:
        counted = [
            f"{self.candles[each]} of {each}" for each in SHORTEST_FIRST if self.candles[each]
        ]
        lost = f", {self.lost} were lost" if self.lost else ""
        return (
            f"{self.frames} frames{lost}; candles: {', '.join(counted) or 'none'}; "
            f"tickers: {self.tickers}"
        )


def check_subscription(facts: Facts) -> Outcome:
    """Subscribe, wait for the confirmations, listen, and go."""
    if facts.market is None and not choose_from_database(facts):
        text = "not tried, as nobody knows what is listed: the database has no listing either"
        return Outcome(text, result=Result.SKIP)
    stream = facts.stream()
    topics = stream.topics([facts.market.symbol])
    listener = Listener(Connection(stream, topics), Heard(facts.market.symbol))
    begun = time.monotonic()
    with listener as heard:
        listener.confirm()
        confirmed_after = time.monotonic() - begun
        listener.listen(facts.seconds)
        if not heard.complete:
            listener.listen(PATIENCE_SECONDS, lambda: heard.complete or listener.malformed)
    seconds = time.monotonic() - begun - confirmed_after
    listener.judge(seconds)
    facts.ticker = heard.ticker
    return Outcome(
        f"{len(topics)} subscriptions confirmed within {confirmed_after:.1f} s; "
        f"in {seconds:.1f} s {heard}"
    )


class Listener:
    """A connection that is read as a stream's owner does it, but never replaced.

    Methods raise Failed as soon as it ends or refuses.
    """

    def __init__(self, connection: Connection, heard: Heard):
        self._connection = connection
        self._heard = heard

    def __enter__(self) -> Heard:
        self._connection.start()
        return self._heard

    def __exit__(self, *error: object) -> None:
        self._connection.close()
        self._connection.join(1.0)

    @property
    def malformed(self) -> int:
        """Return how many frames could not be read."""
        return self._connection.malformed

    def confirm(self) -> None:
        """Wait until everything is confirmed."""
        if self.listen(ACK_SECONDS, self._is_confirmed):
            return
        missing = ", ".join(sorted(self._connection.session.unacknowledged())[:TOPICS_SHOWN])
        if not self._heard.frames:
            raise Failed(
                f"nothing came within {ACK_SECONDS:g} s, not even an answer to the subscription",
                "compare the row's WebSocket address with the exchange's documents; a firewall "
                "that swallows WebSockets looks the same",
            )
        raise Failed(
            f"within {ACK_SECONDS:g} s the exchange did not confirm {missing}",
            "it may stream this symbol no more: choose another with --symbol",
        )

    def listen(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Take what comes for so long, or until that is true; return whether it is."""
        ends_at = time.monotonic() + seconds
        while True:
            over = self._connection.ended.is_set()  # asked first: what it still had is read
            self._read()
            if until():
                return True
            if over:
                raise Failed(
                    f"the connection ended: {_without_headers(self._connection.reason)}",
                    "check the row's WebSocket address; a 4xx or 5xx is the exchange's own "
                    "refusal, a cut may be chance: run it again",
                )
            if time.monotonic() >= ends_at:
                return False
            time.sleep(LOOK_SECONDS)

    def judge(self, seconds: float) -> None:
        """Raise Failed unless frames of both kinds came, all of them readable."""
        heard = self._heard
        if self.malformed:
            raise Failed(
                f"{self.malformed} of {heard.frames} frames could not be read",
                "run it again; if it stays so the exchange has changed its format, or something on "
                "the way changes it: the log holds the first of them",
            )
        if not heard.complete:
            raise Failed(
                f"confirmed, but in {seconds:.0f} s not both candles and tickers came: {heard}",
                "a quiet symbol: choose a livelier one with --symbol, or listen longer with "
                "--seconds; on a lively one the exchange's stream is out of order",
            )

    def _is_confirmed(self) -> bool:
        # Nothing is asked for before the first message is out, so nothing is missing either.
        return bool(self._heard.frames) and not self._connection.session.unacknowledged()

    def _read(self) -> None:
        for event in self._connection.read():
            self._heard.take(event)
        self._heard.frames += self._connection.counted()["frames"]
        if self._heard.refusal:
            raise Failed(
                f"the exchange refused the subscription: {self._heard.refusal}",
                "other programs at this address may use up its limits of WebSockets: end them, "
                "wait a minute, run it again",
            )


def _without_headers(reason: str) -> str:
    """Cut what the library adds to the status of a handshake that was refused."""
    return reason.partition(" -+-+- ")[0]
