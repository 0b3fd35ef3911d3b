"""What a running exchange does when it is told to: the commands of its control stream."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from django.db import Error as DatabaseError
from django.db import close_old_connections
from redis import Redis
from redis.exceptions import RedisError

from exchanges.errors import LivermoreError
from exchanges.lock.control import Command, ControlReader
from exchanges.lock.fencing import Fenced
from exchanges.lock.lease import Lease
from exchanges.models import Exchange, Symbol
from exchanges.rest.base import VenueRest
from warmup.backfill import BackfillConfig, StartupBackfillService
from warmup.cache.candles import CandleCache
from warmup.repair import CandleRepair
from warmup.runner.added_symbols import Progress
from warmup.runner.command_log import TITLES, CommandLog, describe
from warmup.runner.command_log import Progress as CommandProgress
from warmup.runner.monitored import MonitoredSymbols
from warmup.runner.renaming import rename_symbol
from warmup.service import SmartWarmupService

logger = logging.getLogger(__name__)

POLL_MS = 500
ENDING = ("stop", "takeover")
OF_SYMBOLS = ("add-symbol", "bulk-add-symbols", "remove-symbol", "rename-symbol")
SECONDS_AFTER_FAULT = 1.0
SOMEBODY = "a program"
SECONDS_BETWEEN_PROGRESS = 0.25
LATER = object()  # what a handler returns whose command is answered later


@dataclass(slots=True)
class Addition:
    """Symbols that a command added, of which it is told how far their history is."""

    command: Command
    symbols: list[str]
    new: list[str]
    progress: Progress
    told: int = -1


class Orders:
    """Reads an exchange's commands in a thread of its own and does them one after another.

    Those that change which symbols are streamed wait for no other. What commands fetch is written
    under the runner's lease, and no further than the stream has got.
    """

    def __init__(
        self,
        redis: Redis,
        exchange: Exchange,
        lease: Lease,
        monitored: MonitoredSymbols,
        cache: CandleCache,
        open_rest: Callable[[], VenueRest],
        stop: Callable[[], None],
    ):
        """`cache` is what commands write to, `open_rest` makes a client for one of them."""
        self._redis = redis
        self._exchange = exchange
        self._lease = lease
        self._monitored = monitored
        self._cache = cache
        self._open = open_rest
        self._stop = stop
        self._reader = ControlReader(redis, exchange.pk, lease)
        self._log = CommandLog(redis, exchange.pk)
        self._noted: dict[str, CommandProgress] = {}  # request id -> what is under way
        self._stopping = threading.Event()
        self._rest: VenueRest | None = None
        self.doing: dict[str, Any] | None = None  # the command under way, for the status
        self._waiting: SimpleQueue[Command | None] = SimpleQueue()
        self._of_symbols: SimpleQueue[Command | None] = SimpleQueue()
        self._additions: list[Addition] = []
        self._threads = [
            threading.Thread(target=self._read, name="orders-read", daemon=True),
            threading.Thread(target=self._work, name="orders-work", daemon=True),
            threading.Thread(target=self._change, name="orders-symbols", daemon=True),
        ]
        self._handlers: dict[str, Callable[[Command], Any]] = {
            "stop": self._end,
            "takeover": self._end,
            "warmup": self._warmup,
            "repair": self._repair,
            "force-backfill": self._backfill,
            "add-symbol": self._add,
            "bulk-add-symbols": self._add,
            "remove-symbol": self._remove,
            "rename-symbol": self._rename,
        }

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Begin nothing more; what is under way is broken off and comes again to the next one."""
        self._stopping.set()
        if rest := self._rest:
            rest.close()
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
                        self._obey(command)
                    elif command.name in OF_SYMBOLS:
                        self._of_symbols.put(command)
                    else:
                        self._waiting.put(command)
            except Fenced:
                return  # the runner learns it from its lease
            except RedisError as error:
                if not failing:
                    logger.warning(
                        "orders.not_read exchange=%s error=%s", self._exchange.name, error
                    )
                failing = True
                self._stopping.wait(SECONDS_AFTER_FAULT)

    def _work(self) -> None:
        while (command := self._waiting.get()) and not self._stopping.is_set():
            try:
                self.doing = {"command": command.name, **command.arguments}
                self._obey(command)
            except Fenced:
                return
            except RedisError as error:  # it stays pending, and comes again to the next holder
                logger.warning("orders.not_told exchange=%s error=%s", self._exchange.name, error)
            finally:
                self.doing = None

    def _change(self) -> None:
        """Do what changes symbols, and tell of the history of those that were added."""
        while not self._stopping.is_set():
            try:
                with suppress(Empty):
                    wait_seconds = SECONDS_BETWEEN_PROGRESS if self._additions else None
                    if command := self._of_symbols.get(timeout=wait_seconds):
                        self._obey(command)
                self._tell_of_additions()
            except Fenced:
                return
            except RedisError as error:
                logger.warning("orders.not_told exchange=%s error=%s", self._exchange.name, error)
                self._stopping.wait(SECONDS_AFTER_FAULT)

    def _obey(self, command: Command) -> None:
        logger.info("orders.begun exchange=%s command=%s", self._exchange.name, command.name)
        noted = self._note(command)
        try:
            close_old_connections()
            result = self._handlers[command.name](command)
        except (Fenced, RedisError):
            raise
        except Exception as error:
            if not isinstance(error, LivermoreError | ValueError | TypeError | DatabaseError):
                logger.exception("orders.died exchange=%s", self._exchange.name)
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

    def _warmup(self, command: Command) -> dict[str, Any]:
        def show(stats):
            self._tell(command, stats.as_json())

        with self._open_rest() as rest:
            service = SmartWarmupService(
                self._redis, self._exchange.pk, rest, on_progress=show, cache=self._cache
            )
            schedule = service.warmup(*self._pairs(command))
            return {
                "schedule": schedule.as_json(),
                "stats": service.stats.as_json(),
                "candleCalls": rest.candle_calls,
            }

    def _repair(self, command: Command) -> dict[str, Any]:
        with self._open_rest() as rest:
            repair = CandleRepair(self._redis, self._exchange.pk, rest, cache=self._cache)
            report = repair.repair(*self._pairs(command), on_pair=self._counting(command))
            return report.as_json() | {"candleCalls": rest.candle_calls}

    def _backfill(self, command: Command) -> dict[str, Any]:
        symbols, timeframes = self._pairs(command)
        count = int(command.arguments.get("count", BackfillConfig().candle_count))
        with self._open_rest() as rest:
            service = StartupBackfillService(
                rest, self._redis, BackfillConfig(candle_count=count), cache=self._cache
            )
            report = service.backfill(symbols, timeframes, on_pair=self._counting(command))
            return report.as_json() | {"candleCalls": rest.candle_calls}

    def _add(self, command: Command) -> Any:
        """Monitor and stream symbols at once; the reply comes when it is known of their history."""
        symbols = _symbols(command)
        new, progress = self._monitored.add(symbols)
        self._additions.append(Addition(command, symbols, new, progress))
        return LATER

    def _tell_of_additions(self) -> None:
        """Answer those whose history is there, or can't be fetched now; tell others how far it is.

        An addition is left out only once that was told.
        """
        for addition in list(self._additions):
            progress = addition.progress
            if not progress.left or progress.trouble:
                result = progress.report.as_json() | self._situation(addition)
                self._reader.done(addition.command, result)
                self._additions.remove(addition)
            elif progress.done != addition.told:
                told = progress.done
                count = {"done": told, "total": progress.total}
                self._reader.reply(addition.command, count | self._situation(addition))
                addition.told = told

    def _situation(self, addition: Addition) -> dict[str, Any]:
        running, idle = set(self._monitored.running), self._monitored.idle
        left = set(addition.progress.left)
        return {
            "added": addition.new,
            "streamed": [symbol for symbol in addition.symbols if symbol in running],
            "idle": {symbol: idle[symbol] for symbol in addition.symbols if symbol in idle},
            "waiting": [symbol for symbol in addition.symbols if symbol in left],
            "reason": addition.progress.trouble if left else "",
        }

    def _remove(self, command: Command) -> dict[str, Any]:
        return {"removed": self._monitored.remove(_symbols(command))}

    def _rename(self, command: Command) -> dict[str, Any]:
        old, new = (command.arguments.get(name) for name in ("old", "new"))
        if not isinstance(old, str) or not isinstance(new, str):
            raise ValueError(f"{command.name} needs two symbols, old and new")
        result = rename_symbol(self._redis, self._exchange, self._cache, self._open, old, new)
        self._monitored.renamed(new)
        return result

    def _pairs(self, command: Command) -> tuple[list[str], list[str] | None]:
        """Return the symbols and timeframes that the command names, else those that are live.

        What doesn't trade is left out; ValueError where nothing else was named.
        """
        timeframes = command.arguments.get("timeframes")
        if "symbols" not in command.arguments and "symbol" not in command.arguments:
            return self._monitored.running, timeframes
        symbols = _symbols(command)
        rows = self._exchange.symbols.filter(symbol__in=symbols)
        idle = {row.symbol: row for row in rows if row.status != Symbol.Status.TRADING}
        if symbols and len(idle) == len(symbols):
            named = ", ".join(f"{row.symbol} ({row.status_text})" for row in idle.values())
            raise ValueError(
                f"{self._exchange.name} is asked for nothing that does not trade: {named}"
            )
        return [symbol for symbol in symbols if symbol not in idle], timeframes

    def _counting(self, command: Command) -> Callable[[int, int], None]:
        return lambda done, total: self._tell(command, {"done": done, "total": total})

    @contextmanager
    def _open_rest(self) -> Iterator[VenueRest]:
        """Open a client of its own: one that failed stays closed, and the stream's goes on."""
        with closing(self._open()) as rest:
            self._rest = rest
            try:
                yield rest
            finally:
                self._rest = None


def _symbols(command: Command) -> list[str]:
    named = command.arguments.get("symbols", command.arguments.get("symbol"))
    symbols = [named] if isinstance(named, str) else named
    if not isinstance(symbols, list) or not all(isinstance(each, str) for each in symbols):
        raise ValueError(f"{command.name} needs symbols, such as BTC-USD")
    return list(dict.fromkeys(symbols))
