"""What the cache lacks is fetched once, however many wait for it, by whoever may write it."""

import asyncio
import logging
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import orjson
from django.core.exceptions import ObjectDoesNotExist
from django.db import Error as DatabaseError
from django.db import close_old_connections
from redis import Redis
from redis.exceptions import RedisError

from exchanges.adapters import beside_api, open_rest
from exchanges.errors import Banned, LivermoreError, RateLimited
from exchanges.models import Exchange
from exchanges.rest.pacing.budget import Lane
from livermore.market.candle import Candle
from livermore.market.coverage import Coverage, intersect, subtract, union
from livermore.market.pair import Pair
from serving.candles.calls import Calls
from serving.candles.unavailable import RETRY_SECONDS, Unavailable
from serving.counting.asked import for_all, note_waiting
from serving.directory import ServedExchange
from serving.together.answers import NONE, Answer
from serving.together.once import Once
from serving.together.turns import turn
from warmup.cache.candles import CandleCache
from warmup.repair import CandleRepair, PairHoles
from warmup.runner.hand_over import under_lock

logger = logging.getLogger(__name__)

TOGETHER_SECONDS = 0.02  # for which those that ask at the same time are gathered
LONGEST_PAUSE_SECONDS = 60
OPEN_HOLDS_SECONDS, LONGEST_OPEN_SECONDS = 1.0, 2.0  # of an open candle
# Where the stream tells what is traded from then on, and of any number of other symbols.
LONG_OPEN_HOLDS_SECONDS = 5.0
STRETCH_HOLDS_SECONDS, LONGEST_STRETCH_SECONDS = 10.0, 30.0  # of older candles than are kept
MOST_REMEMBERED = 10_000
# What a call of an exchange raises, with a text for a person.
FAILURES = (
    LivermoreError, RedisError, DatabaseError, ObjectDoesNotExist, Unavailable, ValueError,
)  # fmt: skip


class Failure(NamedTuple):
    """Why something was not fetched, and when to ask again where that is known."""

    why: str
    retry_seconds: int | None = None


class Told(NamedTuple):
    """Candles as an exchange told them, as rows are kept, and when these are all it has.

    `was_kept`: it told them a moment ago, for another request.
    """

    times: list[int]
    rows: list[list[Any]]
    coverage: Coverage
    was_kept: bool = False

    def followed_by(self, later: "Told") -> "Told":
        """Return it with what was told of a later stretch."""
        return Told(
            [*self.times, *later.times],
            [*self.rows, *later.rows],
            union([*self.coverage, *later.coverage]),
            self.was_kept and later.was_kept,
        )


class OpenCandle(NamedTuple):
    """An open candle, None where none is known; `was_kept`: the exchange was not asked for it."""

    candle: Candle | None
    was_kept: bool


