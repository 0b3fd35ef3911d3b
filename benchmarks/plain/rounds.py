"""What one does first: look at all that came every 50 ms, and write all of it at once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from exchanges.stream.streamer import Streamer
from warmup.live.writing import write_queue

CLOSES_PER_FLUSH = 5_000


class RoundsStreamer(Streamer):
    """Reads what may close bars when it reads all else."""

    def _read_closes_until(self, next_round_at: float) -> None:
        self._stopping.wait(max(0.0, next_round_at - time.monotonic()))


@contextmanager
def in_rounds() -> Iterator[type[Streamer]]:
    """Let sinks write all closes of a round with one call, as long as the block lasts."""
    usual = write_queue.CLOSES_PER_FLUSH, write_queue.MOST_CLOSES_PER_FLUSH
    write_queue.CLOSES_PER_FLUSH = write_queue.MOST_CLOSES_PER_FLUSH = CLOSES_PER_FLUSH
    try:
        yield RoundsStreamer
    finally:
        write_queue.CLOSES_PER_FLUSH, write_queue.MOST_CLOSES_PER_FLUSH = usual
