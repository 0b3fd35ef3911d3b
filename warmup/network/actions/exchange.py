"""What a person does to an exchange on the Network page: checked, done, written down, told.

The database says what shall run, and agents make it so; what already runs is told by commands.
Whatever is refused has changed nothing. Whatever is done, or was tried and the exchange failed at,
leaves one row in the admin's log, which is the history of the exchange there, and a change
notification for every page that shows it.
"""

import logging
import re
from functools import partial
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Now
from redis import Redis
from redis.exceptions import RedisError

from exchanges import accounts
from exchanges.errors import CLIP_OURS, LivermoreError, Permanent, clip
from exchanges.lock.acquire import ExchangeLock, Held, unknown_lock
from exchanges.lock.control import ControlClient
from exchanges.models import Exchange, Symbol, UserExchange
from exchanges.redis.change_notifications import What, changed
from exchanges.symbols.fetch_listing import fetch_listing
from exchanges.symbols.monitoring import Change, switch, take_back
from exchanges.symbols.volumes import check_choice, most_traded
from livermore.market.timeframe import parse_timeframe
from warmup.harness import CheckReport, ExchangeCheck, Result
from warmup.human_readable import count
from warmup.network.actions.audit import last_action, record
from warmup.network.actions.volumes import volumes_within
from warmup.network.page.runner_state import RunnerState
from warmup.network.page.symbols import change_of, undo_token
from warmup.runner.command_log import CommandLog
from warmup.runner.trouble import words_for

__all__ = ["Actions", "Refused", "check_line", "last_action"]

logger = logging.getLogger(__name__)

LONGEST_REASON = 200
SECONDS_UNTIL_VOLUMES = 10.0
ASKED_FOR = "asked for"  # what an agent makes of it is seen later
FOLLOW = {True: "bulk-add-symbols", False: "remove-symbol"}
STREAMED_FIRST = "they are streamed at once, their history is fetched when it answers"

Wanted = Exchange.Wanted


class Refused(Permanent):
    """It was not done, and nothing was changed: the text says why."""


