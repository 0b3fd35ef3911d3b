"""A subscription for a moment: connections of the real stream, with nothing behind them."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from exchanges.stream.base import Topic, VenueStream
from exchanges.stream.connection import Connection
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.harness.facts import Facts
from warmup.harness.report import Failed, Outcome, Result
from warmup.harness.steps.received import Received
from warmup.harness.steps.symbol import choose_from_database

ACK_SECONDS = 15.0  # for connecting, too
TIMEOUT_SECONDS = 60.0  # on top of what was asked for: any minute has an end, and most a trade
LOOK_SECONDS = 0.05
LONGEST_LAG_MS = 30_000  # what is older is no live frame, whatever it says of itself
TOPICS_SHOWN = 4
CUT = (
    "check the row's WebSocket address; a 4xx or 5xx is the exchange's own refusal, a cut may be "
    "chance: run it again"
)


def check_subscription(facts: Facts) -> Outcome:
    """Subscribe, wait for the confirmations, listen, and go."""
    if facts.market is None and not choose_from_database(facts):
        text = "not tried, as nobody knows what is listed: the database has no listing either"
        return Outcome(text, result=Result.SKIP)
    stream = facts.stream()
    topics = stream.topics([facts.symbol])
    received = Received(facts.symbol, streamed(stream, topics), facts.ahead_ms)
    shares = stream.topics_by_address(topics)
    connections = [Connection(stream, share, address=at) for at, share in shares.items()]
    listener = Listener(connections, received)
    begun = time.monotonic()
    with listener:
        listener.confirm()
        confirmed_after = time.monotonic() - begun
        listener.listen(facts.seconds)
        if not received.complete:
            listener.listen(TIMEOUT_SECONDS, lambda: received.complete or listener.malformed > 0)
    seconds = time.monotonic() - begun - confirmed_after
    listener.judge(seconds)
    facts.ticker = received.ticker
    where = f" at {len(shares)} addresses" if len(shares) > 1 else ""
    return Outcome(
        f"{len(topics)} subscriptions confirmed{where} within {confirmed_after:.1f} s; "
        f"in {seconds:.1f} s {received}",
        "frames were lost on the way: a runner would fetch what was in them; if it stays so this "
        "machine or its network is too slow"
        if received.lost
        else None,
    )


def streamed(stream: VenueStream, topics: Mapping[Topic, Iterable[Pair]]) -> set[Timeframe]:
    """Return the timeframes of which the exchange itself sends what makes a candle."""
    base = stream.rolls_up_from
    found = {pair.timeframe for pairs in topics.values() for pair in pairs}
    return {each for each in found if base is None or each.ms <= base.ms}


class Listener:
    """Connections that are read as a stream's owner does it, but never replaced.

    Methods raise Failed as soon as one ends or refuses.
    """

    def __init__(self, connections: Sequence[Connection], received: Received):
        self._connections = connections
        self._received = received

    def __enter__(self) -> "Listener":
        for connection in self._connections:
            connection.start()
        return self

    def __exit__(self, *error: object) -> None:
        for connection in self._connections:
            connection.close()
        for connection in self._connections:
            connection.join(1.0)

    @property
    def malformed(self) -> int:
        """Return how many frames could not be read."""
        return sum(connection.malformed for connection in self._connections)

    def confirm(self) -> None:
        """Wait until everything is confirmed."""
        self.listen(ACK_SECONDS, self._is_answered)
        given_up = {topic for each in self._connections for topic in each.given_up}
        unconfirmed = self._missing() | given_up
        if self._received.frames and not unconfirmed:
            return
        self._refuse_malformed()
        missing = ", ".join(sorted(unconfirmed)[:TOPICS_SHOWN])
        if not self._received.frames:
            raise Failed(
                f"nothing came within {ACK_SECONDS:g} s, not even an answer to the subscription",
                "compare the row's WebSocket address with the exchange's documents; a firewall "
                "that swallows WebSockets looks the same",
            )
        raise Failed(
            f"within {ACK_SECONDS:g} s the exchange did not confirm {missing}",
            "it may stream this symbol no more: choose another with --symbol; or this is another's "
            "address: compare the row's with the exchange's documents",
        )

    def listen(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Take what comes for so long, or until that is true; return whether it is."""
        ends_at = time.monotonic() + seconds
        while True:
            # Asked first: what it still had is read.
            over = next((each for each in self._connections if each.ended.is_set()), None)
            self._read()
            if until():
                return True
            if over:
                raise Failed(
                    f"the connection ended: {over.reason}",
                    CUT,
                )
            if time.monotonic() >= ends_at:
                return False
            time.sleep(LOOK_SECONDS)

    def judge(self, seconds: float) -> None:
        """Raise Failed unless all kinds of frames came, of now and all of them readable."""
        received = self._received
        self._refuse_malformed()
        self.refuse_stale()
        if not received.complete:
            raise Failed(
                f"confirmed, but in {seconds:.0f} s not all came that was asked for: {received}",
                "a quiet symbol: choose a livelier one with --symbol, or listen longer with "
                "--seconds; on a lively one the exchange's stream is out of order",
            )

    def refuse_stale(self) -> None:
        """Raise Failed where no frame was of now, by the clock that REST tells."""
        received = self._received
        if received.lag_ms is not None and abs(received.lag_ms) > LONGEST_LAG_MS:
            way = "old" if received.lag_ms > 0 else "ahead"
            raise Failed(
                f"the youngest frame was {abs(received.lag_ms) / 1000:.0f} s {way} by the "
                f"exchange's own clock: {received}",
                "the stream and REST are not of the same exchange, or the stream lags: compare "
                "both addresses of the row with the exchange's documents, run it again",
            )

    def _refuse_malformed(self) -> None:
        if self.malformed:
            raise Failed(
                f"{self.malformed} of {self._received.frames} frames could not be read",
                "run it again; if it stays so the exchange has changed its format, or something on "
                "the way changes it: the log holds the first of them",
            )

    def _is_answered(self) -> bool:
        """Tell whether all is confirmed, or given up as the exchange refuses it."""
        return bool(self._received.frames) and not self._missing()

    def _missing(self) -> set[Topic]:
        return {topic for each in self._connections for topic in each.missing()}

    def _read(self) -> None:
        for connection in self._connections:
            for event in connection.read():
                self._received.take(event)
            self._received.frames += connection.counted()["frames"]
        if self._received.refusal:
            raise Failed(
                f"the exchange refused the subscription: {self._received.refusal}",
                "do what it says; where it is a limit, other programs at this address use it up: "
                "end them, wait a minute, run it again",
            )
