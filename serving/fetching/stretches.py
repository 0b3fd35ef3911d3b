"""Older candles than are kept: asked of the exchange for whoever wants them, and not stored."""

import logging
import time
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple

import orjson
from django.db import close_old_connections

from exchanges.adapters import open_rest
from exchanges.models import Exchange
from exchanges.rest.pacing.budget import Lane
from livermore.market.coverage import Coverage, Interval, intersect, missing, union
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.directory import ServedExchange
from serving.fetching.failures import FAILURES, Failure, untold
from serving.together.answers import NONE, Answer
from serving.together.once import Once

logger = logging.getLogger(__name__)

STRETCH_HOLDS_SECONDS, LONGEST_STRETCH_SECONDS = 10.0, 30.0
D1 = Timeframe.D1
DAYS_TOGETHER = 300  # of which any exchange tells in one call
MOST_REMEMBERED = 10_000  # symbols
FIRST_TRADES_MS = 1_262_304_000_000  # 2010-01-01: before that no coin was traded anywhere


class Told(NamedTuple):
    """Candles as an exchange told them, as rows are kept, and when these are all it has.

    `was_kept`: it was not asked for any of them now. `some_was_kept`: not for some.
    """

    times: list[int]
    rows: list[list[Any]]
    coverage: Coverage
    was_kept: bool = False
    some_was_kept: bool = False

    def followed_by(self, later: "Told") -> "Told":
        """Return it with what was told of a later stretch."""
        return Told(
            [*self.times, *later.times],
            [*self.rows, *later.rows],
            union([*self.coverage, *later.coverage]),
            self.was_kept and later.was_kept,
            any((self.was_kept, self.some_was_kept, later.was_kept, later.some_was_kept)),
        )


class Stretches:
    """Asks exchanges for stretches of a pair, of each the same once."""

    def __init__(self, once: Once):
        self._once = once
        self._without_trades: dict[tuple[int, str], Interval] = {}  # of whole days, by symbol

    async def first_traded(
        self, exchange: ServedExchange, symbol: str, start_ms: int, until_ms: int
    ) -> int | Failure:
        """Return up to when nothing was traded from a time on, as days tell: those have few bars.

        That is the begin of a day with trades, or of one of which that isn't known. What was found
        out is remembered, so that who asks again goes on where this got to.
        """
        which = exchange.exchange_id, symbol
        at_ms = max(D1.floor(start_ms), FIRST_TRADES_MS)
        end_ms = D1.floor(until_ms)
        while at_ms < end_ms:
            known_ms, known_until_ms = self._without_trades.get(which, (0, 0))
            if known_ms <= at_ms < known_until_ms:
                at_ms = known_until_ms
                continue
            last_ms = min(at_ms + DAYS_TOGETHER * D1.ms, end_ms)
            told = await self.pass_on(exchange, Pair(symbol, D1), at_ms, last_ms)
            if isinstance(told, Failure):
                return told
            first_ms = told.times[0] if told.times else last_ms
            unknown = missing(told.coverage, at_ms, first_ms)
            empty_until_ms = unknown[0][0] if unknown else first_ms
            self._remember(which, (at_ms, empty_until_ms))
            if empty_until_ms < last_ms:
                return max(start_ms, empty_until_ms)
            at_ms = last_ms
        return max(start_ms, at_ms)

    def _remember(self, which: tuple[int, str], stretch: Interval) -> None:
        start_ms, end_ms = self._without_trades.get(which, (0, 0))
        if len(self._without_trades) >= MOST_REMEMBERED:
            self._without_trades.clear()
        is_next = start_ms <= stretch[0] <= end_ms
        self._without_trades[which] = (start_ms, stretch[1]) if is_next else stretch

    async def pass_on(
        self, exchange: ServedExchange, pair: Pair, start_ms: int, end_ms: int
    ) -> Told | Failure:
        """Return what the exchange tells of a stretch `[start_ms, end_ms)`, which is not stored.

        Or why it does not.
        """
        request = f"stretch {pair.symbol} {pair.timeframe} {start_ms} {end_ms}"
        ask = partial(_asked_stretch, exchange, pair, start_ms, end_ms)
        try:
            answer, was_kept = await self._once.get(exchange, request, ask, LONGEST_STRETCH_SECONDS)
            if answer.status == NONE:
                return Failure(answer.why, answer.seconds_to_wait)
            return _stretch_of(answer)._replace(was_kept=was_kept)
        except FAILURES as error:  # it was not asked at all
            logger.warning("serving.not_passed exchange=%s error=%s", exchange.name, error)
            return Failure(str(error), getattr(error, "retry_seconds", None))


def fetch_once(exchange_id: int, pair: Pair, start_ms: int, end_ms: int) -> Told:
    """Return what an exchange tells of a stretch, without keeping it. Raises LivermoreError."""
    close_old_connections()
    with closing(open_rest(Exchange.objects.get(pk=exchange_id))) as rest:
        candles = rest.get_candles(*pair, start_ms, end_ms, lane=Lane.SERVE)
        settled_ms = pair.timeframe.floor(rest.clock.now_ms() - rest.lag_ms)
    rows: list[list[Any]] = [candle.row() for candle in candles]
    # What it told without a row is as much as anybody can know of it, but where it may be late.
    empty = intersect(candles.empty, ((0, settled_ms),))
    return Told([row[0] for row in rows], rows, union([*candles.covered, *empty]))


def _asked_stretch(exchange: ServedExchange, pair: Pair, start_ms: int, end_ms: int) -> Answer:
    """Return what an exchange tells of a stretch."""
    try:
        told = fetch_once(exchange.exchange_id, pair, start_ms, end_ms)
    except FAILURES as error:
        logger.warning("serving.not_passed exchange=%s error=%s", exchange.name, error)
        return untold(error)
    content = orjson.dumps([told.rows, told.coverage])
    return Answer(200, content, time.time(), STRETCH_HOLDS_SECONDS)


def _stretch_of(answer: Answer) -> Told:
    """Return the stretch that was told. Raises ValueError."""
    try:
        rows, coverage = answer.content
        return Told([row[0] for row in rows], rows, union((at, end) for at, end in coverage))
    except TypeError as error:
        raise ValueError(str(error)) from error
