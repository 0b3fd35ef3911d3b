"""What a runner's commands do: fetch what is missing, change which symbols are kept warm."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from redis import Redis

from exchanges.errors import Temporary
from exchanges.lock.control import Command
from exchanges.models import Exchange, Symbol
from exchanges.rest.base import VenueRest
from exchanges.rest.pacing.budget import Lane
from livermore.market.candle import check_time
from livermore.market.coverage import Interval, intersect, union
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.backfill import BackfillConfig, StartupBackfillService
from warmup.cache.candles import CandleCache
from warmup.fetching import FetchReport
from warmup.repair import CandleRepair, PairHoles
from warmup.runner.added_symbols import Progress
from warmup.runner.monitored import MonitoredSymbols
from warmup.runner.renaming import rename_symbol
from warmup.service import SmartWarmupService

LONGEST_HEALING_SECONDS = 6.0
LATER = object()  # what a command's work returns that is answered later

Tell = Callable[[dict[str, Any]], None]  # who waits, and those who look, how far a command is


@dataclass(slots=True)
class Addition:
    """Symbols that a command added, of which it is told how far their history is."""

    command: Command
    symbols: list[str]
    new: list[str]
    progress: Progress
    told: int = -1

    @property
    def is_over(self) -> bool:
        """Tell whether their history is there, or can't be fetched now."""
        return not self.progress.left or bool(self.progress.trouble)


