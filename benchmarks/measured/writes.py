import statistics
import time
from collections.abc import Callable, Iterator, Sequence

from django.conf import settings
from redis import Redis, UnixDomainSocketConnection

from benchmarks.fixtures.bench import Bench
from benchmarks.fixtures.candles import CANDLES_A_PAIR, writes
from benchmarks.measurement import Measurement
from exchanges.redis.client import make_client
from warmup.cache.candles import CandleCache, CandleWrite

SYMBOLS = 100
PAIRS = SYMBOLS * 6
RUNS = 5


class CountingConnection(UnixDomainSocketConnection):
    """Counts how often something was sent, a whole pipeline as once."""

    sent = 0

    def send_packed_command(self, *args, **kwargs):
        CountingConnection.sent += 1
        return super().send_packed_command(*args, **kwargs)


def measure(bench: Bench) -> Iterator[Measurement]:
    with make_client(settings.REDIS_URL) as redis:
        redis.connection_pool.connection_class = CountingConnection
        cache = CandleCache(redis, 1)
        some = list(writes(f"S{number:03d}-USD" for number in range(SYMBOLS)))

        def one_by_one(changes: Sequence[CandleWrite]) -> None:
            for each in changes:
                cache.write_many([each])

        together = f"write_many, {PAIRS} pairs x {CANDLES_A_PAIR} candles"
        yield _measurement(redis, f"{together}, none cached", cache.write_many, some, empty=True)
        yield _measurement(redis, f"{together}, all cached", cache.write_many, some, empty=False)
        yield _measurement(
            redis, "the same pair by pair, none cached", one_by_one, some, empty=True
        )


def _measurement(
    redis: Redis,
    what: str,
    write: Callable[[Sequence[CandleWrite]], None],
    changes: Sequence[CandleWrite],
    *,
    empty: bool,
) -> Measurement:
    rates, trips = [], 0
    write(changes)  # the first one also brings the script
    for _ in range(RUNS):
        if empty:
            redis.flushdb()
        before, started = CountingConnection.sent, time.perf_counter()
        write(changes)
        rates.append(len(changes) * CANDLES_A_PAIR / (time.perf_counter() - started))
        trips = CountingConnection.sent - before
    return Measurement(what, statistics.median(rates), "/s", note=f"round trips: {trips}")
