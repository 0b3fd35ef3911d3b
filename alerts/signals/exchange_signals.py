"""The signals of one exchange: its closes since the last look, each evaluated once.

Where it stands of each pair is kept in the database, in the transaction that writes what came of
it. What is in memory is that, and is thrown away where somebody else has written since.
"""

import logging
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from redis import Redis

from alerts.models import SignalState
from alerts.signals import stream
from alerts.signals.choice import Choices, Rung, Step
from alerts.signals.pair_signals import PairSignals, Told
from exchanges.errors import clip
from exchanges.models import Exchange
from livermore.market.pair import Pair
from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from warmup.cache.candles import PAIRS_PER_WINDOWS, CandleCache

SECONDS_TO_READ = 2.0  # of a look at most for windows: the rest is read at the next ones
LATE_MS = 300_000  # a close so old, and as old as its bar is long, rings nobody any more
LATE_OF_A_PAIR = 10  # signals, the newest, that are kept of what it missed at once
ROWS_AT_ONCE = 500

logger = logging.getLogger(__name__)


class Found(NamedTuple):
    """A signal: what rang, by which step of which pair, as of which state.

    `is_late`: it is too old to ring. `revises`: what was told of that close before, and is not so;
    `rung` has the rule that was told it then, and what is so in place of it, "" for nothing.
    """

    state: PairSignals
    step: Step
    rung: Rung
    is_late: bool
    revises: str = ""


def too_late(timeframe: Timeframe, time_ms: int, now_ms: int) -> bool:
    """Tell whether the bar that opened at `time_ms` ended too long ago to ring anybody."""
    return now_ms - time_ms - timeframe.ms > max(LATE_MS, timeframe.ms)