class CommandWork:
    """Does what commands ask for, one at a time but for those that change symbols.

    What they fetch is written to `cache`, which is under the runner's lease and goes no further
    than the stream has got; `open_rest` makes a client for one of them. `heal_now(pairs, seconds)`
    has fetched what the stream has not got to though it is over, waits for that, and tells why REST
    can't be asked, "" where it can.
    """

    def __init__(
        self,
        redis: Redis,
        exchange: Exchange,
        monitored: MonitoredSymbols,
        cache: CandleCache,
        open_rest: Callable[[], VenueRest],
        heal_now: Callable[[Sequence[Pair], float], str],
    ):
        self._redis = redis
        self._exchange = exchange
        self._monitored = monitored
        self._cache = cache
        self._open = open_rest
        self._heal_now = heal_now
        self._rest: VenueRest | None = None
        self.additions: list[Addition] = []  # those that are not answered yet
        self.by_name: dict[str, Callable[[Command, Tell], Any]] = {
            "warmup": self._warmup,
            "repair": self._repair,
            "fetch": self._fetch,
            "force-backfill": self._backfill,
            "add-symbol": self._add,
            "bulk-add-symbols": self._add,
            "remove-symbol": self._remove,
            "rename-symbol": self._rename,
        }

    def break_off(self) -> None:
        """Let what is fetched now fail."""
        if rest := self._rest:
            rest.close()

    def result(self, addition: Addition) -> dict[str, Any]:
        """Return the answer to who added symbols, once that is over."""
        return addition.progress.report.as_json() | self._addition_state(addition)

    def progress(self, addition: Addition, done: int) -> dict[str, Any]:
        """Return how far the history of added symbols is, `done` of them being fetched."""
        return {"done": done, "total": addition.progress.total} | self._addition_state(addition)

    def _warmup(self, command: Command, tell: Tell) -> dict[str, Any]:
        with self._open_rest() as rest:
            service = SmartWarmupService(
                *(self._redis, self._exchange.pk, rest),
                on_progress=lambda stats: tell(stats.as_json()),
                cache=self._cache,
            )
            schedule = service.warmup(*self._pairs(command))
            return {
                "schedule": schedule.as_json(),
                "stats": service.stats.as_json(),
                "candleCalls": rest.candle_calls,
            }

    def _repair(self, command: Command, tell: Tell) -> dict[str, Any]:
        with self._open_rest() as rest:
            repair = CandleRepair(self._redis, self._exchange.pk, rest, cache=self._cache)
            report = repair.repair(*self._pairs(command), on_pair=_counting(tell))
            return report.as_json() | {"candleCalls": rest.candle_calls}

    def _fetch(self, command: Command, tell: Tell) -> dict[str, Any]:
        """Fetch the stretches that a program waits for; tell of the open bars behind them too."""
        behind, newest = self._parted(read_holes(command.arguments.get("pairs")))
        report = FetchReport()
        if behind:
            with self._open_rest() as rest:
                repair = CandleRepair(self._redis, self._exchange.pk, rest, cache=self._cache)
                report = repair.repair_holes(behind, lane=Lane.SERVE, with_open=True)
        if newest:
            pairs = [Pair(hole.symbol, hole.timeframe) for hole in newest]
            if trouble := self._heal_now(pairs, LONGEST_HEALING_SECONDS):
                for hole in newest:
                    report.add(hole, None, Temporary(trouble))
        return report.as_json() | {"openBars": report.open_bars}

    def _parted(self, holes: Sequence[PairHoles]) -> tuple[list[PairHoles], list[PairHoles]]:
        """Return what lies behind where the stream has got to, and what is the stream's to tell."""
        behind, newest = [], []
        for hole in holes:
            until_ms = self._cache.final_until(Pair(hole.symbol, hole.timeframe))
            ranges = hole.ranges if until_ms is None else intersect(hole.ranges, ((0, until_ms),))
            if ranges:
                behind.append(replace(hole, ranges=ranges))
            if ranges != hole.ranges:
                newest.append(hole)
        return behind, newest

    def _backfill(self, command: Command, tell: Tell) -> dict[str, Any]:
        symbols, timeframes = self._pairs(command)
        count = int(command.arguments.get("count", BackfillConfig().candle_count))
        with self._open_rest() as rest:
            service = StartupBackfillService(
                rest, self._redis, BackfillConfig(candle_count=count), cache=self._cache
            )
            report = service.backfill(symbols, timeframes, on_pair=_counting(tell))
            return report.as_json() | {"candleCalls": rest.candle_calls}

    def _add(self, command: Command, tell: Tell) -> Any:
        """Monitor and stream symbols at once; the reply comes when it is known of their history."""
        symbols = _symbols(command)
        new, progress = self._monitored.add(symbols)
        self.additions.append(Addition(command, symbols, new, progress))
        return LATER

    def _addition_state(self, addition: Addition) -> dict[str, Any]:
        running, idle = set(self._monitored.running), self._monitored.idle
        left = set(addition.progress.left)
        return {
            "added": addition.new,
            "streamed": [symbol for symbol in addition.symbols if symbol in running],
            "idle": {symbol: idle[symbol] for symbol in addition.symbols if symbol in idle},
            "waiting": [symbol for symbol in addition.symbols if symbol in left],
            "reason": addition.progress.trouble if left else "",
        }

    def _remove(self, command: Command, tell: Tell) -> dict[str, Any]:
        return {"removed": self._monitored.remove(_symbols(command))}

    def _rename(self, command: Command, tell: Tell) -> dict[str, Any]:
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

    @contextmanager
    def _open_rest(self) -> Iterator[VenueRest]:
        """Open a client of its own: one that failed stays closed, and the stream's goes on."""
        with closing(self._open()) as rest:
            self._rest = rest
            try:
                yield rest
            finally:
                self._rest = None


def _counting(tell: Tell) -> Callable[[int, int], None]:
    return lambda done, total: tell({"done": done, "total": total})


def read_holes(pairs: Any) -> list[PairHoles]:
    """Return the stretches that `[[symbol, timeframe, [[from_ms, to_ms], …]], …]` says.

    Raises ValueError.
    """
    try:
        return [
            PairHoles(str(symbol), Timeframe(timeframe), union(map(_stretch, ranges)))
            for symbol, timeframe, ranges in pairs
        ]
    except TypeError as error:
        raise ValueError(f"no pairs with stretches of time: {error}") from None


def _stretch(ends: Any) -> Interval:
    start_ms, end_ms = ends
    return check_time(start_ms), check_time(end_ms)


def _symbols(command: Command) -> list[str]:
    named = command.arguments.get("symbols", command.arguments.get("symbol"))
    symbols = [named] if isinstance(named, str) else named
    if not isinstance(symbols, list) or not all(isinstance(each, str) for each in symbols):
        raise ValueError(f"{command.name} needs symbols, such as BTC-USD")
    return list(dict.fromkeys(symbols))
