"""What clients did on their WebSockets, so a test can say whether limits were kept."""

from collections import Counter, deque
from dataclasses import dataclass, field

WINDOW_SECONDS = 300
_INTERNAL = ("attempts", "message_times")


@dataclass
class StreamCounts:
    """One protocol's clients since the start or the last reset.

    Filled by the server's thread; reading from another is safe. `connects` counts every attempt,
    `refused` those of them that got no WebSocket. `closed` counts by close code the
    connections that the server ended (1006: cut without a word), `too_slow` those that
    didn't read. `subscriptions` counts the connections on each stream now, by its name
    (`btcusd@kline_1m`, `candles:BTC-USD`).
    """

    connects: int = 0
    refused: int = 0
    open: int = 0
    messages: int = 0
    frames: int = 0
    too_slow: int = 0
    closed: Counter[int] = field(default_factory=Counter)
    subscriptions: Counter[str] = field(default_factory=Counter)
    most_open: int = 0
    most_messages_per_second: int = 0  # of one connection
    most_streams: int = 0  # of one connection
    most_frame_bytes: int = 0  # of one incoming message
    most_connects_in_5_minutes: int = 0
    attempts: deque[float] = field(default_factory=deque, repr=False)  # when, within 5 minutes
    message_times: deque[float] = field(default_factory=deque, repr=False)  # when, within a second

    def attempt(self, now: float) -> int:
        """Count one attempt to connect; return how many there were within five minutes."""
        attempts = self.attempts
        while attempts and attempts[0] <= now - WINDOW_SECONDS:
            attempts.popleft()
        attempts.append(now)
        self.connects += 1
        self.most_connects_in_5_minutes = max(self.most_connects_in_5_minutes, len(attempts))
        return len(attempts)

    def opened(self) -> None:
        self.open += 1
        self.most_open = max(self.most_open, self.open)

    def message(self, in_this_second: int) -> None:
        self.messages += 1
        self.most_messages_per_second = max(self.most_messages_per_second, in_this_second)

    def received(self, size: int) -> None:
        self.most_frame_bytes = max(self.most_frame_bytes, size)

    def subscribed(self, stream: str, streams: int) -> None:
        self.subscriptions[stream] += 1
        self.most_streams = max(self.most_streams, streams)

    def unsubscribed(self, stream: str) -> None:
        self.subscriptions[stream] -= 1
        if not self.subscriptions[stream]:
            del self.subscriptions[stream]

    def reset(self) -> None:
        """Forget the past; connections and subscriptions that exist go on."""
        kept = {"open": self.open, "most_open": self.open, "subscriptions": self.subscriptions}
        self.__dict__.update(StreamCounts().__dict__ | kept)

    def as_json(self) -> dict:
        told = {name: value for name, value in self.__dict__.items() if name not in _INTERNAL}
        return told | {"closed": self.closed.copy(), "subscriptions": self.subscriptions.copy()}
