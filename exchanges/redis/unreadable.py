"""What is in Redis under our names and can't be read as ours: named once, and left for a person."""

import logging
import shlex
import threading
import time
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from exchanges.errors import Permanent, clip
from livermore.market import keys

SECONDS_UNTIL_AGAIN = 3600.0
NAMES_REMEMBERED = 10_000
KINDS = {"zset": "sorted set"}

# What all pairs of an exchange share.
OF_EXCHANGE = {
    keys.lock: "string",
    keys.epoch: "string",
    keys.status: "string",
    keys.events: "stream",
    keys.control: "stream",
    keys.told: "hash",
    keys.unconfirmed: "hash",
}


class OnceAnHour:
    """Remembers what was said of which name: any thread may ask whether it is news, for an hour."""

    def __init__(self):
        self._news: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def is_news(self, name: str, why: str) -> bool:
        """Tell whether it was not said lately, and take note that it is now."""
        key, now = (name, why), time.monotonic()
        with self._lock:
            if now - self._news.get(key, float("-inf")) < SECONDS_UNTIL_AGAIN:
                return False
            if len(self._news) >= NAMES_REMEMBERED:
                self._news.clear()
            self._news[key] = now
        return True


_news = OnceAnHour()


class Unreadable(Permanent):
    """A key that holds what no Livermore wrote there: `fault` says what, `remedy` what to do."""

    def __init__(self, fault: str, *names: str):
        self.fault = fault
        self.remedy = remedy(*names)
        super().__init__(f"{fault}: {self.remedy}")


def remedy(*names: str) -> str:
    """Return what a person does about such keys."""
    return f"look at it, then delete it: redis-cli DEL {' '.join(map(shlex.quote, names))}"


def of_type(name: str, found: str, wanted: str) -> str:
    """Return that a key is of another type than it should be, both as Redis names them."""
    return f"{name} is a {KINDS.get(found, found)}, not a {KINDS.get(wanted, wanted)}"


def is_wrong_type(error: Any) -> bool:
    """Tell whether Redis refused a command because the key is of another type."""
    return isinstance(error, ResponseError) and "WRONGTYPE" in str(error)


def value_or_error(found: Any) -> Any:
    """Return one reply of a pipeline, a wrong type as the error that it is; raise other errors."""
    if isinstance(found, Exception) and not is_wrong_type(found):
        raise found
    return found


def warn_once(logger: logging.Logger, name: str, why: object) -> None:
    """Log what can't be read, not each time that it is looked at: again after an hour."""
    text = clip(str(why))
    if _news.is_news(name, text):
        logger.warning("redis.unreadable key=%s why=%s", clip(name), text)


def foreign_key(redis: Redis, exchange_id: int) -> Unreadable | None:
    """Return which key that all pairs of an exchange share is of another type, None where none is.

    While it is there nothing of the exchange can be written and told.
    """
    pipe = redis.pipeline(transaction=False)
    for name in OF_EXCHANGE:
        pipe.type(name(exchange_id))
    for (name, wanted), kind in zip(OF_EXCHANGE.items(), pipe.execute(), strict=True):
        if kind.decode() not in (wanted, "none"):
            key = name(exchange_id)
            return Unreadable(of_type(key, kind.decode(), wanted), key)
    return None
