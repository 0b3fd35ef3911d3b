"""What time it is at an exchange, for who only looks: this machine's own clock may be off."""

import time
from enum import StrEnum
from typing import NamedTuple

from redis import Redis

from exchanges.daemon_threads import within
from exchanges.errors import LivermoreError
from exchanges.lock.status import read_exchange_time
from exchanges.rest.base import VenueRest

TIMEOUT_SECONDS = 10.0


class Clock(StrEnum):
    """Who told what time it is; the machine's is the last resort."""

    RUNNER = "runner"
    EXCHANGE = "exchange"
    MACHINE = "machine"


class Moment(NamedTuple):
    """A time in UTC epoch ms, and by whose clock.

    `doubt` says, where it is this machine's, why the exchange could not be asked.
    """

    ms: int
    clock: Clock
    doubt: str = ""


def find_time(redis: Redis, rest: VenueRest) -> Moment:
    """Return the exchange's time: as its runner tells it, else for one call of ours.

    Where no answer comes within 10 seconds, this machine's.
    """
    told_ms = read_exchange_time(redis, rest.exchange_id)
    if told_ms is not None:
        return Moment(told_ms, Clock.RUNNER)
    try:
        return Moment(within(TIMEOUT_SECONDS, rest.clock.now_ms), Clock.EXCHANGE)
    except LivermoreError as error:
        return Moment(int(time.time() * 1000), Clock.MACHINE, str(error))
