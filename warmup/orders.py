"""What a running exchange does when it is told to: the commands of its control stream."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from queue import SimpleQueue
from typing import Any

from django.db import DatabaseError, close_old_connections
from redis import Redis
from redis.exceptions import RedisError

from exchanges.control import Command, ControlReader
from exchanges.errors import LivermoreError
from exchanges.fencing import Fenced
from exchanges.lease import Lease
from exchanges.listing import monitor, unmonitor
from exchanges.models import Exchange
from exchanges.streamer import Streamer
from exchanges.venue_rest import VenueRest
from exchanges.venue_stream import VenueStream
from exchanges.venues import ExchangeAdapterFactory, learn_names
from livermore.market.pair import pairs_of
from livermore.market.timeframe import LONGEST_FIRST
from warmup.backfill import BackfillConfig, StartupBackfillService
from warmup.cache import CandleCache
from warmup.follower import IndicatorFollower
from warmup.repair import CandleRepair
from warmup.service import SmartWarmupService
from warmup.sink import CandleSink

logger = logging.getLogger(__name__)

POLL_MS = 500
ENDING = ("stop", "takeover")
SECONDS_AFTER_FAULT = 1.0


class Orders:
    """Reads an exchange's commands in a thread of its own and does them one after another.

    What they fetch is written under the runner's lease, and no further than the stream has got.
    """

    def __init__(
        self,
        redis: Redis,
        exchange: Exchange,
        lease: Lease,
        stream: VenueStream,
        streamer: Streamer,
        sink: CandleSink,
        follower: IndicatorFollower,
        symbols: list[str],
        stop: Callable[[], None],
    ):
        """`symbols` are those that the runner streams; it is kept up to date."""
        self._redis = redis
        self._exchange = exchange
        self._lease = lease
        self._stream = stream
        self._streamer = streamer
        self._symbols = symbols
        self._sink = sink
        self._follower = follower
        self._stop = stop
        self._cache = CandleCache(
            redis, exchange.pk, lease.epoch, sink.final_until, follower.changed
        )
        self._reader = ControlReader(redis, exchange.pk, lease)
        self._stopping = threading.Event()
        self._rest: VenueRest | None = None
        self.doing: dict[str, Any] | None = None  # the command under way, for the status
        self._waiting: SimpleQueue[Command | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._read, name="orders-read", daemon=True),
            threading.Thread(target=self._work, name="orders-work", daemon=True),
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
        for thread in self._threads:
            if thread.is_alive():
                thread.join(1)
        self._reader.close()

    def _read(self) -> None:
        """Take commands in; one that ends the runner waits for no other."""
        while not self._stopping.is_set():
            try:
                for command in self._reader.poll(POLL_MS):
                    if command.name in ENDING:
                        self._obey(command)
                    else:
                        self._waiting.put(command)
            except Fenced:
                return  # the runner learns it from its lease
            except RedisError as error:
                logger.warning("orders.not_read exchange=%s error=%s", self._exchange.name, error)
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

    def _obey(self, command: Command) -> None:
        logger.info("orders.begun exchange=%s command=%s", self._exchange.name, command.name)
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
        else:
            self._reader.done(command, result)

    def _end(self, command: Command) -> None:
        if command.sent_ms < self._lease.holder.connected_since:
            raise ValueError("it was meant for the holder before, who has ended")
        self._stop()

    def _warmup(self, command: Command) -> dict[str, Any]:
        def show(stats):
            self._reader.reply(command, stats.as_json())

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

    def _add(self, command: Command) -> dict[str, Any]:
        """Monitor symbols, fetch their candles, and stream them from there on."""
        symbols = _symbols(command)
        monitor(self._exchange, symbols)
        new = [symbol for symbol in symbols if symbol not in self._symbols]
        learn_names(self._stream, self._exchange)
        self._follower.add(pairs_of(new))  # each has its value as soon as it is fetched
        with self._open_rest() as rest:
            service = StartupBackfillService(rest, self._redis, cache=self._cache)
            report = service.backfill(new, LONGEST_FIRST, on_pair=self._counting(command))
        self._streamer.add(new)
        self._symbols += new
        return report.as_json() | {"added": new}

    def _remove(self, command: Command) -> dict[str, Any]:
        symbols = _symbols(command)
        unmonitor(self._exchange, symbols)
        gone = [symbol for symbol in symbols if symbol in self._symbols]
        self._streamer.remove(gone)
        self._sink.forget(pairs_of(gone))
        self._follower.remove(pairs_of(gone))
        self._symbols[:] = [symbol for symbol in self._symbols if symbol not in gone]
        return {"removed": gone}

    def _pairs(self, command: Command) -> tuple[list[str], list[str] | None]:
        """Return the symbols and timeframes that the command names, else those that are live."""
        named = "symbols" in command.arguments or "symbol" in command.arguments
        symbols = _symbols(command) if named else list(self._symbols)
        return symbols, command.arguments.get("timeframes")

    def _counting(self, command: Command) -> Callable[[int, int], None]:
        return lambda done, total: self._reader.reply(command, {"done": done, "total": total})

    @contextmanager
    def _open_rest(self) -> Iterator[VenueRest]:
        """Open a client of its own: one that failed stays closed, and the stream's goes on."""
        with closing(ExchangeAdapterFactory(self._redis).rest(self._exchange)) as rest:
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
