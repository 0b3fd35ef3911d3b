"""Streaming an exchange beside the one who has it, until it is taken over from that one."""

import gc
import logging
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from threading import Event

from redis import Redis
from redis.exceptions import RedisError

from exchanges.daemon_threads import NoAnswer, Workers
from exchanges.errors import LivermoreError, Unreachable
from exchanges.lock.lease import Lease
from exchanges.lock.status import State, read_status, read_status_age
from exchanges.rest.clock import ExchangeClock
from exchanges.stream.streamer import Streamer
from livermore.market.pair import pairs_of
from warmup.live.indicators import IndicatorFollower
from warmup.live.sink import CandleSink

logger = logging.getLogger(__name__)

LONGEST_PREPARING_SECONDS = 60.0
LONGEST_SETTLING_SECONDS = 2.0  # who waits for us to take over does not wait for long
LONGEST_STANDING_STILL_SECONDS = 10.0  # of the thread that streams
SECONDS_BETWEEN_LOOKS = 0.02
FRESH_MS = 5_000


def streams(redis: Redis, exchange_id: int, instance_id: str) -> bool:
    """Tell whether a holder streams the exchange just now: only of that one there is a shadow."""
    status = read_status(redis, exchange_id)
    age_ms = read_status_age(redis, exchange_id)
    return (
        status.state is State.ACTIVE
        and status.holder is not None
        and status.holder.instance_id == instance_id
        and age_ms is not None
        and age_ms < FRESH_MS
    )


def do_beside(
    work: Callable[[], object],
    stopping: Event,
    keep_up: Callable[[float], None],
    longest_seconds: float = math.inf,
) -> bool:
    """Let another thread do `work`, and keep up meanwhile; return False where it is to end before.

    Raises what either of them does, and NoAnswer where it takes too long. Work that nobody waits
    for any more goes on.
    """
    workers = Workers(1, "shadow")
    future = workers.submit(work)
    until = time.monotonic() + longest_seconds
    try:
        while not future.done():
            now = time.monotonic()
            if now > until:
                raise NoAnswer(f"no answer within {longest_seconds:g} s")
            keep_up(now)
            if stopping.wait(SECONDS_BETWEEN_LOOKS):
                return False
        future.result()
        return not stopping.is_set()
    finally:
        workers.close()


def learn_pace(clock: ExchangeClock, stopping: Event, keep_up: Callable[[float], None]) -> bool:
    """Ask for an exchange's time once more, as one answer does not tell how fast that goes.

    Where no answer comes soon it is as it was. `keep_up` is called meanwhile, as `do_beside` does.
    Return False where it is to end before.
    """

    def ask() -> None:
        try:
            clock.settle()
        except (LivermoreError, RedisError) as error:  # it was told a moment ago
            logger.warning("shadow.time_unknown error=%s", error)

    try:
        return do_beside(ask, stopping, keep_up, LONGEST_SETTLING_SECONDS)
    except NoAnswer as error:
        logger.warning("shadow.time_unknown error=%s", error)
        return not stopping.is_set()


class Shadow:
    """What is connected, subscribed, loaded and computed before it may write anything.

    `sink` and `follower` are made without an epoch: they write nothing until `take`.
    """

    def __init__(self, streamer: Streamer, sink: CandleSink, follower: IndicatorFollower):
        self._streamer = streamer
        self._sink = sink
        self._follower = follower
        self._given_up = Event()

    def prepare(
        self,
        symbols: Sequence[str],
        stopping: Event,
        keep_up: Callable[[float], None] = lambda now: None,
    ) -> bool:
        """Stream beside the holder until all is there; return False where it is to end.

        By then it is known at which pace the exchange's time goes: two answers of REST tell that,
        and of a start there was but one. `keep_up` is called meanwhile, with what time it is,
        monotonic. Raises Unreachable where it does not get there, and what ended the stream.
        """
        pairs = pairs_of(symbols)
        started_at = time.monotonic()

        def is_to_end() -> bool:
            keep_up(time.monotonic())
            return stopping.is_set()

        self._streamer.start(symbols)
        self._follower.load(pairs, is_to_end)
        while not self._sink.follows(pairs):
            if self._streamer.error:
                raise self._streamer.error
            if time.monotonic() > started_at + LONGEST_PREPARING_SECONDS:
                trouble = self._streamer.trouble()
                why = f": {trouble.reason}" if trouble else ""
                raise Unreachable(
                    f"not all was streamed within {LONGEST_PREPARING_SECONDS:.0f} s{why}; "
                    "nothing was taken over"
                )
            keep_up(time.monotonic())
            if stopping.wait(SECONDS_BETWEEN_LOOKS):
                return False
        if not learn_pace(self._sink.exchange_clock, stopping, keep_up):
            return False
        gc.collect()
        gc.freeze()  # a full collection takes long, and a burst of closes brings one about
        logger.info("shadow.ready pairs=%d seconds=%.1f", len(pairs), time.monotonic() - started_at)
        return not stopping.is_set()

    def take(self, acquire: Callable[[], Lease]) -> Lease:
        """Return the lease that `acquire` gets, and go on where the holder before was.

        From the moment in which that one may write no more until we do there is but one call to
        Redis. Raises what `acquire` does, and Unreachable where the stream stands still. Who is
        broken off here has nothing: what is taken after that is given back, and nothing is written.
        """
        future = self._streamer.between_rounds(lambda: self._begin(acquire))
        try:
            lease = _result(future)
            self._follower.under(lease.own_epoch, lease.may_write)
        except BaseException:
            self._given_up.set()
            if not future.cancel():
                future.add_done_callback(_give_back)
            raise
        return lease

    def _begin(self, acquire: Callable[[], Lease]) -> Lease:
        lease = acquire()
        try:
            if self._given_up.is_set():
                raise CancelledError
            self._sink.take_over(lease.own_epoch, lease.may_write)
            self._sink.tick()
        except BaseException:
            lease.release()
            raise
        return lease


def _result(future: "Future[Lease]") -> Lease:
    """Wait for what is taken: once that is begun for as long as Redis may take to answer."""
    try:
        return future.result(LONGEST_STANDING_STILL_SECONDS)
    except TimeoutError:
        if future.cancel():
            raise Unreachable(
                f"the stream stood still for {LONGEST_STANDING_STILL_SECONDS:.0f} s; "
                "nothing was taken over"
            ) from None
        return future.result()


def _give_back(future: "Future[Lease]") -> None:
    """Keep no lease for which nobody waits."""
    if not future.cancelled() and not future.exception():
        future.result().release()
