"""What was asked of the sandbox, so a test can say who called what how often."""

from collections import Counter, deque
from dataclasses import asdict, dataclass
from threading import Lock


@dataclass(slots=True)
class CandleRequest:
    """One call for candles, as sent: what couldn't be read is None.

    `symbol` is canonical where the exchange lists it. Times are epoch milliseconds whatever
    the protocol, `arrived_ms` on the sandbox's clock. `status` 0 means no answer was completed.
    `weight` is what the limit's counter stood at afterwards, None where none is told.
    """

    protocol: str
    symbol: str | None
    timeframe: str | None
    start_ms: int | None
    end_ms: int | None
    limit: int | None
    arrived_ms: int
    status: int = 0
    weight: int | None = None


class RequestLog:
    """Counts of all exchange requests, and the last candle requests in full.

    Filled by the server's thread and read from any other.
    """

    def __init__(self, size: int):
        self._lock = Lock()
        self._counts: Counter[str] = Counter()
        self._candles: deque[CandleRequest] = deque(maxlen=size)

    def count(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1

    def add(self, request: CandleRequest) -> None:
        with self._lock:
            self._candles.append(request)

    def reset(self) -> None:
        with self._lock:
            self._counts.clear()
            self._candles.clear()

    @property
    def counts(self) -> Counter[str]:
        """Requests by `protocol.endpoint`, such as `{protocol}.klines`."""
        with self._lock:
            return Counter(self._counts)

    @property
    def candles(self) -> list[CandleRequest]:
        """The last candle requests, oldest first."""
        with self._lock:
            return list(self._candles)

    def as_json(self) -> dict:
        return {"counts": self.counts, "log": [asdict(request) for request in self.candles]}
