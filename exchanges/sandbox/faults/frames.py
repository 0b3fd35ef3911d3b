"""What scenarios do to the frames of one protocol."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from random import Random
from typing import Generic, NamedTuple, TypeVar

from exchanges.sandbox.faults.malformed import BROKEN
from exchanges.sandbox.faults.scenario import FRAMES, WAYS, Scenario
from exchanges.sandbox.faults.scenarios import Scenarios

SPOILING = set(FRAMES) - {"frame_time"}
# The frames that a kind happens to, whatever `only` says.
_ONLY = {"late_close": "closing", "missing_close": "closing", "early_close": "open"}


StreamT = TypeVar("StreamT", bound=Hashable)


class FrameInfo(NamedTuple):
    """What a frame is about; `closing` is None unless it is a kline's."""

    symbol: str | None = None
    timeframe: str | None = None
    closing: bool | None = None
    traded: bool = True
    ticker: bool = False


class FrameFaults(Generic[StreamT]):
    """Change, hold back or multiply frames before they are sent to whoever listens.

    A frame is one payload for all listeners of its stream, so they all see the same.
    """

    def __init__(
        self,
        scenarios: Scenarios,
        protocol: str,
        seed: int,
        early_close: Callable[[bytes, str], bytes] | None = None,
    ):
        """`early_close` makes an open candle's frame a closing one, in one of two ways."""
        self._scenarios = scenarios
        self._early_close = early_close
        self._protocol = protocol
        self._random = Random(f"{seed}/{protocol}")
        self._waiting: dict[StreamT, bytes] = {}  # until the next frame of their stream
        self._before: dict[StreamT, bytes] = {}  # the open candles told last
        self._late: list[tuple[int, StreamT, bytes]] = []

    def spoil(
        self, stream: StreamT, info: FrameInfo, payload: bytes, now_ms: int
    ) -> list[bytes | None]:
        """Return what to send in place of a payload, in order; None is a frame that gets lost."""
        if not self._scenarios.in_force and not self._waiting:
            return [payload]
        sent: list[bytes | None] = [payload]
        after = self._waiting.pop(stream, None)
        for scenario in self._scenarios.in_force:
            if not sent or scenario.kind not in SPOILING or not self._hits(scenario, info):
                continue
            if scenario.kind == "late_close":
                self._late.append((now_ms + int(scenario.delay * 1000), stream, payload))
                sent = []
            elif scenario.kind == "reordering":
                if after is None:
                    self._waiting[stream] = payload
                    sent = []
            elif scenario.kind == "malformed":
                way = scenario.way or self._random.choice(WAYS)
                sent = [BROKEN[way](one) if one else one for one in sent]
            elif scenario.kind == "early_close":
                close = self._early_close
                way = scenario.way or ""
                sent = [close(one, way) if one and close else one for one in sent]
            elif scenario.kind == "versions":
                before, self._before[stream] = self._before.get(stream), payload
                sent = sent if before is None else [*sent, before]
            else:
                sent = _SIMPLE[scenario.kind](sent)
        return sent if after is None else [*sent, after]

    def to_send(
        self,
        stream: StreamT,
        info: FrameInfo,
        payload: bytes,
        now_ms: int,
        dated: Callable[[bytes, int], bytes],
    ) -> Iterator[bytes]:
        """Yield the same without what gets lost; `dated` writes another time into a frame."""
        for one in self.spoil(stream, info, payload, now_ms):
            if one is not None:
                off_ms = self.off_ms(info)
                yield dated(one, now_ms + off_ms) if off_ms else one

    def overdue(self, now_ms: int) -> list[tuple[StreamT, bytes]]:
        """Return the closing frames that were held back until now, with their streams."""
        if not self._late:
            return []
        due = [(stream, payload) for at, stream, payload in self._late if at <= now_ms]
        self._late = [entry for entry in self._late if entry[0] > now_ms]
        return due

    def off_ms(self, info: FrameInfo) -> int:
        """Return by how much the time is off with which the next frame is dated."""
        return sum(
            scenario.ms
            for scenario in self._scenarios.in_force
            if scenario.kind == "frame_time" and self._hits(scenario, info)
        )

    def leaves_unserved(self, symbol: str | None, timeframe: str | None) -> bool:
        """Tell whether a subscription made now is acknowledged but never served."""
        return any(
            scenario.kind == "ack_without_data"
            and scenario.concerns(self._protocol, symbol, timeframe)
            and scenario.happens(self._random)
            for scenario in self._scenarios.in_force
        )

    def refusal(self, named: Mapping[str, FrameInfo | None]) -> tuple[str, set[str]]:
        """Return the way in which a message that subscribes these is refused, and for which.

        "" where it is done; of the names, None is one that nothing trades under.
        """
        for scenario in self._scenarios.in_force:
            if scenario.kind == "refuse_subscription":
                found = {name for name in named if self._refuses(scenario, named[name])}
                if found and scenario.happens(self._random):
                    return scenario.way or "", found
        return "", set()

    def _refuses(self, scenario: Scenario, info: FrameInfo | None) -> bool:
        if info is None or scenario.symbol is None:
            is_meant = info is None and scenario.symbol is None
            return is_meant and scenario.concerns(self._protocol, None, None)
        return scenario.concerns(self._protocol, info.symbol, info.timeframe)

    def _hits(self, scenario: Scenario, info: FrameInfo) -> bool:
        if scenario.kind == "no_untraded_close" and (info.traded or not info.closing):
            return False
        if scenario.kind == "no_tickers" and not info.ticker:
            return False
        if not scenario.concerns(self._protocol, info.symbol, info.timeframe):
            return False
        if scenario.kind == "versions" and (info.timeframe is None or info.closing):
            return False
        only = _ONLY.get(scenario.kind, scenario.only)
        if only is not None and info.closing is not (only == "closing"):
            return False
        return scenario.happens(self._random)


_SIMPLE: dict[str, Callable[[list], list]] = {
    "silent_symbol": lambda sent: [],
    "missing_close": lambda sent: [],
    "no_untraded_close": lambda sent: [],
    "no_tickers": lambda sent: [],
    "loss": lambda sent: [None],
    "duplicates": lambda sent: sent * 2,
}
