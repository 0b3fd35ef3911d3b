"""What an exchange refuses to stream, remembered over the connections of a lane."""

import logging
from collections.abc import Collection, Mapping

from exchanges.errors import clip
from exchanges.stream.base import Topic, VenueStream
from exchanges.stream.connection import Connection
from livermore.market.pair import Pair

logger = logging.getLogger(__name__)

# It is tried again after so long, and then after twice as long each time.
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 60.0, 3600.0


class RefusedTopics:
    """Topics that the exchange refuses, until it takes them or nobody wants them any more."""

    def __init__(self, stream: VenueStream):
        self._stream = stream
        self._reasons: dict[Topic, str] = {}
        self._unnamed: set[Topic] = set()  # nobody was told of these yet
        self._retry_at = float("inf")
        self._delay = FIRST_RETRY_SECONDS

    @property
    def topics(self) -> Collection[Topic]:
        return self._reasons.keys()

    def retry(self) -> None:
        """Try it all again as soon as that can be done, and soon after."""
        self._retry_at, self._delay = 0.0, FIRST_RETRY_SECONDS

    def check(
        self, connection: Connection, wanted: Mapping[Topic, Collection[Pair]], now: float
    ) -> None:
        """Learn what a connection was refused and what it got, and let it try again in time."""
        if not (connection.given_up or self._reasons):
            return
        new = connection.given_up.keys() - self._reasons.keys()
        self._reasons |= {topic: connection.given_up[topic] for topic in new}
        self._unnamed |= new
        for topic in self._reasons.keys() & connection.session.confirmed:
            self._forget(topic)
            logger.info("stream.taken url=%s topic=%s", connection.address, topic)
        for topic in self._reasons.keys() - wanted.keys():
            self._forget(topic)
        if not self._reasons:
            self._retry_at, self._delay = float("inf"), FIRST_RETRY_SECONDS
        elif connection.settled:
            self._name(wanted, connection.address)
            self._try_again(connection, now)

    def _forget(self, topic: Topic) -> None:
        del self._reasons[topic]
        self._unnamed.discard(topic)

    def _try_again(self, connection: Connection, now: float) -> None:
        if now >= self._retry_at:
            connection.retry()
            self._delay = min(2 * self._delay, LONGEST_RETRY_SECONDS)
            self._retry_at = now + self._delay
        elif self._retry_at == float("inf"):
            self._retry_at = now + self._delay

    def _name(self, wanted: Mapping[Topic, Collection[Pair]], address: str) -> None:
        """Write a line for each market, not one for each of its topics."""
        markets: dict[str, list[Topic]] = {}
        for topic in sorted(self._unnamed):
            markets.setdefault(self._stream.market_in(topic), []).append(topic)
        self._unnamed.clear()
        for market, topics in markets.items():
            symbols = sorted({pair.symbol for topic in topics for pair in wanted[topic]})
            logger.error(
                "stream.given_up url=%s symbol=%s topics=%s reason=%s",
                address,
                ",".join(symbols) or market,
                ",".join(topics),
                clip(self._reasons[topics[0]]),
            )
