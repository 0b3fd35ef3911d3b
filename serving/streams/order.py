"""Lets what is told of bars through in order: each close once, no bar before the last."""

from typing import Any

from livermore.market.derived import BY_TEXT
from serving.streams.hub import Topic

Told = tuple[Topic, dict[str, Any]]

SECONDS_TO_WAIT_FOR_A_CLOSE = 5.0  # a quiet bar has none


class Order:
    """What was told of each topic of klines. Used in the event loop's thread alone."""

    def __init__(self) -> None:
        self._closed_ms: dict[Topic, int] = {}  # the end of the last bar whose close was told
        self._begun_ms: dict[Topic, int] = {}  # the first open bar, until there was a close
        self._held: dict[Topic, tuple[float, Told]] = {}  # open candles before their time, newest

    def forget(self, topic: Topic) -> None:
        self._closed_ms.pop(topic, None)
        self._begun_ms.pop(topic, None)
        self._held.pop(topic, None)

    def close(self, told: Told) -> list[Told]:
        """Return what may be told now that a bar has closed."""
        topic, message = told
        opened = message["timestamp"]
        if opened < self._closed_ms.get(topic, 0):
            return []  # told before, or healed late: their protocol has no word for that
        self._closed_ms[topic] = opened + BY_TEXT[topic.timeframe].ms
        held = self._held.get(topic)
        if held and held[1][1]["timestamp"] <= self._closed_ms[topic]:
            del self._held[topic]
            return [told, *self.open(held[1], held[0])]
        return [told]

    def open(self, told: Told, now: float) -> list[Told]:
        """Return an open candle if it may be told: its bar's turn has come."""
        topic, message = told
        opened = message["timestamp"]
        expected = self._closed_ms.get(topic) or self._begun_ms.setdefault(topic, opened)
        if opened == expected:
            return [told]
        if opened < expected:
            return []  # on its way when its bar closed
        since, held = self._held.get(topic, (now, told))
        if held[1]["timestamp"] <= opened:
            self._held[topic] = since, told
        return [told] if now - since > SECONDS_TO_WAIT_FOR_A_CLOSE else []
