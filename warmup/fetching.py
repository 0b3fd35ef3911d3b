"""Many pairs at once: one that fails never stops the others, unless nothing can be done at all."""

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

from redis.exceptions import RedisError

from exchanges.candle_reply import Candles
from exchanges.errors import (
    BadCredentials,
    BadPayload,
    Banned,
    Blocked,
    LivermoreError,
    Unreachable,
)
from exchanges.venue_rest import VenueRest

logger = logging.getLogger(__name__)

Job = TypeVar("Job")
Result = TypeVar("Result")
Outcome = tuple[Job, Result | None, LivermoreError | None]

# Whatever the pair, the next one would meet the same.
HOPELESS = (Banned, Blocked, BadCredentials, RedisError)


def run_all(
    rest: VenueRest, jobs: Iterable[Job], work: Callable[[Job], Result]
) -> Iterator[Outcome]:
    """Yield `(job, result, error)` of each job as it ends; one of the two is None.

    As many jobs run at once as the exchange takes. Where no further job could succeed (banned,
    blocked, refused key, Redis gone, unreachable for two rounds of jobs in a row) that error is
    raised, `rest` is closed and the rest of the jobs is not begun; the same when the caller stops.
    """
    streak = 0
    waiting = iter(jobs)
    pool = ThreadPoolExecutor(rest.workers, thread_name_prefix="fetch")
    running: dict[Future, Job] = {}
    try:
        while True:
            for job in islice(waiting, 2 * rest.workers - len(running)):
                running[pool.submit(work, job)] = job
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                error = future.exception()
                if error is not None and (
                    isinstance(error, HOPELESS) or not isinstance(error, LivermoreError)
                ):
                    raise error
                streak = streak + 1 if isinstance(error, Unreachable) else 0
                yield job, None if error else future.result(), error
                if streak >= 2 * rest.workers:
                    raise Unreachable(f"gave up after {streak} failures in a row: {error}")
    except BaseException:
        rest.close()  # wakes those who wait for their turn
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def usable(candles: Candles) -> Candles:
    """Return `candles`; raise BadPayload where the exchange sent rows and none was usable."""
    if candles.refused and not candles:
        count, first = len(candles.refused), candles.refused[0]
        raise BadPayload(f"none of {count} candles was usable, the first: {first}")
    for line in candles.refused[:1]:
        logger.warning("candles.refused count=%d first=%s", len(candles.refused), line)
    return candles
