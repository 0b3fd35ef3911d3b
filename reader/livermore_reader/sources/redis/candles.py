"""Candles of many pairs, asked for in one round trip."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

from livermore_reader.candles import Asked, Candles, Row
from livermore_reader.derived import derive, join
from livermore_reader.errors import Incomplete, Unavailable
from livermore_reader.selection import (
    MOST_BEHIND_MS,
    Selection,
    by_closes,
    needed_of,
    select,
    until_of,
)
from livermore_reader.sources.files.joining import CACHE, HISTORY, Joined, Joining
from livermore_reader.sources.files.months import HistoryFiles
from livermore_reader.sources.redis.exchanges import KnownExchange
from livermore_reader.sources.redis.installation import Installation
from livermore_reader.sources.redis.origins import STREAM, Origins, joined
from livermore_reader.sources.redis.pair import Pair, Stored, read_pairs, read_rows
from livermore_reader.sources.redis.replies import sound
from livermore_reader.sources.redis.status import Statuses, Told
from livermore_reader.stretches import both, missing
from livermore_reader.times import DERIVED, length_ms, utc

CANDLES_KEPT = 1000
PAIRS_AT_ONCE = 500
FIRST = itemgetter(0)


class Question(NamedTuple):
    """What is asked, of which exchange and symbol, and of how many bars of which timeframe."""

    asked: Asked
    exchange: KnownExchange
    symbol: str
    base: str
    parts: int

    @classmethod
    def of(cls, asked: Asked, exchange: KnownExchange) -> "Question":
        """Return a question. Raises BadRequest."""
        length_ms(asked.timeframe)
        base, parts = DERIVED.get(asked.timeframe, (asked.timeframe, 1))
        # One that is not known may have been kept before, under a name in capitals or as it stands.
        unknown = asked.symbol.upper() if asked.symbol.islower() else asked.symbol
        symbol = exchange.canonical(asked.symbol) or unknown
        return cls(asked, exchange, symbol, base, parts)

    @property
    def which(self) -> str:
        return f"{self.exchange.name} {self.symbol} {self.asked.timeframe}"

    @property
    def rows_wanted(self) -> int:
        """How many of the newest rows answer it."""
        if self.asked.limit is None or (self.asked.start_ms, self.asked.end_ms) != (None, None):
            return CANDLES_KEPT
        return min((self.asked.limit + 2) * self.parts, CANDLES_KEPT)


class RedisCandles:
    """Asks for candles, coverage and what is beside them. Any thread may ask.

    What Redis lacks is looked for in the files of `history`, if these are given.
    """

    def __init__(
        self, installation: Installation, statuses: Statuses, history: "HistoryFiles | None" = None
    ):
        self._history = history
        self._installation = installation
        self._statuses = statuses
        self._origins: dict[str, Origins] = {}

    def read(self, asked: Sequence[Asked]) -> list[Candles]:
        """Return what there is of each. Raises BadRequest, Incomplete, Unavailable, RedisError."""
        exchange = self._installation.exchange
        questions = [Question.of(each, exchange(each.exchange, each.symbol)) for each in asked]
        found: list[Candles] = []
        for first in range(0, len(questions), PAIRS_AT_ONCE):
            found += self._answers(questions[first : first + PAIRS_AT_ONCE])
        return found

    def _answers(self, questions: Sequence[Question]) -> list[Candles]:
        groups: dict[str, list[int]] = {}  # where the questions about each exchange stand
        for at, each in enumerate(questions):
            groups.setdefault(each.exchange.name, []).append(at)
        parts = [[questions[at] for at in places] for places in groups.values()]
        pipe = self._installation.client.pipeline(transaction=False)
        behind = [self._ask(pipe, part) for part in parts]
        replies = iter(pipe.execute(raise_on_error=False))
        with without_collecting():
            found = [self._read(*each, replies) for each in zip(parts, behind, strict=True)]
        in_order = sorted(zip(chain(*groups.values()), chain(*found), strict=True), key=FIRST)
        return [candles for _, candles in in_order]

    def _ask(self, pipe: Any, questions: Sequence[Question]) -> bytes:
        """Ask of one exchange what `_read` reads; return behind which event.

        Coverage is asked for before the candles and behind them: what both say was so in between.
        """
        exchange, names = questions[0].exchange, self._installation.names
        number = exchange.number
        self._statuses.ask(pipe, exchange)
        behind = self._origins_of(exchange).ask(pipe)
        fields = [f"{each.symbol}:{each.base}" for each in questions]
        pipe.hmget(names.of_exchange(number, "unconfirmed"), fields)
        # A Cluster's pipeline has no `mget`; all keys of an exchange are in one slot.
        coverages = [names.coverage(number, each.symbol, each.base) for each in questions]
        pipe.execute_command("MGET", *coverages)
        for each in questions:
            key = names.candles(number, each.symbol, each.base)
            pipe.execute_command("ZRANGE", key, -each.rows_wanted, -1)
        pipe.execute_command("MGET", *coverages)
        if live := [each for each in questions if each.asked.live]:
            open_candles = [names.live_candle(number, each.symbol, each.base) for each in live]
            pipe.execute_command("MGET", *open_candles)
        return behind

    def _read(
        self, questions: Sequence[Question], behind: bytes, replies: Iterator[Any]
    ) -> list[Candles]:
        exchange = questions[0].exchange
        told = self._statuses.read(exchange, replies)
        origins = self._origins_of(exchange)
        is_learnt = origins.learn(behind, replies)
        nothing = [None] * len(questions)
        unconfirmed, before = (sound(next(replies)) or nothing for _ in range(2))
        members = [sound(next(replies)) for _ in questions]
        after = sound(next(replies))
        has_live = any(each.asked.live for each in questions)
        live = iter(sound(next(replies)) if has_live else ())
        if not is_learnt:
            self._learn_anew(origins)
        stored = list(map(Stored, before, members, after, unconfirmed))
        for each, (_, rows, *_) in zip(questions, stored, strict=True):
            if not rows and exchange.canonical(each.symbol) is None:
                raise exchange.unknown(each.symbol)
        steps_ms = [length_ms(each.base) for each in questions]
        pairs = read_pairs(stored, steps_ms, exchange.lag_ms)
        return [
            self._answer(each, kept, told, origins, next(live) if each.asked.live else None)
            for each, kept in zip(questions, pairs, strict=True)
        ]

    def _origins_of(self, exchange: KnownExchange) -> Origins:
        key = self._installation.names.of_exchange(exchange.number, "events")
        return self._origins.setdefault(key, Origins(key))

    def _learn_anew(self, origins: Origins) -> None:
        pipe = self._installation.client.pipeline(transaction=False)
        origins.ask_anew(pipe)
        origins.learn_anew(iter(pipe.execute(raise_on_error=False)))

    def _answer(
        self,
        question: Question,
        kept: Pair,
        told: Told,
        origins: Origins,
        live: "bytes | None",
    ) -> Candles:
        """Return what replies say about a pair. Raises BadRequest, Incomplete, Unavailable."""
        asked, exchange = question.asked, question.exchange
        now_ms = _now_ms(question, kept, told)
        pair = _longer(question, kept)
        times: Sequence[int] = [row[0] for row in pair.rows]
        newest_close_ms = times[-1] + length_ms(asked.timeframe) if times else None
        found = select(times, pair.known, asked, now_ms)
        joined = None
        if found.missing:
            joined = self._joined(question, kept, now_ms)
            if joined:
                pair = Pair(joined.rows, joined.known)
                times = joined.rows.times if joined.rows else ()
                found = select(times, pair.known, asked, now_ms)
                newest_close_ms = newest_close_ms or (
                    times[-1] + length_ms(asked.timeframe) if times else None
                )
            begun = _since_it_is_told(question, kept, now_ms) if found.missing else None
            if begun:
                joined = None
                pair, times, found = begun
            elif found.missing:
                _check_kept(question, found.missing[0][0], now_ms, self._history)
        open_row = None
        if live and told.is_streamed:
            open_row = _open_row(question, kept, found, now_ms, live)
        source: str | None = None
        if joined:
            source = joined.source(*needed_of(times, asked, found, now_ms))
        if HISTORY not in (source or ""):
            source = _source(question, origins, times[found.first : found.last], open_row)
        elif open_row:
            source = f"{CACHE}+{HISTORY}"
        return Candles(
            exchange.name,
            question.symbol,
            asked.timeframe,
            pair.rows[found.first : found.last],
            found.missing,
            found.is_stale,
            newest_close_ms,
            now_ms,
            source,
            open_row,
        )

    def _joined(self, question: Question, kept: Pair, now_ms: int) -> "Joined | None":
        """Return what Redis and history have together, None where there is no history."""
        asked = question.asked
        which = question.exchange.name, question.symbol
        if self._history is None or not self._history.has(*which):
            return None
        if len(kept.rows) >= question.rows_wanted:  # there may be older ones in Redis too
            kept = Pair(kept.rows, both(kept.known, ((kept.rows[0][0], now_ms),)))
        joining = Joining(self._history, which, question.base, kept, asked.width)
        until_ms = until_of(asked, now_ms)
        if asked.start_ms is not None:
            return joining.oldest(asked.timeframe, asked.start_ms, until_ms, asked.limit)
        return joining.newest(asked.timeframe, until_ms, asked.limit or CANDLES_KEPT)


@contextmanager
def without_collecting() -> Iterator[None]:
    """Look for no garbage meanwhile: rows are none, and looking at all of them takes as long."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _now_ms(question: Question, kept: Pair, told: Told) -> int:
    """Return what time it is at the exchange, at least the end of the newest bar that has closed.

    Raises Unavailable where no clock is believable: bars are there that it says have not ended.
    """
    ends_ms = kept.rows[-1][0] + length_ms(question.base) if kept.rows else None
    now_ms = by_closes(told.now_ms, ends_ms)
    if ends_ms and not told.is_by_runner and ends_ms - now_ms >= MOST_BEHIND_MS:
        raise Unavailable(
            f"{question.which}: nobody tells the time at the exchange, as no runner has it, and "
            f"the newest candle ended at {utc(ends_ms)}, which is yet to come by the clocks here: "
            "whether it is fresh can't be told"
        )
    return now_ms


