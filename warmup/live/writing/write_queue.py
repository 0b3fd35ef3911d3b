"""What waits to be written of a stream, written a round trip at a time, kept where that fails."""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from redis import Redis
from redis.exceptions import RedisError

from exchanges.redis.unreadable import foreign_key, is_wrong_type
from livermore.market.candle import Candle, Ticker
from livermore.market.pair import Pair
from warmup.live.bars import Close
from warmup.live.writing.flush import Flusher

logger = logging.getLogger(__name__)

CLOSES_HELD = 200_000  # while Redis is away; then pairs are marked for repair instead
CLOSES_PER_FLUSH = 5_000
SECONDS_AFTER_FAILURE = 0.5


class Written(NamedTuple):
    """What one write did: closes in order, and the pairs of which it left them out."""

    closes: list[tuple[Pair, Close]]
    aside: set[Pair]


class WriteQueue:
    """Keeps what one exchange's stream has to have written, under the `epoch` of a lease.

    What fails is tried again: open candles and tickers only in their newest state, closes all of
    them. `may_write` is asked before each write.
    """

    def __init__(self, redis: Redis, exchange_id: int, epoch: int, may_write: Callable[[], bool]):
        self._redis = redis
        self._exchange_id = exchange_id
        self._may_write = may_write
        self._flusher = Flusher(redis, exchange_id, epoch)
        self.closes: deque[tuple[Pair, Close]] = deque()
        self._open: dict[Pair, Candle] = {}
        self._tickers: dict[str, Ticker] = {}
        self._marks: dict[Pair, int] = {}
        self._retry_at = 0.0
        self.is_failing = False
        self.failures = 0
        self.trouble = ""  # which key of the exchange keeps everything from being written

    def begin(self, epoch: int, may_write: Callable[[], bool], told: Mapping[Pair, int]) -> None:
        """Write under this epoch from now on; of each pair nothing that ended before it was `told`.

        That was written by somebody else meanwhile.
        """
        self._flusher.under(epoch)
        self._may_write = may_write
        self.closes = deque(
            (pair, close) for pair, close in self.closes if close.covered[1] > told.get(pair, 0)
        )

    @property
    def is_full(self) -> bool:
        """Return whether there is no room for another close."""
        return len(self.closes) >= CLOSES_HELD

    @property
    def is_due(self) -> bool:
        """Return whether anything waits that may be tried now."""
        waits = self.closes or self._open or self._tickers or self._marks
        return bool(waits) and time.monotonic() >= self._retry_at

    def show(self, pair: Pair, candle: Candle) -> None:
        """Let an open candle be written, unless one waits that began later."""
        waiting = self._open.get(pair)
        if waiting is None or waiting.timestamp <= candle.timestamp:
            self._open[pair] = candle

    def show_ticker(self, ticker: Ticker) -> None:
        self._tickers[ticker.symbol] = ticker

    def mark(self, pair: Pair, from_ms: int) -> None:
        """Let a pair be marked as one whose closes are told from then on."""
        self._marks[pair] = from_ms

    def unmark(self, pair: Pair) -> None:
        self._marks.pop(pair, None)

    def forget(self, pair: Pair) -> None:
        """Write no open candle of a pair any more."""
        self._open.pop(pair, None)

    def leave_out(self, pairs: set[Pair]) -> None:
        """Write none of the closes of these that wait."""
        self.closes = deque(each for each in self.closes if each[0] not in pairs)

    def write(self, now_ms: int, is_news: Callable[[Pair, Candle, int], bool]) -> Written | None:
        """Write what waits, `now_ms` being the exchange's time; None where that was not done.

        Open candles that are no news by then are left out. Raises Fenced.
        """
        if not self._may_write():
            return None
        now = time.monotonic()
        closes = list(islice(self.closes, CLOSES_PER_FLUSH))
        live = {pair: c for pair, c in self._open.items() if is_news(pair, c, now_ms)}
        tickers, marks = self._tickers, self._marks
        self._open, self._tickers, self._marks = {}, {}, {}
        try:
            aside = self._flusher.write(closes, live, tickers, now_ms, marks)
        except RedisError as error:
            self._open, self._tickers = live | self._open, tickers | self._tickers
            self._marks = marks | self._marks
            self._failed(error, now)
            return None
        self.is_failing, self.trouble = False, ""
        for _ in closes:
            self.closes.popleft()
        return Written([each for each in closes if each[0] not in aside], aside)

    def _failed(self, error: RedisError, now: float) -> None:
        if not self.is_failing:
            self.trouble = ""
            if is_wrong_type(error):
                with suppress(RedisError):
                    self.trouble = str(foreign_key(self._redis, self._exchange_id) or "")
            logger.warning(
                "sink.flush_failed exchange=%d error=%s", self._exchange_id, self.trouble or error
            )
        self.is_failing = True
        self.failures += 1
        self._retry_at = now + SECONDS_AFTER_FAILURE
