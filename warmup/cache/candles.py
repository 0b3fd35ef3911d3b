"""Candles and coverage in Redis: read and written here, but for what a stream brings."""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson
from redis import Redis
from redis.exceptions import ResponseError

from exchanges.errors import clip
from exchanges.lock.fencing import stamp
from exchanges.redis.scripts import Call, load_script
from exchanges.redis.unreadable import (
    is_wrong_type,
    value_or_error,
    warn_once,
)
from exchanges.rest.base import Known
from exchanges.rest.reply import Candles
from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.coverage import Coverage, Interval, subtract, union
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.cache.encoding import LONGEST_COVERAGE, PAIR_CONSTANTS, read_coverage, read_time
from warmup.cache.pair_state import PairState, PairSummary
from warmup.cache.set_aside import SetAside, is_aside, refusals
from warmup.cache.told import Told
from warmup.cache.unconfirmed import (
    Rules,
    Stretches,
    dump,
    learn,
    load,
    newest,
    with_traded,
)

logger = logging.getLogger(__name__)

CANDLES_KEPT = 1000
PAIRS_PER_PIPELINE = 1000
PAIRS_PER_SUMMARY = 200  # a millisecond of the server's time
PAIRS_PER_WINDOWS = 50  # whole windows: 64 KB each
LONGEST_LIVE = 10_000
SUMMARY_KEYS = (keys.candles, keys.coverage)
# Who has an exchange's lock may write what is unconfirmed from several threads: one at a time.
_NOTING: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)

WRITE = load_script("warmup/cache/lua/write_candles.lua", PAIR_CONSTANTS)
CUT_BACK = load_script("warmup/cache/lua/cut_back.lua", PAIR_CONSTANTS)
REMOVE_INVALID = load_script("warmup/cache/lua/remove_invalid.lua", PAIR_CONSTANTS)
SUMMARIZE = load_script("warmup/cache/lua/summarize.lua", PAIR_CONSTANTS)


@dataclass(frozen=True, slots=True)
class CandleWrite:
    """What one answer of an exchange changes for one pair.

    `candles` are closed ones in any order; `covered` the stretches of which they are all that
    the exchange has.
    """

    symbol: str
    timeframe: Timeframe
    candles: Sequence[Candle]
    covered: Coverage = ()
    unconfirmed: Stretches | None = None  # of the pair from now on, None leaves what is there