def _since_it_is_told(
    question: Question, kept: Pair, now_ms: int
) -> "tuple[Pair, Sequence[int], Selection] | None":
    """Return the newest of Redis where all older ones are such as the exchange tells no more."""
    asked, depth_rows = question.asked, question.exchange.depth_rows
    if depth_rows is None or (asked.limit or 0) > CANDLES_KEPT:
        return None
    base_step, step = length_ms(question.base), length_ms(asked.timeframe)
    oldest_ms = now_ms - now_ms % base_step - depth_rows * base_step
    pair = _longer(question, kept)
    times = [row[0] for row in pair.rows]
    found = select(times, pair.known, asked, now_ms, told_ms=-(-oldest_ms // step) * step)
    return None if found.missing else (pair, times, found)


def _longer(question: Question, kept: Pair) -> Pair:
    """Return the bars that are asked for of those that are kept."""
    if question.parts == 1:
        return kept
    return Pair(*derive(kept.rows, kept.known, question.asked.timeframe))


def _check_kept(
    question: Question, missing_ms: int, now_ms: int, history: "HistoryFiles | None"
) -> None:
    """Raise Incomplete where what is missing is older than Redis can have it."""
    step = length_ms(question.base)
    since_ms = now_ms - now_ms % step - CANDLES_KEPT * step
    if missing_ms < since_ms:
        raise Incomplete(
            f"{question.which}: Redis keeps the newest {CANDLES_KEPT:,} candles of a pair, those "
            f"of {question.base} from {utc(since_ms)} on; {_lack(missing_ms, history)}",
            [(missing_ms, since_ms)],
        )


def _lack(missing_ms: int, history: "HistoryFiles | None") -> str:
    if history is None:
        return f"asked for from {utc(missing_ms)}"
    return f"the files in {history} lack those from {utc(missing_ms)} on"


def _open_row(
    question: Question, kept: Pair, found: Selection, now_ms: int, live: bytes
) -> Row | None:
    """Return the open candle as a whole, None where it isn't known, or a bar before it isn't."""
    step, base_step = length_ms(question.asked.timeframe), length_ms(question.base)
    opened_ms, base_ms = now_ms - now_ms % step, now_ms - now_ms % base_step
    rows = read_rows([live]) if found.until_ms == opened_ms and not found.is_full else []
    if not rows or rows[0][0] != base_ms or _is_outside(question.asked, opened_ms):
        return None
    if missing(kept.known, opened_ms, base_ms):
        return None
    parts = [*(row for row in kept.rows if opened_ms <= row[0] < base_ms), rows[0]]
    return join(parts, opened_ms) if question.parts > 1 else rows[0]


def _is_outside(asked: Asked, opened_ms: int) -> bool:
    is_behind = asked.end_ms is not None and asked.end_ms <= opened_ms
    return is_behind or (asked.start_ms is not None and opened_ms < asked.start_ms)


def _source(
    question: Question, origins: Origins, times: Sequence[int], open_row: Row | None
) -> str | None:
    if question.parts > 1:
        return "derived"
    found = origins.of(question.symbol, question.base, times)
    return joined(found | {STREAM} if open_row else found)
