"""Streaming an exchange beside the one who has it, until it is taken over from that one."""

import gc
import logging
import time
from collections.abc import Callable, Sequence
from threading import Event

from redis import Redis

from exchanges.errors import Unreachable
from exchanges.lock.lease import Lease
from exchanges.lock.status import State, read_status, read_status_age
from exchanges.stream.streamer import Streamer
from livermore.market.pair import pairs_of
from warmup.live.indicators import IndicatorFollower
from warmup.live.sink import CandleSink

logger = logging.getLogger(__name__)

LONGEST_PREPARING_SECONDS = 60.0
LONGEST_TAKING_SECONDS = 10.0
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


class Shadow:
    """What is connected, subscribed, loaded and computed before it may write anything.

    `sink` and `follower` are made without an epoch: they write nothing until `take`.
    """

    def __init__(self, streamer: Streamer, sink: CandleSink, follower: IndicatorFollower):
        self._streamer = streamer
        self._sink = sink
        self._follower = follower

    def prepare(
        self,
        symbols: Sequence[str],
        stopping: Event,
        keep_up: Callable[[float], None] = lambda now: None,
    ) -> bool:
        """Stream beside the holder until all is there; return False where it is to end.

        `keep_up` is called meanwhile, with what time it is, monotonic. Raises Unreachable where it
        does not get there, and what ended the stream.
        """
        pairs = pairs_of(symbols)
        started_at = time.monotonic()
        self._streamer.start(symbols)
        self._follower.load(pairs, stopping.is_set)
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
        gc.collect()
        gc.freeze()  # a full collection takes long, and a burst of closes brings one about
        logger.info("shadow.ready pairs=%d seconds=%.1f", len(pairs), time.monotonic() - started_at)
        return not stopping.is_set()

    def take(self, acquire: Callable[[], Lease]) -> Lease:
        """Return the lease that `acquire` gets, and go on where the holder before was.

        From the moment in which that one may write no more until we do there is but one call to
        Redis. Raises what `acquire` does.
        """

        def begin() -> Lease:
            lease = acquire()
            try:
                self._sink.take_over(lease.own_epoch, lease.may_write)
                self._sink.tick()
            except BaseException:
                lease.release()
                raise
            return lease

        lease = self._streamer.between_rounds(begin).result(LONGEST_TAKING_SECONDS)
        self._follower.under(lease.own_epoch, lease.may_write)
        return lease