class CandleCache:
    """The candles of one exchange: 1,000 closed ones a pair at the most, the open one apart.

    Every method is one round trip, or one for each 1,000 pairs. What can't be read counts as not
    there; a pair whose keys are of another type is set aside: writing it raises SetAside, when all
    others of the same call are written. With the `epoch` of a lease a
    write raises Fenced once somebody else has the exchange. `final_until(pair)` is where a stream
    has got to: what closes from there on is the stream's to write and to tell, so it is left out.
    `on_write(pair)` is called for each pair whose candles or coverage may have changed.
    """

    def __init__(
        self,
        redis: Redis,
        exchange_id: int,
        epoch: int | None = None,
        final_until: Callable[[Pair], int | None] = lambda pair: None,
        on_write: Callable[[Pair], None] = lambda pair: None,
    ):
        self._redis = redis
        self._exchange_id = exchange_id
        self.epoch = epoch
        self.final_until = final_until
        self._on_write = on_write
        self._noting = _NOTING[exchange_id]

    def write(
        self,
        symbol: str,
        timeframe: Timeframe,
        candles: Sequence[Candle],
        covered: Coverage = (),
        unconfirmed: Stretches | None = None,
    ) -> None:
        """Store closed candles and extend the pair's coverage, in one atomic step."""
        self.write_many([CandleWrite(symbol, timeframe, candles, covered, unconfirmed)])

    def write_many(self, writes: Iterable[CandleWrite]) -> None:
        """Store the candles and coverage of many pairs, each pair atomically."""
        writes = list(writes)
        try:
            self._store(writes)
        finally:
            for write in writes:
                self._on_write(Pair(write.symbol, write.timeframe))

    def cut_back(self, pair: Pair, cut_ms: int, now_ms: int) -> None:
        """Forget what is known of a pair from `cut_ms` on, and candles that are not closed yet."""
        names = [name(self._exchange_id, *pair) for name in (keys.candles, keys.coverage)]
        names += [keys.epoch(self._exchange_id), keys.indicator(self._exchange_id, *pair)]
        names += [keys.told(self._exchange_id), keys.lock(self._exchange_id)]
        open_ms = pair.timeframe.floor(now_ms)
        values = [stamp(self.epoch), cut_ms, open_ms, keys.pair_field(*pair)]
        with refusals():
            CUT_BACK(self._redis, names, values)
        self._on_write(pair)

    def remove_invalid(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Take out what is no candle, and what is known of those bars; return where there was such.

        That reads all of a pair's candles, two milliseconds of the server's time.
        """
        found = []
        for pair in pairs:
            name = keys.candles(self._exchange_id, *pair)
            names = [name, self._coverage_of(*pair)]
            names += [keys.epoch(self._exchange_id), keys.lock(self._exchange_id)]
            with refusals():
                said = REMOVE_INVALID(self._redis, names, [stamp(self.epoch)])
            if said:
                what = clip(repr(said[1].decode("utf-8", "replace")))
                logger.warning(
                    "cache.invalid_removed key=%s removed=%d such_as=%s", name, said[0], what
                )
                self._on_write(pair)
                found.append(pair)
        return found

    def newest(self, symbol: str, timeframe: Timeframe, count: int) -> list[Candle]:
        """Return the newest `count` closed candles, oldest first."""
        if count < 1:
            return []
        key = keys.candles(self._exchange_id, symbol, timeframe)
        return self._decode(key, self._rows(self._redis.zrange, key, -count, -1), timeframe)

    def between(
        self, symbol: str, timeframe: Timeframe, start_ms: int, end_ms: int
    ) -> list[Candle]:
        """Return the closed candles that opened in `[start_ms, end_ms)`, oldest first."""
        key = keys.candles(self._exchange_id, symbol, timeframe)
        members = self._rows(self._redis.zrangebyscore, key, start_ms, f"({end_ms}")
        return self._decode(key, members, timeframe)

    def windows(self, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, list[bytes], Coverage]]:
        """Yield of each pair its closed candles as stored, oldest first, and its coverage.

        Both are of the same moment.
        """
        for chunk in _chunks(pairs, PAIRS_PER_WINDOWS):
            pipe = self._redis.pipeline(transaction=True)
            for symbol, timeframe in chunk:
                pipe.zrange(keys.candles(self._exchange_id, symbol, timeframe), 0, -1)
                pipe.getrange(self._coverage_of(symbol, timeframe), 0, LONGEST_COVERAGE)
            replies = map(value_or_error, pipe.execute(raise_on_error=False))
            for pair, members, coverage in zip(chunk, replies, replies, strict=True):
                if is_wrong_type(members) or is_wrong_type(coverage):
                    yield pair, [], ()
                else:
                    yield pair, members, read_coverage(coverage, self._coverage_of(*pair))

    def since(self, starts: Mapping[Pair, int]) -> Iterator[tuple[Pair, list[Candle], Coverage]]:
        """Yield of each pair what opened at its start or later: candles in order, and coverage.

        Both are of the same moment. Where a row is no candle, nothing is known of its pair.
        """
        for chunk in _chunks(list(starts), PAIRS_PER_WINDOWS):
            pipe = self._redis.pipeline(transaction=True)
            for pair in chunk:
                pipe.zcard(keys.candles(self._exchange_id, *pair))
                pipe.zrangebyscore(keys.candles(self._exchange_id, *pair), starts[pair], "+inf")
                pipe.getrange(self._coverage_of(*pair), 0, LONGEST_COVERAGE)
            replies = map(value_or_error, pipe.execute(raise_on_error=False))
            for pair, count, members, stored in zip(chunk, *[replies] * 3, strict=True):
                if not count or any(map(is_wrong_type, (count, members, stored))):
                    yield pair, [], ()  # coverage of no candle at all is not believed
                    continue
                key = keys.candles(self._exchange_id, *pair)
                candles = self._decode(key, members, pair.timeframe)
                known = read_coverage(stored, self._coverage_of(*pair))
                is_whole = len(candles) == len(members)
                yield pair, candles, subtract(known, ((0, starts[pair]),)) if is_whole else ()

    def counts(self, pairs: Sequence[Pair]) -> list[int]:
        """Return how many closed candles each pair has."""
        found: list[int] = []
        for chunk in _chunks(pairs):
            pipe = self._redis.pipeline(transaction=False)
            for symbol, timeframe in chunk:
                pipe.zcard(keys.candles(self._exchange_id, symbol, timeframe))
            replies = map(value_or_error, pipe.execute(raise_on_error=False))
            found += [0 if is_wrong_type(count) else count for count in replies]
        return found

    def states(self, pairs: Sequence[Pair]) -> list[PairState]:
        """Return what the cache holds of each pair."""
        unconfirmed = self.unconfirmed()
        return [
            summary.state(unconfirmed.get(pair, ()))
            for pair, summary in zip(pairs, self.summaries(pairs), strict=True)
        ]

    def summaries(self, pairs: Sequence[Pair]) -> list[PairSummary]:
        """Return what the cache holds of each pair, as it is stored."""
        found: list[PairSummary] = []
        for chunk in _chunks(pairs, PAIRS_PER_SUMMARY):
            names = [name(self._exchange_id, *pair) for pair in chunk for name in SUMMARY_KEYS]
            replies = iter(SUMMARIZE(self._redis, names))
            found += [
                PairSummary(count, read_time(oldest), read_time(newest), coverage or None, "", name)
                if count >= 0
                else PairSummary(0, None, None, None, coverage.decode())
                for name, count, oldest, newest, coverage in zip(
                    names[1::2], *[replies] * 4, strict=True
                )
            ]
        return found

    def aside(self, pairs: Sequence[Pair]) -> dict[Pair, str]:
        """Return of the pairs that are set aside why."""
        summaries = zip(pairs, self.summaries(pairs), strict=True)
        return {pair: str(SetAside(summary.aside)) for pair, summary in summaries if summary.aside}

    def coverages(self, pairs: Sequence[Pair]) -> list[Coverage]:
        """Return the coverage of each pair."""
        found: list[Coverage] = []
        for chunk in _chunks(pairs):
            pipe = self._redis.pipeline(transaction=False)
            for symbol, timeframe in chunk:
                pipe.getrange(self._coverage_of(symbol, timeframe), 0, LONGEST_COVERAGE)
            replies = map(value_or_error, pipe.execute(raise_on_error=False))
            found += [
                () if is_wrong_type(each) else read_coverage(each, self._coverage_of(*pair))
                for pair, each in zip(chunk, replies, strict=True)
            ]
        return found

    def unconfirmed(self) -> dict[Pair, Stretches]:
        """Return what the exchange has to tell again, of the pairs of which there is such."""
        stored = self._of_hash(self._redis.hgetall, keys.unconfirmed(self._exchange_id)) or {}
        return {
            pair: load(value) for field, value in stored.items() if (pair := keys.pair_of(field))
        }

    def told(self, pairs: Sequence[Pair]) -> dict[Pair, Told]:
        """Return up to when the closes of each pair were told, of those of which any were."""
        found: dict[Pair, Told] = {}
        for chunk in _chunks(pairs):
            fields = [keys.pair_field(*pair) for pair in chunk]
            told_of = self._of_hash(self._redis.hmget, keys.told(self._exchange_id), fields)
            stored = told_of or [None] * len(fields)
            found |= {
                pair: told
                for pair, value in zip(chunk, stored, strict=True)
                if (told := Told.load(value))
            }
        return found

    def learn(
        self,
        pair: Pair,
        answer: Candles,
        covered: Coverage,
        rules: Rules,
        now_ms: int,
        traded: Coverage = (),
    ) -> Coverage:
        """Take note of what an answer leaves open; return what is covered by it and those before.

        `covered` is what was before, `traded` the bars that the answer lacks and that the stream
        showed to trade. Threads may share it.
        """
        field = keys.pair_field(*pair)
        with self._noting:
            stored = self._of_hash(self._redis.hget, keys.unconfirmed(self._exchange_id), field)
            before = newest(load(stored), pair.timeframe, now_ms)
            known = with_traded(before, traded, now_ms) if traded else before
            left, covered = learn(known, covered, answer, pair.timeframe, rules, now_ms)
            if left != before:
                self._store([CandleWrite(*pair, (), (), left)])
        return covered

    def note_traded(self, pair: Pair, traded: Coverage, now_ms: int) -> None:
        """Take note of bars that the stream showed to trade and that nobody told the end of."""
        field = keys.pair_field(*pair)
        with self._noting:
            stored = self._of_hash(self._redis.hget, keys.unconfirmed(self._exchange_id), field)
            left = with_traded(load(stored), traded, now_ms)
            self._store([CandleWrite(*pair, (), (), left)])

    def beside(
        self, symbol: str, timeframe: Timeframe, stretches: Sequence[Interval]
    ) -> list[Known]:
        """Return the open times of the cached candles next to each stretch, before and after."""
        key = keys.candles(self._exchange_id, symbol, timeframe)
        pipe = self._redis.pipeline(transaction=False)
        for start_ms, end_ms in stretches:
            pipe.zrange(
                key,
                f"({start_ms}",
                "-inf",
                desc=True,
                byscore=True,
                offset=0,
                num=1,
                withscores=True,
            )
            pipe.zrange(key, end_ms, "+inf", byscore=True, offset=0, num=1, withscores=True)
        found = map(value_or_error, pipe.execute(raise_on_error=False))
        replies = [
            read_time(each[0][1]) if each and not is_wrong_type(each) else None for each in found
        ]
        return [Known(*replies[at : at + 2]) for at in range(0, len(replies), 2)]

    def coverage(self, symbol: str, timeframe: Timeframe) -> Coverage:
        """Return the stretches of which every candle that the exchange has is in the cache."""
        return self.coverages([Pair(symbol, timeframe)])[0]

    def set_live(self, symbol: str, candle: Candle) -> None:
        """Store the open candle; it vanishes two timeframes after it opened."""
        self._redis.set(
            keys.live_candle(self._exchange_id, symbol, candle.timeframe),
            orjson.dumps(candle.row()),
            pxat=candle.timestamp + 2 * candle.timeframe.ms,
        )

    def live(self, symbol: str, timeframe: Timeframe) -> Candle | None:
        """Return the open candle, None where there is none, or it went stale or can't be read."""
        name = keys.live_candle(self._exchange_id, symbol, timeframe)
        try:
            stored = self._redis.getrange(name, 0, LONGEST_LIVE)
        except ResponseError as error:
            value_or_error(error)
            warn_once(logger, name, error)
            return None
        return _decode_live(name, stored, timeframe)

    def lives(self, pairs: Sequence[Pair]) -> list[Candle | None]:
        """Return the open candle of each pair, as `live` does."""
        names = [keys.live_candle(self._exchange_id, *pair) for pair in pairs]
        found: Any = self._redis.mget(names)
        return [
            _decode_live(name, stored, pair.timeframe)
            for name, stored, pair in zip(names, found, pairs, strict=True)
        ]

    def _coverage_of(self, symbol: str, timeframe: Timeframe) -> str:
        return keys.coverage(self._exchange_id, symbol, timeframe)

    def _write_call(self, write: CandleWrite) -> Call:
        symbol, timeframe = write.symbol, write.timeframe
        candles, covered = write.candles, write.covered
        until_ms = self.final_until(Pair(symbol, timeframe))
        if until_ms is not None:
            candles = [candle for candle in candles if candle.timestamp < until_ms]
            covered = union((start, min(end, until_ms)) for start, end in covered)
        names = [
            keys.candles(self._exchange_id, symbol, timeframe),
            keys.coverage(self._exchange_id, symbol, timeframe),
            keys.epoch(self._exchange_id),
            keys.unconfirmed(self._exchange_id),
            keys.lock(self._exchange_id),
        ]
        arguments: list[str | bytes | int] = [stamp(self.epoch), CANDLES_KEPT, len(covered)]
        for interval in covered:
            arguments += interval
        left = write.unconfirmed
        arguments += (keys.pair_field(symbol, timeframe), "" if left is None else dump(left))
        rows = {candle.timestamp: candle.row() for candle in candles}
        arguments.append(orjson.dumps(list(rows.values())))
        return names, arguments

    def _store(self, writes: Sequence[CandleWrite]) -> None:
        replies = WRITE.run_many(self._redis, map(self._write_call, writes))
        errors = [each for each in replies if isinstance(each, Exception)]
        errors.sort(key=is_aside)  # what is worse than one pair's trouble first
        if errors:
            with refusals():
                raise errors[0]

    def _rows(self, read: Callable[..., Any], key: str, *arguments: Any) -> list[bytes]:
        try:
            return read(key, *arguments)
        except ResponseError as error:
            value_or_error(error)
            return []  # the pair is set aside, as who writes it says

    def _of_hash(self, read: Callable[..., Any], key: str, *arguments: Any) -> Any:
        try:
            return read(key, *arguments)
        except ResponseError as error:
            value_or_error(error)
            warn_once(logger, key, "it is no hash")
            return None

    @staticmethod
    def _decode(key: str, members: Iterable[bytes], timeframe: Timeframe) -> list[Candle]:
        candles = []
        for member in members:
            try:
                candles.append(Candle.of_values(orjson.loads(member), timeframe))
            except (ValueError, TypeError) as error:
                warn_once(logger, key, error)
        return candles


def _decode_live(name: str, stored: bytes | str | None, timeframe: Timeframe) -> Candle | None:
    try:
        if stored and len(stored) > LONGEST_LIVE:
            raise ValueError("too long")
        return Candle.of_values(orjson.loads(stored), timeframe) if stored else None
    except (ValueError, TypeError) as error:
        warn_once(logger, name, error)
        return None


def _chunks(pairs: Sequence[Pair], size: int = PAIRS_PER_PIPELINE) -> Iterator[list[Pair]]:
    rest = iter(pairs)
    while chunk := list(islice(rest, size)):
        yield chunk