class Fetches:
    """Fetches of all exchanges: of each one at a time, with all that is wanted by then."""

    def __init__(self, redis: Redis, calls: Calls, once: Once):
        """`once` is for what is not stored."""
        self._redis = redis
        self._calls = calls
        self._once = once
        self._in_vain: dict[tuple[int, Pair], tuple[float, Coverage, Failure]] = {}
        self._hangs_until: dict[int, float] = {}  # then it is asked for open candles again
        self._wanted: dict[int, dict[Pair, Coverage]] = {}
        self._fetched: dict[int, dict[Pair, Coverage]] = {}  # by what is under way
        self._under_way: dict[int, asyncio.Task[dict[Pair, Failure]]] = {}

    async def fetch(
        self, exchange: ServedExchange, pair: Pair, missing: Coverage
    ) -> Failure | None:
        """Have these stretches fetched; return why that failed, be it a moment ago."""
        number = exchange.exchange_id
        until, in_vain, failure = self._in_vain.get((number, pair), (0.0, (), None))
        if time.monotonic() < until and not subtract(missing, in_vain):
            return failure
        fetched = self._fetched.get(number, {}).get(pair, ())
        if number in self._under_way and not subtract(missing, fetched):
            note_waiting()
            failures = await asyncio.shield(self._under_way[number])
            return failures.get(pair)
        wanted = self._wanted.setdefault(number, {})
        if not subtract(missing, wanted.get(pair, ())):
            note_waiting()
        wanted[pair] = union([*wanted.get(pair, ()), *missing])
        while pair in self._wanted.get(number, {}):
            if number not in self._under_way:
                self._under_way[number] = asyncio.create_task(self._fetch_wanted(exchange))
            failures = await asyncio.shield(self._under_way[number])
            if pair in failures:
                return failures[pair]
        return None

    def note_in_vain(
        self, exchange: ServedExchange, pair: Pair, missing: Coverage, failure: Failure
    ) -> None:
        """Leave the exchange alone with these stretches for a while: many ask again and again.

        Who asks meanwhile makes that no longer, whatever stretch it is for.
        """
        if len(self._in_vain) >= MOST_REMEMBERED:
            self._in_vain.clear()
        what, now = (exchange.exchange_id, pair), time.monotonic()
        seconds = min(failure.retry_seconds or RETRY_SECONDS, LONGEST_PAUSE_SECONDS)
        until, in_vain, _ = self._in_vain.get(what, (0.0, (), None))
        if now >= until:
            until, in_vain = now + seconds, ()
        self._in_vain[what] = until, union([*in_vain, *missing]), failure

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

    async def open_candle(
        self, exchange: ServedExchange, pair: Pair, open_ms: int, is_streamed: bool
    ) -> OpenCandle:
        """Return the candle open since a time as the exchange tells it, or told it a moment ago.

        It has none where that has none, or does not answer soon.
        """
        number = exchange.exchange_id
        if time.monotonic() < self._hangs_until.get(number, 0.0):
            return OpenCandle(None, was_kept=True)
        request = f"open {pair.symbol} {pair.timeframe} {open_ms}"
        ask = partial(_asked_open, exchange, pair, open_ms, is_streamed)
        try:
            got = await self._once.get(exchange, request, ask, LONGEST_OPEN_SECONDS)
            return OpenCandle(_candle_of(got.answer, pair), got.was_kept)
        except TimeoutError:
            self._hangs_until[number] = time.monotonic() + RETRY_SECONDS
            return OpenCandle(None, was_kept=False)
        except FAILURES:  # it was not asked at all, as it is switched off or has enough to answer
            return OpenCandle(None, was_kept=True)

    async def _fetch_wanted(self, exchange: ServedExchange) -> dict[Pair, Failure]:
        """Fetch all that is wanted; return of which pairs that failed, and why."""
        number = exchange.exchange_id
        for_all()
        try:
            await asyncio.sleep(TOGETHER_SECONDS)
            wanted = self._fetched[number] = self._wanted.pop(number, {})
            holes = [PairHoles(*pair, ranges) for pair, ranges in wanted.items()]
            try:
                failed = await self._calls.call(exchange, fetch_holes, self._redis, number, holes)
                return {pair: Failure(why) for pair, why in failed.items()}
            except FAILURES as error:
                logger.warning("serving.not_fetched exchange=%s error=%s", exchange.name, error)
                return dict.fromkeys(wanted, Failure(str(error), seconds_to_wait(error)))
        finally:
            del self._under_way[number]
            self._fetched.pop(number, None)


def fetch_holes(redis: Redis, exchange_id: int, holes: Sequence[PairHoles]) -> dict[Pair, str]:
    """Fetch stretches under the exchange's lock, or let the runner do it that has it.

    Other processes that serve do so before or after, and what they have fetched by then is left
    out. Returns of which pairs that failed, and why. Raises LivermoreError where nothing could be
    done.
    """
    close_old_connections()
    exchange = Exchange.objects.get(pk=exchange_id)
    with turn(redis, exchange_id):
        left = still_missing(CandleCache(redis, exchange_id), holes)
        return _fetch(redis, exchange, left) if left else {}


