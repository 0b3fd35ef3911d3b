"""Begins a runner anew where Redis lost whose the exchange is: nobody else has it."""

import logging
import time
from collections.abc import Callable

from redis.exceptions import RedisError

from exchanges.lock.lease import LostByRedis
from warmup.live.redis_loss.written_lately import WrittenLately

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_TRIES = 0.5
LONGEST_TRYING_SECONDS = 60.0  # for a Redis that does not come back


def run_through_losses(
    run: Callable[[WrittenLately], None], has_to_end: Callable[[float], bool | None]
) -> None:
    """Call `run`, and again while Redis is what ended it, with what was written until then.

    `has_to_end(seconds)` waits for so long and tells whether that is not to be done any more.
    Raises what else `run` does.
    """
    lately, lost_at = WrittenLately(), float("-inf")
    while True:
        try:
            return run(lately)
        except LostByRedis as error:
            lost_at = time.monotonic()
            logger.warning("runner.begins_anew error=%s", error)
        except RedisError as error:
            if time.monotonic() - lost_at > LONGEST_TRYING_SECONDS:
                raise
            logger.warning("runner.redis_away error=%s", error)
        if has_to_end(SECONDS_BETWEEN_TRIES):
            return None
