"""How a runner is told what to do: its control stream is read, done in turn, and answered."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from django.db import Error as DatabaseError
from django.db import close_old_connections, connections
from redis import Redis
from redis.exceptions import RedisError

from exchanges.daemon_threads import Workers
from exchanges.errors import LivermoreError, seconds_to_wait
from exchanges.lock.control import Command
from exchanges.lock.control_reader import ControlReader
from exchanges.lock.fencing import Fenced
from exchanges.lock.lease import Lease
from exchanges.models import Exchange
from warmup.runner.command_log import TITLES, CommandLog, describe
from warmup.runner.command_log import Progress as CommandProgress
from warmup.runner.command_work import LATER, CommandWork

logger = logging.getLogger(__name__)

ENDING = ("stop", "takeover")
OF_SYMBOLS = ("add-symbol", "bulk-add-symbols", "remove-symbol", "rename-symbol")
SECONDS_BETWEEN_LOOKS = 0.25
SECONDS_AFTER_FAULT = 1.0
SOMEBODY = "a program"
SECONDS_BETWEEN_PROGRESS = 0.25


class RunnerCommands:
    """Reads an exchange's commands, and does them one after another in threads that end again.

    One thread calls `step`, often. Commands that change which symbols are streamed wait for no
    other; one that ends the runner calls `stop`. Each is answered, and what people had done is
    written down.
    """

    def __init__(
        self,
        redis: Redis,
        exchange: Exchange,
        lease: Lease,
        work: CommandWork,
        stop: Callable[[], None],
        on_idle: Callable[[], object] = lambda: None,
    ):
        """`redis` is used as it is; `on_idle` is called when nothing is left to do."""
        self._exchange = exchange
        self._lease = lease
        self._work = work
        self._stop = stop
        self._reader = ControlReader(redis, exchange.pk, lease, client=redis)
        self._log = CommandLog(redis, exchange.pk)
        self._noted: dict[str, CommandProgress] = {}  # request id -> what is under way
        self._stopping = threading.Event()
        self.doing: dict[str, Any] | None = None  # the command under way, for the status
        self._waiting = Workers(1, "commands-do", on_idle=on_idle)
        self._of_symbols = Workers(1, "commands-symbols", on_idle=on_idle)
        self._telling = threading.Lock()
        self._failing = False
        self._next_try_at = self._told_at = 0.0

    def close(self) -> None:
        """Begin nothing more; what is under way is broken off and comes again to the next one."""
        self._stopping.set()
        self._work.break_off()
        for workers in (self._waiting, self._of_symbols):
            workers.close()
        for workers in (self._waiting, self._of_symbols):
            workers.join(1)

    def step(self, now: float) -> None:
        """Take commands in; `now` is monotonic, in seconds.

        One that ends the runner waits for no other. Raises Fenced.
        """
        if now < self._next_try_at:
            return
        self._next_try_at = now + SECONDS_BETWEEN_LOOKS
        try:
            for command in self._reader.poll():
                if command.name in ENDING:
                    self._do(command)
                elif command.name in OF_SYMBOLS:
                    self._of_symbols.submit(self._in_turn, command, self._tell_of_additions)
                else:
                    self._waiting.submit(self._alone, command)
            if self._work.additions and now >= self._told_at + SECONDS_BETWEEN_PROGRESS:
                self._told_at = now
                self._tell_of_additions()
            self._failing = False
        except RedisError as error:
            if not self._failing:
                logger.warning("commands.not_read exchange=%s error=%s", self._exchange.name, error)
            self._failing = True
            self._next_try_at = now + SECONDS_AFTER_FAULT

    def _alone(self, command: Command) -> None:
        """Do what the status tells of while it is under way."""
        self.doing = {"command": command.name, **command.arguments}
        try:
            self._in_turn(command)
        finally:
            self.doing = None

    def _in_turn(self, command: Command, and_then: Callable[[], object] = lambda: None) -> None:
        try:
            if not self._stopping.is_set():
                self._do(command)
                and_then()
        except Fenced:
            self._stopping.set()  # the runner learns it from its lease
        except RedisError as error:  # it stays pending, and comes again to the next holder
            logger.warning("commands.not_told exchange=%s error=%s", self._exchange.name, error)
        finally:
            connections.close_all()

    def _do(self, command: Command) -> None:
        logger.info("commands.begun exchange=%s command=%s", self._exchange.name, command.name)
        noted = self._note(command)
        try:
            close_old_connections()
            result = self._result(command)
        except (Fenced, RedisError):
            raise
        except Exception as error:
            if not isinstance(error, LivermoreError | ValueError | TypeError | DatabaseError):
                logger.exception("commands.died exchange=%s", self._exchange.name)
            if not self._stopping.is_set():  # else it is pending, and the next holder does it
                self._reader.fail(command, str(error), seconds_to_wait(error))
                if noted:
                    noted.failed(error)
        else:
            if result is not LATER:
                self._reader.done(command, result)
                if noted:
                    noted.done(result)
        finally:
            self._noted.pop(command.request_id, None)

    def _result(self, command: Command) -> Any:
        if command.name in ENDING:
            return self._end(command)
        return self._work.by_name[command.name](command, lambda told: self._tell(command, told))

    def _note(self, command: Command) -> CommandProgress | None:
        """Write down that a command begins which takes a while."""
        if command.name not in TITLES or command.who == "":
            return None
        what = describe(command.name, command.arguments)
        who = command.who or SOMEBODY
        noted = self._log.begin(what, who, self._lease.epoch, command.request_id)
        self._noted[command.request_id] = noted
        return noted

    def _tell(self, command: Command, progress: dict[str, Any]) -> None:
        """Tell who waits for it, and those who look, how far a command is."""
        self._reader.reply(command, progress)
        if noted := self._noted.get(command.request_id):
            noted.show(progress)

    def _end(self, command: Command) -> None:
        if command.sent_ms < self._lease.holder.connected_since:
            raise ValueError("it was meant for the holder before, who has ended")
        self._stop()

    def _tell_of_additions(self) -> None:
        """Answer those whose history is there, or can't be fetched now; tell others how far it is.

        An addition is left out only once that was told.
        """
        with self._telling:
            for addition in list(self._work.additions):
                if addition.is_over:
                    self._reader.done(addition.command, self._work.result(addition))
                    self._work.additions.remove(addition)
                elif (done := addition.progress.done) != addition.told:
                    self._reader.reply(addition.command, self._work.progress(addition, done))
                    addition.told = done