class ExchangeSignals:
    """Follows the closes of one exchange. `look` and `write` are called in turns."""

    def __init__(self, redis: Redis, exchange: Exchange):
        self._redis = redis
        self._exchange = exchange
        self._cache = CandleCache(redis, exchange.pk)
        self._states: dict[Pair, PairSignals] = {}
        self._behind: dict[Pair, None] = {}  # to be read from the cache, in this order
        self._changed: set[Pair] = set()
        self._dropped: list[Pair] | None = []  # None: all of them
        self._token: str | None = None  # of the position that belongs to what is in memory
        self._signature: object = None

    def look(self, choices: Choices, position: dict[str, Any], now_ms: int) -> list[Found]:
        """Return what the closes since the last look ring; `position` is moved on.

        Raises RedisError and DatabaseError; what is in memory is read again then.
        """
        token, self._token = self._token, None
        if "id" not in position:
            self._begin(position)
        elif token != position["token"]:
            self._dropped = []  # what was to be deleted was not, and another one has written since
        news = stream.read(self._redis, self._exchange.pk, position["id"])
        if token is None or token != position["token"]:
            self._load()
        if self._signature != choices.signature or token is None:
            self._drop(choices)
            self._signature = choices.signature
        if news.is_gap or token is None:
            self._compare()
        found = [*self._take(news, choices, now_ms), *self._read(choices, now_ms)]
        position["id"] = news.last_id
        if self._changed or self._dropped is None or self._dropped:
            position["token"] = uuid.uuid4().hex
        self._token = position["token"]
        return _without_oldest(found)

    @property
    def behind(self) -> int:
        """Return how many pairs wait to be read from the cache."""
        return len(self._behind)

    def forget(self, position: dict[str, Any]) -> None:
        """Learn that nobody wants signals of this exchange: who does again begins anew."""
        self._states, self._behind, self._token = {}, {}, None
        self._changed, self._dropped = set(), None
        position.clear()

    def write(self) -> None:
        """Keep where every pair stands that has changed. Raises DatabaseError."""
        rows = SignalState.objects.filter(exchange=self._exchange)
        if self._dropped is None:
            rows.delete()
        for timeframe in {pair.timeframe for pair in self._dropped or ()}:
            symbols = [pair.symbol for pair in self._dropped or () if pair.timeframe == timeframe]
            for at in range(0, len(symbols), ROWS_AT_ONCE):
                chunk = symbols[at : at + ROWS_AT_ONCE]
                rows.filter(timeframe=str(timeframe), symbol__in=chunk).delete()
        SignalState.objects.bulk_create(
            [
                SignalState(
                    exchange=self._exchange,
                    symbol=pair.symbol,
                    timeframe=str(pair.timeframe),
                    state=self._states[pair].kept(),
                )
                for pair in self._changed
            ],
            ROWS_AT_ONCE,
            update_conflicts=True,
            update_fields=["state"],
            unique_fields=["exchange", "symbol", "timeframe"],
        )
        self._changed, self._dropped = set(), []

    def _begin(self, position: dict[str, Any]) -> None:
        position["id"] = stream.newest_id(self._redis, self._exchange.pk)
        position["token"] = ""
        self._dropped = None

    def _load(self) -> None:
        """Take from the database where every pair stands."""
        self._states, self._behind, self._changed = {}, {}, set()
        if self._dropped is None:
            return
        self._dropped = []
        for row in SignalState.objects.filter(exchange=self._exchange):
            try:
                pair = Pair(row.symbol, Timeframe(row.timeframe))
                self._states[pair] = PairSignals.of_kept(pair, row.state)
            except (ValueError, TypeError, LookupError) as error:  # it begins anew
                logger.error(
                    "alerts.state_unreadable exchange=%s pair=%s/%s error=%s",
                    self._exchange.name, row.symbol, row.timeframe, clip(str(error)),
                )  # fmt: skip
                continue
            if self._states[pair].revise_ms is not None:
                self._behind[pair] = None

    def _drop(self, choices: Choices) -> None:
        """Forget the pairs that no rule is about any more."""
        for pair in [pair for pair in self._states if not choices.of(pair)]:
            del self._states[pair]
            self._behind.pop(pair, None)
            self._changed.discard(pair)
            if self._dropped is not None:
                self._dropped.append(pair)

    def _compare(self) -> None:
        """Find the pairs of which the cache has closes that were not evaluated."""
        pairs = sorted(self._states, key=lambda pair: LONGEST_FIRST.index(pair.timeframe))
        for pair, summary in zip(pairs, self._cache.summaries(pairs), strict=True):
            if summary.newest is not None and summary.newest > self._states[pair].evaluated_ms:
                self._behind[pair] = None

    def _take(self, news: stream.News, choices: Choices, now_ms: int) -> Iterator[Found]:
        """Evaluate the closes that follow those before; the pairs of others fall behind."""
        events = [(pair, event) for pair, event in news.events if choices.of(pair)]
        gaps = {
            pair
            for pair, event in events
            if (state := self._states.get(pair)) and state.leaves_gap(event)
        }
        coverages = dict(zip(gaps, self._cache.coverages(list(gaps)), strict=True))
        for pair, event in events:
            time_ms = event["timestamp"]
            state, came_late = self._states.get(pair), event.get("late") or event.get("again")
            if state is None and came_late:
                continue  # of a time before it is followed
            if state is None:  # from this close on
                state = self._states[pair] = PairSignals(pair, time_ms - 1)
            if time_ms <= state.evaluated_ms:
                if came_late:
                    state.revise(time_ms)
                    self._fall_behind(pair)
            elif pair in self._behind:
                continue  # it will be read with the others
            elif step := state.advance(event, coverages.get(pair)):
                self._changed.add(pair)
                yield from self._found(state, [step], choices, now_ms)
            else:
                self._fall_behind(pair)

    def _fall_behind(self, pair: Pair) -> None:
        self._behind[pair] = None
        self._changed.add(pair)

    def _read(self, choices: Choices, now_ms: int) -> Iterator[Found]:
        """Evaluate pairs by their windows in the cache, for a while."""
        until = time.monotonic() + SECONDS_TO_READ
        while self._behind and time.monotonic() < until:
            pairs = list(self._behind)[:PAIRS_PER_WINDOWS]
            for pair, members, coverage in self._cache.windows(pairs):
                del self._behind[pair]
                state = self._states[pair]
                steps = state.read(members, coverage)
                self._changed.add(pair)
                yield from self._found(state, steps, choices, now_ms)

    def _found(
        self, state: PairSignals, steps: Iterable[Step], choices: Choices, now_ms: int
    ) -> Iterator[Found]:
        choice = choices.of(state.pair)
        revise_ms, state.revise_ms = state.revise_ms, None
        known = {each[:4]: each for each in state.told}
        told: list[Told] = []
        for step in steps:
            time_ms = step.now.time_ms
            is_late = too_late(state.pair.timeframe, time_ms, now_ms)
            for rung in choice.rung(step) if choice else ():
                new = [
                    rule
                    for rule in rung.rules
                    if not known.pop((time_ms, rule, rung.kind, rung.which), None)
                ]
                told += [Told(time_ms, rule, rung.kind, rung.which, is_late) for rule in new]
                if new:
                    yield Found(state, step, rung._replace(rules=tuple(new)), is_late)
        if revise_ms is not None:
            gone = [each for each in known.values() if each.time_ms >= revise_ms]
            yield from self._revised(state, gone, steps, choices)
        state.note(told)

    def _revised(
        self,
        state: PairSignals,
        gone: Iterable[Told],
        steps: Iterable[Step],
        choices: Choices,
    ) -> Iterator[Found]:
        """Yield what was told and is not so."""
        by_time: Mapping[int, Step] = {step.now.time_ms: step for step in steps}
        for each in gone:
            state.told.remove(each)
            if (step := by_time.get(each.time_ms)) and each.rule in choices.numbers:
                rung = Rung(each.kind, "", (each.rule,))
                yield Found(state, step, rung, each.is_late, each.which)


def _without_oldest(found: Sequence[Found]) -> list[Found]:
    """Return what was found, of what is late the newest of each pair alone."""
    late: dict[Pair, int] = {}
    kept = []
    for each in reversed(found):
        if each.is_late:
            late[each.state.pair] = late.get(each.state.pair, 0) + 1
        if not each.is_late or late[each.state.pair] <= LATE_OF_A_PAIR:
            kept.append(each)
    return kept[::-1]
