"""Volumes for the Network page: what is known at once, and what the exchange says within seconds.

An exchange that does not answer costs nobody more than the time that is given here: it is asked
by one thread at a time, which goes on alone, and after a failure not again for half a minute.
"""

import logging
import threading
import time
from dataclasses import dataclass, field

from redis import Redis
from redis.exceptions import RedisError

from exchanges import adapters
from exchanges.errors import LivermoreError, clip
from exchanges.models import Exchange
from exchanges.rest.base import VenueRest
from exchanges.symbols.volumes import Volumes, ask_volumes, names_of, read_volumes

logger = logging.getLogger(__name__)

SECONDS_AFTER_FAILURE = 30.0
NOT_YET = "the exchange has not answered yet"


@dataclass(slots=True)
class _Asking:
    """One question: who waits for it learns here what came of it."""

    ended: threading.Event = field(default_factory=threading.Event)
    trouble: str = ""
    ended_at: float = 0.0

    @property
    def is_in_vain(self) -> bool:
        """Tell whether it failed so lately that nobody asks again."""
        lately = time.monotonic() - self.ended_at < SECONDS_AFTER_FAILURE
        return self.ended.is_set() and bool(self.trouble) and lately


_askings: dict[tuple[int, str], _Asking] = {}
_beginning = threading.Lock()


def volumes_within(redis: Redis, exchange: Exchange, seconds: float) -> tuple[Volumes, str]:
    """Return what is known after so many seconds at most, and why it is nothing newer, "" if it is.

    Without seconds nobody is asked.
    """
    kept = read_volumes(redis, exchange.pk)
    if kept.is_fresh:
        return kept, ""
    asking = _begin(redis, exchange) if seconds else _askings.get(_name(exchange))
    if asking is None:
        return kept, NOT_YET
    if not asking.ended.wait(seconds):
        return kept, NOT_YET
    return read_volumes(redis, exchange.pk), asking.trouble


def _name(exchange: Exchange) -> tuple[int, str]:
    return exchange.pk, exchange.rest_url


def _begin(redis: Redis, exchange: Exchange) -> _Asking:
    with _beginning:
        name = _name(exchange)
        asking = _askings.get(name)
        if asking and (not asking.ended.is_set() or asking.is_in_vain):
            return asking
        asking = _askings[name] = _Asking()
    try:
        rest, names = adapters.open_rest(exchange), names_of(exchange)
    except Exception as error:
        _end(asking, str(error))
        if isinstance(error, LivermoreError):
            return asking
        raise
    arguments = (redis, exchange, rest, names, asking)
    threading.Thread(target=_ask, args=arguments, name="volumes", daemon=True).start()
    return asking


def _ask(
    redis: Redis, exchange: Exchange, rest: VenueRest, names: dict[str, str], asking: _Asking
) -> None:
    """Ask, in a thread; the database is left alone here."""
    trouble = "nobody knows: see the log"
    try:
        ask_volumes(redis, exchange, rest, names)
        trouble = ""
    except (LivermoreError, RedisError) as error:
        trouble = clip(str(error))
        logger.warning("volumes.not_told exchange=%s error=%s", exchange.name, error)
    finally:
        _end(asking, trouble)
        rest.close()


def _end(asking: _Asking, trouble: str) -> None:
    asking.trouble, asking.ended_at = trouble, time.monotonic()
    asking.ended.set()
