"""How a runner is told what to do: its control stream is read, done in turn, and answered."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from django.db import Error as DatabaseError
from django.db import close_old_connections
from redis import Redis
from redis.exceptions import RedisError

from exchanges.errors import LivermoreError
from exchanges.lock.control import Command
from exchanges.lock.control_reader import ControlReader
from exchanges.lock.fencing import Fenced
from exchanges.lock.lease import Lease
from exchanges.models import Exchange
from warmup.runner.command_log import TITLES, CommandLog, describe
from warmup.runner.command_log import Progress as CommandProgress
from warmup.runner.command_work import LATER, CommandWork

logger = logging.getLogger(__name__)

POLL_MS = 500
ENDING = ("stop", "takeover")
OF_SYMBOLS = ("add-symbol", "bulk-add-symbols", "remove-symbol", "rename-symbol")
SECONDS_AFTER_FAULT = 1.0
SOMEBODY = "a program"
SECONDS_BETWEEN_PROGRESS = 0.25


class RunnerCommands:
    """Reads an exchange's commands in a thread of its own and does them one after another.

    Those that change which symbols are streamed wait for no other; one that ends the runner calls
    `stop`. Each is answered, and what people had done is written down.
    """

    def __init__(
        self,
        redis: Redis,
        exchange: Exchange,
        lease: Lease,
        work: CommandWork,
        stop: Callable[[], None],
    ):
        self._exchange = exchange
        self._lease = lease
        self._work = work
        self._stop = stop
        self._reader = ControlReader(redis, exchange.pk, lease)
        self._log = CommandLog(redis, exchange.pk)
        self._noted: dict[str, CommandProgress] = {}  # request id -> what is under way
        self._stopping = threading.Event()
        self.doing: dict[str, Any] | None = None  # the command under way, for the status
        self._waiting: SimpleQueue[Command | None] = SimpleQueue()
        self._of_symbols: SimpleQueue[Command | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._read, name="commands-read", daemon=True),
            threading.Thread(target=self._do_waiting, name="commands-do", daemon=True),
            threading.Thread(target=self._do_of_symbols, name="commands-symbols", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Begin nothing more; what is under way is broken off and comes again to the next one."""
        self._stopping.set()
        self._work.break_off()
        self._waiting.put(None)
        self._of_symbols.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(1)
        self._reader.close()

    def _read(self) -> None:
        """Take commands in; one that ends the runner waits for no other."""
        failing = False
        while not self._stopping.is_set():
            try:
                commands = self._reader.poll(POLL_MS)
                failing = False
                for command in commands:
                    if command.name in ENDING:
                        self._do(command)
                    elif command.name in OF_SYMBOLS:
                        self._of_symbols.put(command)
                    else:
                        self._waiting.put(command)
            except Fenced:
                return  # the runner learns it from its lease
            except RedisError as error:
                if not failing:
                    logger.warning(
                        "commands.not_read exchange=%s error=%s", self._exchange.name, error
                    )
                failing = True
                self._stopping.wait(SECONDS_AFTER_FAULT)

    def _do_waiting(self) -> None:
        while (command := self._waiting.get()) and not self._stopping.is_set():
            try:
                self.doing = {"command": command.name, **command.arguments}
                self._do(command)
            except Fenced:
                return
            except RedisError as error:  # it stays pending, and comes again to the next holder
                logger.warning("commands.not_told exchange=%s error=%s", self._exchange.name, error)
            finally:
                self.doing = None

    def _do_of_symbols(self) -> None:
        """Do what changes symbols, and tell of the history of those that were added."""
        while not self._stopping.is_set():
            try:
                with suppress(Empty):
                    wait_seconds = SECONDS_BETWEEN_PROGRESS if self._work.additions else None
                    if command := self._of_symbols.get(timeout=wait_seconds):
                        self._do(command)
                self._tell_of_additions()
            except Fenced:
                return
            except RedisError as error:
                logger.warning("commands.not_told exchange=%s error=%s", self._exchange.name, error)
                self._stopping.wait(SECONDS_AFTER_FAULT)

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
                self._reader.fail(command, str(error))
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
        for addition in list(self._work.additions):
            if addition.is_over:
                self._reader.done(addition.command, self._work.result(addition))
                self._work.additions.remove(addition)
            elif (done := addition.progress.done) != addition.told:
                self._reader.reply(addition.command, self._work.progress(addition, done))
                addition.told = done
