"""One exchange's life in an agent: from its listing to its end, and what came of it."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from django.db import Error as DatabaseError
from django.db import close_old_connections, connections
from redis import Redis
from redis.exceptions import RedisError

from exchanges.errors import Banned, LivermoreError
from exchanges.lock.acquire import Held
from exchanges.lock.lease import HandedOver, LostLock
from exchanges.models import Exchange
from exchanges.symbols.fetch_listing import fetch_listing
from warmup.live.redis_loss.written_lately import WrittenLately
from warmup.runner.moving.losses import turns_through_losses
from warmup.runner.runner import STEP_SECONDS, ExchangeRunner
from warmup.runner.trouble import TroubleReport

logger = logging.getLogger(__name__)


class Order(NamedTuple):
    """What an agent wants of a life: whom it replaces and why, and when it is tried again.

    One that `goes_on` streams at once, and looks for what is missing after that.
    """

    from_whom: str | None = None
    reason: str = ""
    wait_seconds: float = 0.0
    goes_on: bool = False  # where somebody else streamed a moment ago


class Outcome(NamedTuple):
    """How a life ended: somebody else holds the exchange, or it is to be tried again so soon.

    `wait_seconds` None: it ended as it was asked to.
    """

    held: bool = False
    wait_seconds: float | None = None


class Life:
    """One exchange's life in this process: its `turns` last from its listing to its end.

    `say` is told in a line what ended; `on_close` is called when closes were told, so that the next
    turn has something to do.
    """

    def __init__(
        self,
        redis: Redis,
        exchange: Exchange,
        order: Order,
        say: Callable[[str], None],
        on_close: Callable[[], object] = lambda: None,
    ):
        self.exchange = exchange
        self._redis = redis
        self._order = order
        self._say = say
        self._trouble = TroubleReport(redis, exchange)
        self._runner: ExchangeRunner | None = None
        self._on_close = on_close
        self._stopping, self._leaving = threading.Event(), threading.Event()

    @property
    def instance_id(self) -> str:
        """Return the id by which it holds the exchange's lock, "" while it does not."""
        return self._runner.instance_id if self._runner else ""

    def stop(self) -> None:
        """Let the turns end; any thread may call it."""
        self._stopping.set()
        if runner := self._runner:
            runner.stop()

    def leave(self) -> None:
        """Let the turns end, once another agent streams the exchange, if one waits for it."""
        self._leaving.set()
        runner = self._runner
        if runner and runner.instance_id:
            runner.leave()
        else:
            self.stop()

    def run(self) -> Outcome:
        """Take all turns; return how it ended."""
        error = None
        try:
            for _ in self.turns(STEP_SECONDS):
                pass
        except Exception as raised:
            error = raised
        try:
            return self.end(error)
        finally:
            connections.close_all()

    def turns(self, block_seconds: float) -> Iterator[bool]:
        """Live in turns, as `ExchangeRunner.turns` does; what they raise is for `end`."""
        self.exchange.refresh_from_db()
        if not self.exchange.symbols.exists():
            fetch_listing(self.exchange, self._trouble.observe)
        symbols = list(self.exchange.symbols.kept_warm().values_list("symbol", flat=True))
        from_whom: str | None = self._order.from_whom

        def turns(lately: WrittenLately) -> Iterator[bool]:
            nonlocal from_whom
            runner = self._runner = ExchangeRunner(
                self._redis, self.exchange, symbols, trouble=self._trouble, lately=lately
            )
            runner.on_close = self._on_close
            close_old_connections()
            whom, from_whom = from_whom, None
            if not self._stopping.is_set():
                order = self._order
                yield from runner.turns(whom, order.reason, order.goes_on, block_seconds)

        yield from turns_through_losses(turns, self._has_to_end)

    def end(self, error: Exception | None) -> Outcome:
        """Say how it ended, `error` being what a turn raised; what went wrong is told, too."""
        name = self.exchange.name
        match error:
            case None:
                self._say(f"{name} ended")
                return Outcome()
            case Held():
                logger.debug("agent.held exchange=%s holder=%s", name, error.holder)
                return Outcome(held=True)
            case HandedOver():
                logger.info("agent.handed_over exchange=%s error=%s", name, error)
                self._say(f"{name}: {error}")
                return Outcome(held=True)
            case Exchange.DoesNotExist():
                return Outcome(wait_seconds=self._order.wait_seconds)  # nor is it wanted any more
            case LivermoreError() | RedisError() | DatabaseError():
                logger.error("agent.runner_ended exchange=%s error=%s", name, error)
                self._say(f"{name}: {error}")
            case _:
                logger.error("agent.runner_died exchange=%s", name, exc_info=error)
        return self._failed(error)

    def _has_to_end(self, seconds: float) -> bool:
        """Wait so long, unless it is to end: one that leaves begins nothing anew either."""
        return self._stopping.wait(seconds) or self._leaving.is_set()

    def _failed(self, error: Exception) -> Outcome:
        """Say why it ended and when it is tried again: not before a ban is over."""
        wait_seconds = self._order.wait_seconds
        if isinstance(error, Banned):
            wait_seconds = max(wait_seconds, error.until_ms / 1000 - time.time())
        if not isinstance(error, LostLock):  # then somebody else has it
            self._trouble.ended(error, wait_seconds)
        return Outcome(wait_seconds=wait_seconds)
