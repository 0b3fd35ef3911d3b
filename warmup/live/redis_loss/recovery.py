"""Sees that Redis has again what it lost, before anything else is written."""

import logging
from collections.abc import Callable

from redis.exceptions import RedisError

from warmup.live.pairs.streamed_pairs import StreamedPairs
from warmup.live.writing.write_queue import WriteQueue

logger = logging.getLogger(__name__)


class Recovery:
    """Looks, once in a while and where there is doubt, whether Redis lost something of a stream.

    What can't be written again from memory is skipped, and told late once it is known.
    """

    def __init__(
        self,
        writes: WriteQueue,
        pairs: StreamedPairs,
        now_ms: Callable[[], int],
        on_loss: Callable[[], None],
    ):
        """`now_ms` tells the exchange's time; `on_loss` is called where something was lost."""
        self._writes = writes
        self._pairs = pairs
        self._now_ms = now_ms
        self._on_loss = on_loss
        self._is_failing = False

    def begin(self) -> None:
        """Compare with what the holder before wrote; where that fails `step` tries it again."""
        try:
            self._writes.compare(self._now_ms())
        except RedisError as error:
            self._complain(error)
        else:
            self._is_failing = False

    def step(self) -> None:
        """Where it is time to, look whether Redis lost something, and write that again.

        Nothing else is written before that is done. Raises Fenced.
        """
        losses = self._writes.losses
        if losses.is_awaited:
            self.begin()
            if losses.is_awaited:
                return
        if not losses.is_due or not self._writes.may_write() or not self._writes.finish():
            return
        try:
            loss = losses.settle()
        except RedisError as error:
            self._complain(error)
            return
        self._is_failing = False
        if loss:
            for pair, gaps in loss.gaps.items():
                for stretch in gaps:
                    self._pairs.skipped.add(pair, stretch)
            for pair in self._pairs.bars:
                self._pairs.skipped.repaired(pair)
            self._on_loss()

    def _complain(self, error: RedisError) -> None:
        if not self._is_failing:
            logger.warning("sink.not_compared error=%s", error)
        self._is_failing = True