class Actions:
    """What one person may do to one exchange; every method returns a line on what happens now.

    `reason` is why, for the log; only a take-over needs one. Raises Refused, Held where the lock
    is elsewhere, UnknownSymbol, ValidationError by field for what was typed wrong, RedisError.
    `undo` is what `undo_symbols` takes to take the last change of symbols back, "" where there is
    nothing to take back.
    """

    def __init__(self, redis: Redis, exchange: Exchange, user: AbstractBaseUser, reason: str = ""):
        self._redis = redis
        self._exchange = exchange
        self._name = exchange.name
        self._user = user
        self._reason = " ".join(reason.split())
        self._control = ControlClient(redis, exchange.pk, user.get_username())
        self.undo = ""

    def connect(self) -> str:
        """Let agents run the exchange. Raises Held where somebody else has its lock."""
        self._check()
        now = self._state()
        self._check_known(now)
        if now.holder:
            self._refuse_what_runs(now)
        with transaction.atomic():
            self._want(Wanted.RUNNING)
            self._record("Connect", result=ASKED_FOR)
        self._tell()
        if now.holder:
            return f"{self._name} is just ending on {now.holder.hostname}, and starts again then."
        return f"{self._name} shall run{now.who_begins()}."

    def take_over(self, instance_id: str, confirm: str) -> str:
        """Let an agent take the exchange from the holder of that instance id.

        `confirm` repeats the exchange's name. Raises Held where another holds it by now: that one
        nobody agreed to end.
        """
        self._check()
        now = self._state()
        self._check_known(now)
        if now.holder is None:
            return f"The lock is free by now. {self.connect()}"
        if now.holder.instance_id != instance_id:
            raise Held(self._exchange.pk, now.holder)
        if now.run_by_agent and not now.others:
            raise Refused(now.runs_already())
        self._check_confirmation(confirm)
        host, ip, pid = now.holder.hostname, now.holder.ip, now.holder.pid
        with transaction.atomic():
            self._want(Wanted.RUNNING, take_over_from=instance_id)
            self._record(f"Take over from {host} ({ip}), process {pid}", result=ASKED_FOR)
        self._tell()
        until = "" if now.others else " The request ends after two minutes."
        return f"{self._name} shall be taken from {host}{now.who_begins()}.{until}"

    def stop(self) -> str:
        """Let the exchange run no more, whoever runs it."""
        self._check()
        now = self._state()
        if now.holder is None and self._exchange.wanted == Wanted.STOPPED:
            raise Refused(f"{self._name} is stopped already.")
        with transaction.atomic():
            self._want(Wanted.STOPPED)
            self._record("Stop", result=ASKED_FOR)
            how = self._end(now)
        self._tell()
        return f"{self._name} shall not run: {how}."

    def warm(self) -> str:
        """Let the runner look for pairs with too few candles, and fetch them."""
        self._check()
        self._check_obeys(self._state())
        self._send("Warm now", "warmup")
        return f"Warming {self._name}: the card shows how far it is."

    def repair(self, symbol: str = "", timeframe: str = "") -> str:
        """Let the runner fetch what is missing: of one pair, or of all that it keeps."""
        self._check()
        arguments: dict[str, Any] = {}
        if symbol := symbol.strip().upper():
            arguments["symbols"] = [self._watched(symbol)]
        if timeframe := timeframe.strip():
            arguments["timeframes"] = [_timeframe(timeframe)]
        self._check_obeys(self._state())
        pair = " ".join(filter(None, (symbol, timeframe)))
        self._send(f"Repair {pair}".rstrip(), "repair", **arguments)
        return f"Repairing {pair} of {self._name}." if pair else f"Repairing {self._name}."

    def add_symbols(self, text: str) -> str:
        """Keep symbols warm from now on, all that are named or none."""
        symbols = _symbols(text)
        added, follows = self._switch(f"Add symbols: {', '.join(symbols)}", symbols, True)
        return f"{added} of {len(symbols)} newly monitored on {self._name}{follows}."

    def remove_symbols(self, text: str) -> str:
        """Keep symbols warm no longer, all that are named or none."""
        symbols = _symbols(text)
        removed, follows = self._switch(f"Remove symbols: {', '.join(symbols)}", symbols, False)
        return f"{removed} of {len(symbols)} no longer monitored on {self._name}{follows}."

    def add_most_traded(self, number: str, quote: str) -> str:
        """Keep the most traded symbols of a quote currency warm too; none is taken away."""
        self._check()
        quote = quote.strip().upper()
        if not (number.strip().isascii() and number.strip().isdigit() and len(number) < 10):
            raise ValidationError({"symbols": f"How many is a whole number, not {clip(number)}."})
        try:
            check_choice(self._exchange, quote, int(number))
        except ValueError as error:
            raise ValidationError({"symbols": f"{error}"}) from error
        volumes, trouble = volumes_within(self._redis, self._exchange, SECONDS_UNTIL_VOLUMES)
        if volumes.at_ms is None:
            text = f"The 24 h volumes of {self._name} are not known: {trouble}"
            self._record_failure(f"Add the most traded of {quote}", text)
            raise Refused(text)
        found = most_traded(self._exchange, volumes, quote, int(number))
        if not found.symbols:
            raise Refused(f"On {self._name} {found}.")
        what = f"Add {found}: {', '.join(found.symbols)}"
        added, follows = self._switch(what, list(found.symbols), True)
        return f"Of {found}, {added} newly monitored on {self._name}{follows}."

    def undo_symbols(self, token: str) -> str:
        """Monitor what was monitored before a change, but for what others switched since."""
        self._check()
        try:
            before = change_of(self._exchange, token)
        except ValueError as error:
            raise Refused(f"Nothing was undone: {error}.") from error
        with transaction.atomic():
            change, left = take_back(self._exchange, before)
            verb = "monitored again" if change.is_monitored else "no longer monitored"
            self._record(f"Undo: {', '.join(change.symbols) or 'nothing'} {verb}")
            follows = self._follow_change(change)
        self._tell()
        self.undo = undo_token(self._exchange, change)
        stays = f"; {count(len(left), 'symbol')} that somebody changed since stay" if left else ""
        return f"Undone: {len(change.symbols)} {verb} on {self._name}{follows}{stays}."

    def sync_symbols(self) -> str:
        """Ask the exchange what it lists, in this thread, and keep that."""
        self._check()
        try:
            report = fetch_listing(self._exchange)
        except LivermoreError as error:
            text, remedy = words_for(error, self._exchange)
            self._record_failure("Sync symbols", text)
            raise Refused(f"{self._name}: {clip(text, CLIP_OURS)}. Do: {remedy}") from error
        with transaction.atomic():
            self._record(f"Sync symbols: {report}")
        self._tell()
        return f"{self._name}: {report}."

    def check(self, symbol: str = "") -> CheckReport:
        """Try the exchange from its row to live frames, in this thread."""
        self._check()
        symbol = symbol.strip().upper()
        if symbol:
            self._watched(symbol)
        report = ExchangeCheck(self._redis, self._exchange, symbol or None, user=self._user).run()
        self._record(f"Check: {check_line(report)}", ok=report.passed)
        self._tell()
        return report

    def save_account(self, account: UserExchange) -> str:
        """Save an account of this person at the exchange, by the rules of `exchanges.accounts`."""
        self._check()
        asked = account.is_default
        verb = "changed" if account.pk else "added"
        with transaction.atomic():
            accounts.save_account(account)
            self._record(f"Setup: account “{account}” {verb}")
        self._tell("accounts")
        default = ""
        if account.is_default:
            default = ", the default" if asked else ", the default: it is the only active one"
        return f"{account} was {verb}{default}."

    def make_default(self, account: UserExchange) -> str:
        """Make an account of this person at the exchange the default one."""
        self._check()
        with transaction.atomic():
            accounts.make_default(account)
            self._record(f"Setup: account “{account}” made the default")
        self._tell("accounts")
        return f"{account} is your default now."

    def delete_account(self, account: UserExchange) -> str:
        """Delete an account of this person at the exchange; not one whose key an exchange uses."""
        self._check()
        with transaction.atomic():
            accounts.delete_account(account)
            self._record(f"Setup: account “{account}” deleted")
        self._tell("accounts")
        return f"{account} was deleted."

    # -- What may be done

    def _check(self) -> None:
        if not self._exchange.is_active:
            raise Refused(f"{self._name} is switched off: activate it in the admin first.")
        if len(self._reason) > LONGEST_REASON:
            text = f"At most {LONGEST_REASON} characters; these are {len(self._reason)}."
            raise ValidationError({"reason": text})
        if not self._reason.isprintable():
            raise ValidationError({"reason": "Control characters are not allowed."})

    def _check_confirmation(self, confirm: str) -> None:
        errors = {}
        if confirm.strip() != self._name:
            errors["confirm"] = f"To confirm, write the exchange's name: {self._name}"
        if not self._reason:
            errors["reason"] = "Say why: it is written into the history of the exchange."
        if errors:
            raise ValidationError(errors)

    def _refuse_what_runs(self, now: RunnerState) -> None:
        """Raise unless it ends anyway: there an agent starts it again as soon as it has ended."""
        if now.run_by_agent and self._exchange.wanted == Wanted.STOPPED:
            return
        if now.run_by_agent and not now.others:
            raise Refused(now.runs_already())
        assert now.holder is not None  # who runs something is asked here alone
        raise Held(self._exchange.pk, now.holder)

    def _check_known(self, now: RunnerState) -> None:
        """Raise where the lock does not say who has the exchange: nobody can ask that one."""
        if now.holder and not now.holder.is_known:
            lock = ExchangeLock(self._redis, self._exchange.pk)
            raise Refused(unknown_lock(self._exchange.pk, lock.left_ms()))

    def _check_obeys(self, now: RunnerState) -> None:
        """Raise where no runner would do a command now."""
        if now.obeys:
            return
        if now.holder is None:
            raise Refused(f"Nothing runs {self._name} now: Connect starts it, and warms it first.")
        self._check_known(now)
        if now.starting:
            raise Refused(f"{self._name} is being warmed already: the card shows how far it is.")
        raise Refused(
            f"{self._name} is held by {now.holder}, which takes no commands now "
            f"({now.status.state})."
        )

    def _watched(self, symbol: str) -> str:
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

    # -- Doing it

    def _want(self, wanted: Any, take_over_from: str = "") -> None:  # an Exchange.Wanted
        # Only these columns: somebody may be changing others in the admin.
        Exchange.objects.filter(pk=self._exchange.pk).update(
            wanted=wanted,
            wanted_at=Now(),
            take_over_from=take_over_from,
            take_over_reason=self._reason if take_over_from else "",
            updated_at=Now(),
        )

    def _end(self, now: RunnerState) -> str:
        """See to it that the holder ends; return how it does."""
        if now.holder is None:
            return "nobody has it now, and no agent starts it"
        if not now.holder.is_known:
            return "no agent starts it, and nobody knows who has it now, as its lock can't be read"
        if now.run_by_agent:
            return f"the agent on {now.holder.hostname} ends it"
        if command := now.single_command:
            return f"the command {command} on {now.holder.hostname} has it now, and ends by itself"
        self._control.send("stop")
        when = "as soon as it is warm" if now.starting else "now"
        return (
            f"the runner on {now.holder.hostname} ({now.holder.ip}), process {now.holder.pid}, "
            f"which no agent started, was asked to end {when}"
        )

    def _send(self, what: str, command: str, **arguments: Any) -> None:
        with transaction.atomic():
            record(self._exchange, self._user, what, self._reason)  # its runner notes it
            self._control.send(command, **arguments)
        self._tell()

    def _switch(self, what: str, symbols: list[str], is_monitored: bool) -> tuple[int, str]:
        """Monitor symbols, or no longer; return how many that changed, and what the runner does."""
        self._check()
        with transaction.atomic():
            change = switch(self._exchange, symbols, is_monitored)
            self._record(what)
            follows = self._follow(symbols, is_monitored)
        self._tell()
        self.undo = undo_token(self._exchange, change)
        return len(change.symbols), follows

    def _follow_change(self, change: Change) -> str:
        return self._follow(list(change.symbols), change.is_monitored) if change.symbols else ""

    def _follow(self, symbols: list[str], is_monitored: bool) -> str:
        """Tell the runner of symbols that came or went; return what it will do."""
        if self._state().holder is None and self._exchange.wanted == Wanted.STOPPED:
            return ""
        # One that is just starting may have read the list before: it finds the command later.
        self._control.send(FOLLOW[is_monitored], symbols=symbols)
        text = ", and its runner follows"
        return f"{text}: {STREAMED_FIRST}" if is_monitored else text

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


def check_line(report: CheckReport) -> str:
    """Return in a few words what a check found."""
    failed = report.count(Result.FAIL)
    return f"{failed} of {len(report.steps)} steps failed" if failed else "all is well"


def _symbols(text: str) -> list[str]:
    symbols = list(dict.fromkeys(filter(None, re.split(r"[\s,;]+", text.upper()))))
    if not symbols:
        raise ValidationError({"symbols": "Name at least one symbol, such as BTC-USD."})
    return symbols


def _timeframe(text: str) -> str:
    try:
        return parse_timeframe(text)
    except ValueError as error:
        raise ValidationError({"timeframe": clip(str(error))}) from None
