"""Pacers of one host, and its server's time, moved by hand."""

from exchanges.rest.pacing.batch import BatchPacer
from exchanges.rest.pacing.budget import Lane, Limits
from exchanges.rest.pacing.weight import WeightPacer

HOST = "exchange.test"
LIMITS = Limits(weight_per_minute=100, requests_per_5_minutes=10_000)
START = 1_790_000_000_300  # not on a second, so that whole seconds are no special case


class Clock:
    """The Redis server's time, moved by hand: it stands where the scripts look for it."""

    def __init__(self, redis):
        self._redis = redis
        self.now_ms = START
        self.passed_ms = 0  # of this machine's time
        self.advance(0)

    def advance(self, seconds):
        self.passed_ms += round(seconds * 1000)
        self.leap(seconds)

    def leap(self, seconds):
        """Move the server's time alone, as another server's clock does."""
        self.now_ms += round(seconds * 1000)
        self._redis.delete("test:clock")
        self._redis.rpush("test:clock", self.now_ms // 1000, self.now_ms % 1000 * 1000)


def weight_pacer(redis, limits=LIMITS, host=HOST):
    return WeightPacer(redis, host, limits)


def batch_pacer(redis, size=5, delay_ms=1000, host=HOST):
    return BatchPacer(redis, host, size, delay_ms)


def sent_at(clock, pacer, calls, weight=1, lane=Lane.BACKFILL):
    """Return at which millisecond after now each of so many calls may go."""
    start, times = clock.now_ms, []
    for _ in range(calls):
        pacer.wait_turn(weight, lane)
        times.append(clock.now_ms - start)
    return times


def most_in_a_window(calls, length_ms):
    """Return the most weight of `(time, weight)` that any window of that length holds."""
    return max(
        (sum(w for t, w in calls if start <= t < start + length_ms) for start, _ in calls),
        default=0,
    )


def url_of(redis):
    return f"unix://{redis.connection_pool.connection_kwargs['path']}"
