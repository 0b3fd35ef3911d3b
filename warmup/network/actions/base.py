"""What every action on an exchange has in common: it is checked, written down and told.

Whatever is refused has changed nothing. Whatever is done, or was tried and the exchange failed at,
leaves one row in the admin's log, which is the history of the exchange there, and a change
notification for every page that shows it.
"""

import logging
from functools import partial

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction
from redis import Redis
from redis.exceptions import RedisError

from exchanges.errors import CLIP_OURS, Permanent, clip
from exchanges.lock.control_client import ControlClient
from exchanges.models import Exchange, Symbol
from exchanges.redis.change_notifications import What, changed
from exchanges.symbols.spelling import symbols_as_listed
from warmup.network.actions.audit import record
from warmup.network.page.runner_state import RunnerState
from warmup.runner.command_log import CommandLog

logger = logging.getLogger(__name__)

LONGEST_REASON = 200

Wanted = Exchange.Wanted


class Refused(Permanent):
    """It was not done, and nothing was changed: the text says why."""


class ExchangeActions:
    """What one person does to one exchange; `reason` is why, for the log."""

    def __init__(self, redis: Redis, exchange: Exchange, user: AbstractBaseUser, reason: str = ""):
        self._redis = redis
        self._exchange = exchange
        self._name = exchange.name
        self._user = user
        self._reason = " ".join(reason.split())
        self._control = ControlClient(redis, exchange.pk, user.get_username())

    def _check(self) -> None:
        if not self._exchange.is_active:
            raise Refused(f"{self._name} is switched off: activate it in the admin first.")
        if len(self._reason) > LONGEST_REASON:
            text = f"At most {LONGEST_REASON} characters; these are {len(self._reason)}."
            raise ValidationError({"reason": text})
        if not self._reason.isprintable():
            raise ValidationError({"reason": "Control characters are not allowed."})

    def _watched(self, symbol: str) -> str:
        [symbol] = symbols_as_listed(self._exchange, [symbol])
        row = next((r for r in self._exchange.symbols.monitored() if r.symbol == symbol), None)
        if row is None:
            text = f"{clip(symbol)} is not monitored on {self._name}: add it first."
            raise ValidationError({"symbol": text})
        if row.status != Symbol.Status.TRADING:
            text = f"{symbol} does not trade on {self._name} now ({row.status_text})"
            raise ValidationError({"symbol": f"{text}: nothing is asked for it."})
        return symbol

    def _state(self) -> RunnerState:
        return RunnerState.read(self._redis, self._exchange)

    def _record(self, what: str, ok: bool = True, result: str = "") -> None:
        record(self._exchange, self._user, what, self._reason)
        self._note(what, ok, result)

    def _record_failure(self, what: str, why: str) -> None:
        """Write down what was tried, and why nothing came of it."""
        with transaction.atomic():
            failure = f"{what} failed: {clip(why, CLIP_OURS)}"
            record(self._exchange, self._user, failure, self._reason)
            self._note(what, False, why)
        self._tell()

    def _note(self, what: str, ok: bool, result: str) -> None:
        note = partial(CommandLog(self._redis, self._exchange.pk).note, what)
        transaction.on_commit(lambda: note(self._user.get_username(), ok, result))

    def _tell(self, what: What = "action") -> None:
        try:
            self._redis.publish(*changed(self._exchange.pk, what))
        except RedisError as error:  # it is done, and a page that missed this sees it later
            logger.warning("actions.not_told exchange=%s error=%s", self._name, error)
