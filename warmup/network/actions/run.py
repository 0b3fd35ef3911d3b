"""Running an exchange: connect, take over, stop, and what a runner is told to do.

The database says what shall run, and agents make it so; what already runs is told by commands.
"""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Now

from exchanges.errors import clip
from exchanges.lock.acquire import ExchangeLock, Held, unknown_lock
from exchanges.models import Exchange
from livermore.market.timeframe import parse_timeframe
from warmup.harness import CheckReport, ExchangeCheck, Result
from warmup.network.actions.audit import record
from warmup.network.actions.base import ExchangeActions, Refused, Wanted
from warmup.network.page.runner_state import RunnerState

ASKED_FOR = "asked for"  # what an agent makes of it is seen later


class RunActions(ExchangeActions):
    """What one person may do to what runs; only a take-over needs a reason."""

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
        if symbol := symbol.strip():
            symbol = self._watched(symbol)
            arguments["symbols"] = [symbol]
        if timeframe := timeframe.strip():
            arguments["timeframes"] = [_timeframe(timeframe)]
        self._check_obeys(self._state())
        pair = " ".join(filter(None, (symbol, timeframe)))
        self._send(f"Repair {pair}".rstrip(), "repair", **arguments)
        return f"Repairing {pair} of {self._name}." if pair else f"Repairing {self._name}."

    def check(self, symbol: str = "") -> CheckReport:
        """Try the exchange from its row to live frames, in this thread."""
        self._check()
        symbol = self._watched(symbol.strip()) if symbol.strip() else ""
        report = ExchangeCheck(self._redis, self._exchange, symbol or None, user=self._user).run()
        self._record(f"Check: {check_line(report)}", ok=report.passed)
        self._tell()
        return report

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


def check_line(report: CheckReport) -> str:
    """Return in a few words what a check found."""
    failed = report.count(Result.FAIL)
    return f"{failed} of {len(report.steps)} steps failed" if failed else "all is well"


def _timeframe(text: str) -> str:
    try:
        return parse_timeframe(text)
    except ValueError as error:
        raise ValidationError({"timeframe": clip(str(error))}) from None
