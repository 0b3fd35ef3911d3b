"""Why an exchange has told nothing, and when to ask it again."""

import time
from typing import NamedTuple

from django.core.exceptions import ObjectDoesNotExist
from django.db import Error as DatabaseError
from redis.exceptions import RedisError

from exchanges.errors import LivermoreError, seconds_to_wait
from serving.candles.unavailable import RETRY_SECONDS, Unavailable
from serving.together.answers import NONE, Answer

LONGEST_PAUSE_SECONDS = 60
# What a call of an exchange raises, with a text for a person.
FAILURES = (
    LivermoreError, RedisError, DatabaseError, ObjectDoesNotExist, Unavailable, ValueError,
)  # fmt: skip


class Failure(NamedTuple):
    """Why something was not fetched, and when to ask again where that is known."""

    why: str
    retry_seconds: int | None = None


def untold(error: Exception) -> Answer:
    """Return why an exchange has not answered, which holds until it is to be asked again."""
    seconds = seconds_to_wait(error)
    holds_seconds = min(seconds or RETRY_SECONDS, LONGEST_PAUSE_SECONDS)
    return Answer(NONE, str(error).encode(), time.time(), holds_seconds, seconds)
