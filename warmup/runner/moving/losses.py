"""Begins a runner anew where Redis lost whose the exchange is: nobody else has it."""

import logging
import time
from collections.abc import Callable, Iterator

from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import MasterDownError, ReadOnlyError
from redis.exceptions import TimeoutError as NoAnswer

from exchanges.lock.lease import LostByRedis
from warmup.live.redis_loss.written_lately import WrittenLately

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_TRIES = 0.5
GOOD_LIFE_SECONDS = 10.0
LONGEST_TRYING_SECONDS = 60.0  # for a Redis that does not come back

AWAY = (NoConnection, NoAnswer, ReadOnlyError, MasterDownError)  # as while a master is replaced


def run_through_losses(
    run: Callable[[WrittenLately], None], has_to_end: Callable[[float], bool | None]
) -> None:
    """Call `run`, and again where Redis ended what had the exchange, with what it had written.

    `has_to_end(seconds)` waits for so long and tells whether that is not to be done any more.
    Raises what else `run` does.
    """

    def turns(lately: WrittenLately) -> Iterator[bool]:
        run(lately)
        return iter(())

    for _ in turns_through_losses(turns, has_to_end):
        pass


def turns_through_losses(
    turns: Callable[[WrittenLately], Iterator[bool]], has_to_end: Callable[[float], bool | None]
) -> Iterator[bool]:
    """Take `turns`, as `ExchangeRunner.turns` has them, as `run_through_losses` calls `run`."""
    lately, ran_at = WrittenLately(), time.monotonic()
    while True:
        begun_at = time.monotonic()
        try:
            yield from turns(lately)
            return
        except LostByRedis as error:
            ran_at = time.monotonic()
            logger.warning("runner.begins_anew error=%s", error)
        except AWAY as error:
            now = time.monotonic()
            if now - begun_at > GOOD_LIFE_SECONDS:
                ran_at = now
            if not lately.epoch or now - ran_at > LONGEST_TRYING_SECONDS:
                raise
            logger.warning("runner.redis_away error=%s", error)
        yield True
        if has_to_end(SECONDS_BETWEEN_TRIES):
            return
