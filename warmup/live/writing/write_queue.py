"""What waits to be written of a stream: closes first, kept where that fails."""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from redis import Redis
from redis.exceptions import RedisError

from exchanges.redis.scripts import Sent
from exchanges.redis.unreadable import foreign_key, is_wrong_type
from livermore.market.candle import Candle, Ticker
from livermore.market.pair import Pair
from warmup.live.bars import Close
from warmup.live.redis_loss.comparison import Comparison
from warmup.live.redis_loss.loss_watch import LossWatch
from warmup.live.redis_loss.written_lately import WrittenClose, WrittenLately, order_of
from warmup.live.writing.flush import Batch, Flusher, LostEvents
from warmup.live.writing.listeners import Listeners

logger = logging.getLogger(__name__)

CLOSES_HELD = 200_000  # while Redis is away; then pairs are marked for repair instead
# Few, as all of a script's are told at its end; more where Redis is slower than who reads.
CLOSES_PER_FLUSH, MOST_CLOSES_PER_FLUSH = 64, 256
OPEN_PER_FLUSH = 400  # few milliseconds, so that closes do not wait
SECONDS_AFTER_FAILURE = 0.5
SECONDS_BETWEEN_STATES = 0.24  # of one open candle: with each fifth round

IsNews = Callable[[Pair, Candle, int], bool]


class Written(NamedTuple):
    """What one write did: closes in order, and the pairs of which it left them out."""

    closes: list[tuple[Pair, Close]]
    aside: set[Pair]


class UnderWay(NamedTuple):
    """What was sent and is not known to be written; `first_id` comes before that of its closes."""

    batch: Batch
    sent: Sent
    first_id: tuple[int, int]


