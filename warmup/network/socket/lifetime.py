"""How long a browser's socket lives: until it is frozen, its user is gone, or the day is over."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from django.db import Error as DatabaseError

from warmup.network.permission import NotAdmitted
from warmup.network.socket.outbox import Outbox

logger = logging.getLogger(__name__)

# The web server's library takes no others than 1000 and those from 3000 on.
DAY_OLD, TOO_SLOW, FLOOD, TRY_LATER = 4000, 4408, 4429, 4503


@dataclass(frozen=True, slots=True)
class Limits:
    """How often a socket is looked after, and how long it may live.

    A channel layer forgets the members of a group after a day, so a socket is renewed before.
    """

    step_seconds: float = 2.0
    check_seconds: float = 20.0
    recheck_seconds: float = 4.0  # where the database gave no answer
    longest_unchecked_seconds: float = 25.0
    life_seconds: float = 82_800.0


USUAL = Limits()


async def wait_for_end(outbox: Outbox, check: Callable[[], Awaitable[None]], limits: Limits) -> int:
    """Return the close code with which a socket has to be closed, when it has to be.

    `check` looks whether the user may still be here: raises NotAdmitted. Where the database can't
    be asked for too long, that counts as a no.
    """
    now = checked_at = _now()
    # Not all at once, where many came at once.
    ends_at = now + limits.life_seconds * random.uniform(0.95, 1)
    next_check_at = now + random.uniform(0, limits.check_seconds)
    while now < ends_at:
        await asyncio.sleep(limits.step_seconds)
        now = _now()
        if outbox.is_frozen(now):
            return TOO_SLOW
        if now < next_check_at:
            continue
        next_check_at = now + limits.check_seconds
        try:
            await check()
            checked_at = now
        except NotAdmitted as refusal:
            return refusal.code
        except DatabaseError as error:
            logger.warning("network.not_checked error=%s", error)
            next_check_at = now + limits.recheck_seconds
            if now - checked_at > limits.longest_unchecked_seconds:
                return TRY_LATER
    return DAY_OLD


def _now() -> float:
    return asyncio.get_running_loop().time()