def still_missing(cache: CandleCache, holes: Sequence[PairHoles]) -> list[PairHoles]:
    """Return what of some stretches the cache lacks by now."""
    pairs = [Pair(hole.symbol, hole.timeframe) for hole in holes]
    found = []
    for hole, known, count in zip(holes, cache.coverages(pairs), cache.counts(pairs), strict=True):
        left = subtract(hole.ranges, known if count else ())  # as `Windows` believes it
        if left:
            found.append(replace(hole, ranges=left))
    return found


def _fetch(redis: Redis, exchange: Exchange, holes: Sequence[PairHoles]) -> dict[Pair, str]:
    exchange_id = exchange.pk

    def work(cache: Any, tell: Any) -> dict[str, Any]:
        with closing(open_rest(exchange)) as rest:
            repair = CandleRepair(redis, exchange_id, rest, cache=cache)
            return repair.repair_holes(holes, lane=Lane.SERVE).as_json()

    pairs = [[hole.symbol, hole.timeframe, hole.ranges] for hole in holes]
    report = under_lock(
        redis,
        exchange,
        "fetch",
        {"pairs": pairs},
        work,
        show=lambda told: None,
        say=lambda line: None,
        who="",
    )
    return {
        Pair(failure["symbol"], failure["timeframe"]): failure["error"]
        for failure in report["failures"]
    }


def fetch_json(
    exchange_id: int,
    path: str,
    params: Mapping[str, str | list[str]],
    weight: int,
    at_host: bool = False,
) -> Any:
    """Return what an exchange answers to a public GET of its own protocol.

    A path `at_host` begins behind its host, not behind the address of its API.

    Raises LivermoreError, with what the exchange said as its `reply` where that refused it.
    """
    close_old_connections()
    exchange = Exchange.objects.get(pk=exchange_id)
    with closing(open_rest(beside_api(exchange) if at_host else exchange)) as rest:
        return rest.client.get(
            path, params, weight=weight, lane=Lane.SERVE, signed=False, long=True
        )


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


def fetch_open(exchange_id: int, pair: Pair) -> Candle | None:
    """Return the open candle as an exchange tells it, None where it has none."""
    close_old_connections()
    with closing(open_rest(Exchange.objects.get(pk=exchange_id))) as rest:
        return rest.get_candles(*pair, limit=1, lane=Lane.SERVE).open_candle


def untold(error: Exception) -> Answer:
    """Return why an exchange has not answered, which holds until it is to be asked again."""
    seconds = seconds_to_wait(error)
    holds_seconds = min(seconds or RETRY_SECONDS, LONGEST_PAUSE_SECONDS)
    return Answer(NONE, str(error).encode(), time.time(), holds_seconds, seconds)


def _asked_open(exchange: ServedExchange, pair: Pair, open_ms: int, is_streamed: bool) -> Answer:
    """Return what an exchange tells of the candle open since a time, `null` where it has none."""
    try:
        candle = fetch_open(exchange.exchange_id, pair)
    except FAILURES as error:
        logger.warning("serving.not_passed exchange=%s error=%s", exchange.name, error)
        return untold(error)
    is_it = candle is None or candle.timestamp == open_ms
    is_long = is_it and (is_streamed or not exchange.symbols[pair.symbol].is_monitored)
    holds_seconds = LONG_OPEN_HOLDS_SECONDS if is_long else OPEN_HOLDS_SECONDS
    return Answer(200, orjson.dumps(candle and candle.row()), time.time(), holds_seconds)


def _candle_of(answer: Answer, pair: Pair) -> Candle | None:
    """Return the open candle that was told, None where there is none. Raises ValueError."""
    row = answer.content if answer.status != NONE else None
    try:
        return None if row is None else Candle.of_values(row, pair.timeframe)
    except TypeError as error:
        raise ValueError(str(error)) from error


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


def seconds_to_wait(error: Exception) -> int | None:
    """Return in how many seconds to ask again after an error, None where nobody knows."""
    match error:
        case Banned():
            return max(1, error.until_ms // 1000 - int(time.time()))
        case RateLimited():
            return math.ceil(error.retry_after_seconds or 0) or None
    return None