class WriteQueue:
    """Keeps what one exchange's stream has to have written, under the `epoch` of a lease.

    What fails is tried again: open candles and tickers only in their newest state, closes all of
    them. `may_write` is asked before each write.

    What is sent is in Redis's hands until the next is ready to be sent, or `finish`: so one reads
    on while Redis writes. One write is under way at a time, so that closes stay in order.
    """

    def __init__(
        self,
        redis: Redis,
        exchange_id: int,
        epoch: int,
        may_write: Callable[[], bool],
    ):
        self._redis = redis
        self._exchange_id = exchange_id
        self.may_write = may_write
        # Called with what each write did.
        self.on_written: Callable[[Written], None] = lambda written: None
        self._listeners = Listeners(redis, exchange_id)
        self._flusher = Flusher(redis, exchange_id, epoch, self._listeners)
        self.remember_in(WrittenLately(), epoch)
        self.closes: deque[tuple[Pair, Close]] = deque()
        self._under_way: UnderWay | None = None
        self._open: dict[Pair, Candle] = {}
        self._shown: dict[Pair, Candle] = {}  # the newest one of each pair
        self._next_at: dict[Pair, float] = {}  # when an open candle may be written again
        self._tickers: dict[str, Ticker] = {}
        self._marks: dict[Pair, int] = {}
        self._retry_at = 0.0
        self.is_failing = False
        self.failures = 0
        self.trouble = ""  # which key of the exchange keeps everything from being written

    def remember_in(self, lately: WrittenLately, epoch: int) -> None:
        """Tell `lately` what is written; what is in it already was, by the holder before."""
        self.lately = lately
        write_again = Comparison(self._redis, self._exchange_id, epoch, lately, self._flusher)
        self.losses = LossWatch(self._redis, self._exchange_id, write_again, lately)

    def begin(self, epoch: int, may_write: Callable[[], bool], told: Mapping[Pair, int]) -> None:
        """Write under this epoch from now on; of each pair nothing that ended before it was `told`.

        That was written by somebody else meanwhile.
        """
        self._flusher.under(epoch)
        self.losses.under(epoch)
        self.may_write = may_write
        self.closes = deque(
            (pair, close) for pair, close in self.closes if close.covered[1] > told.get(pair, 0)
        )

    def compare(self, now_ms: int) -> None:
        """Compare Redis with what the holder before wrote, once; what waits may have been told.

        `now_ms` is the exchange's time. Until that was done nothing is written. Raises Fenced and
        RedisError.
        """
        if self.losses.has_begun:
            return
        self.losses.is_awaited = True
        self.losses.begin(now_ms)
        self.closes = deque((pair, self.losses.marked(pair, close)) for pair, close in self.closes)

    @property
    def pending(self) -> int:
        """Return how many closes are not written yet."""
        return len(self.closes) + (len(self._under_way[0].closes) if self._under_way else 0)

    @property
    def is_full(self) -> bool:
        """Return whether there is no room for another close."""
        return self.pending >= CLOSES_HELD

    @property
    def is_enough(self) -> bool:
        """Tell whether closes should be sent before more are read."""
        waiting = len(self.closes)
        if waiting % CLOSES_PER_FLUSH or not waiting:
            return False  # not asked at each of them
        is_idle = self._under_way is None or self._under_way[1].is_ready
        return is_idle or waiting >= MOST_CLOSES_PER_FLUSH

    @property
    def may_try(self) -> bool:
        """Return whether something may be tried now."""
        return not self.losses.is_in_doubt and time.monotonic() >= self._retry_at

    def show(self, pair: Pair, candle: Candle) -> None:
        """Let an open candle be written, unless one waits that began later."""
        waiting = self._open.get(pair)
        if waiting is None or waiting.timestamp <= candle.timestamp:
            self._open[pair] = self._shown[pair] = candle

    def show_ticker(self, ticker: Ticker) -> None:
        self._tickers[ticker.symbol] = ticker

    def mark(self, pair: Pair, from_ms: int) -> None:
        """Let a pair be marked as one whose closes are told from then on."""
        self._marks[pair] = from_ms

    def unmark(self, pair: Pair) -> None:
        self._marks.pop(pair, None)

    def forget(self, pair: Pair) -> None:
        """Write no open candle of a pair any more."""
        for each in (self._open, self._shown, self._next_at):
            each.pop(pair, None)

    def leave_out(self, pairs: set[Pair]) -> None:
        """Write none of the closes of these that wait."""
        self.closes = deque(each for each in self.closes if each[0] not in pairs)

    def send_closes(self, now_ms: int) -> bool:
        """Send the next few closes, after what is under way; tell whether that is possible.

        Raises Fenced.
        """
        closes = list(islice(self.closes, MOST_CLOSES_PER_FLUSH))
        return self._send(Batch(closes, {}, {}, self._marks), now_ms)

    def send_rest(self, now_ms: int, is_news: IsNews) -> bool:
        """Send what else waits, open candles unless they are no news by then; likewise."""
        self._look_for_listeners()
        now, live = time.monotonic(), {}
        for pair, candle in list(self._open.items()):
            if self._next_at.get(pair, 0.0) > now:
                continue
            if not is_news(pair, candle, now_ms):
                del self._open[pair]
            else:
                live[pair] = candle
                if len(live) == OPEN_PER_FLUSH:
                    break
        if not (live or self._tickers or self._marks):
            return True
        return self._send(Batch([], live, self._tickers, self._marks), now_ms)

    def finish(self) -> bool:
        """Wait until what is under way is written; tell whether it is. Raises Fenced."""
        if self._under_way is None:
            return True
        (batch, sent, first_id), self._under_way = self._under_way, None
        try:
            aside, others = self._flusher.reply(batch, sent)
        except RedisError as error:
            self._put_back(batch)
            self._failed(error)
            return False
        self.is_failing, self.trouble = False, ""
        self.losses.ids.arrived(len(batch.closes))
        self._remember(batch.closes, aside, first_id, others)
        self.on_written(Written([each for each in batch.closes if each[0] not in aside], aside))
        return True

    def _send(self, batch: Batch, now_ms: int) -> bool:
        if not self.may_write():
            self.finish()
            return False
        call, waiting = self._flusher.prepare(batch, now_ms), self.closes
        if not self.finish():
            return False
        if not self.may_try:  # Redis lacks something
            return False
        if self.closes is not waiting:  # pairs were set aside: theirs are left out
            return True
        self._take_out(batch)
        first_id = self.losses.before_next(len(batch.closes))
        try:
            sent = self._flusher.send(call, self.lately.newest_id, first_id)
            self._under_way = UnderWay(batch, sent, first_id)
        except RedisError as error:
            self._put_back(batch)
            self._failed(error)
            return False
        return True

    def _remember(
        self,
        closes: Sequence[tuple[Pair, Close]],
        aside: set[Pair],
        first_id: tuple[int, int],
        others: Mapping[int, str],
    ) -> None:
        ms, number = first_id
        written = []
        for at, (pair, close) in enumerate(closes):
            if pair in aside:
                continue
            event_id = ""
            if close.candle and close.how:
                event_id = others.get(at, f"{ms}-{number + at + 1}")
                if at not in others or order_of(event_id) > order_of(self.lately.newest_id):
                    self.lately.newest_id = event_id
            written.append(WrittenClose(event_id, pair, close))
        self.lately.add(written)

    def _take_out(self, batch: Batch) -> None:
        """Let nothing of it wait any more."""
        for _ in batch.closes:
            self.closes.popleft()
        next_at = time.monotonic() + SECONDS_BETWEEN_STATES
        for pair in batch.live:
            del self._open[pair]
            self._next_at[pair] = next_at
        self._marks = {}
        if batch.tickers:
            self._tickers = {}

    def _put_back(self, batch: Batch) -> None:
        self.closes.extendleft(reversed(batch.closes))
        self._open = {**batch.live, **self._open}
        for pair in batch.live:
            self._next_at.pop(pair, None)
        self._tickers = {**batch.tickers, **self._tickers}
        self._marks = {**batch.marks, **self._marks}

    def _look_for_listeners(self) -> None:
        """Let who listens from now on have the newest state at once."""
        for pair in self._listeners.look(self._shown.keys()):
            self._open.setdefault(pair, self._shown[pair])
            self._next_at.pop(pair, None)

    def _failed(self, error: RedisError) -> None:
        self.losses.doubt(lacks=isinstance(error, LostEvents))
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
        self._retry_at = time.monotonic() + SECONDS_AFTER_FAILURE
