"""Candles, coverage and tickers in Redis: the only place that reads or writes them."""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import orjson
from redis import Redis
from redis.exceptions import NoScriptError, ResponseError

from exchanges.errors import clip
from exchanges.lock import fencing
from exchanges.lock.fencing import FENCE, stamp
from exchanges.redis.unreadable import (
    Unreadable,
    is_wrong_type,
    of_type,
    tell_once,
    value_or_error,
)
from exchanges.rest.base import Known
from exchanges.rest.reply import Candles
from livermore.market import keys
from livermore.market.candle import EARLIEST_MS, LATEST_MS, Candle, Ticker
from livermore.market.coverage import Coverage, Interval, union
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.cache.told import Told
from warmup.cache.unconfirmed import (
    Rules,
    Stretches,
    dump,
    learn,
    load,
    newest,
    told_empty,
    with_traded,
)

logger = logging.getLogger(__name__)

CANDLES_KEPT = 1000
PAIRS_PER_PIPELINE = 1000
PAIRS_PER_GLANCE = 200  # a millisecond of the server's time
PAIRS_PER_WINDOWS = 50  # whole windows: 64 KB each
TICKER_TTL_SECONDS = 60
LONGEST_COVERAGE = 1_000_000  # bytes; a stretch for each candle is 32 KB
LONGEST_LIVE = 10_000
GLANCED = (keys.candles, keys.coverage)
# Who has an exchange's lock may write what is unconfirmed from several threads: one at a time.
_NOTING: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)

# For scripts that read a pair's keys: `stray` says of a score that no candle opens then, nil where
# one may; `text_of` returns a coverage, '' where there is none or it is too long to be one.
PAIR_KEYS = (
    """
local STEPS = {__STEPS__}

local function stray(candles, score)
    local time, step = tonumber(score), STEPS[string.match(candles, '[^:]*$')] or 1
    if not time or not (time >= __EARLIEST__ and time < __LATEST__) or time % step ~= 0 then
        return candles .. ' holds the score ' .. score .. ': no candle opens then'
    end
end

local function text_of(coverage)
    if redis.call('STRLEN', coverage) > __LONGEST__ then return '' end
    return redis.call('GET', coverage) or ''
end
""".replace("__STEPS__", ", ".join(f"['{each}'] = {each.ms}" for each in Timeframe))
    .replace("__EARLIEST__", str(EARLIEST_MS))
    .replace("__LATEST__", str(LATEST_MS))
    .replace("__LONGEST__", str(LONGEST_COVERAGE))
)

# For scripts that store candles of a pair: trims what is too much, and adds `spans` ({from, to},
# complete from now on) to the pair's coverage. A candle that is trimmed away takes the coverage
# before its successor with it.
#
# `misfit` returns which of the pair's keys is of another type, or which end of its candles is at no
# open time, in words. A text of coverage is understood wholly or not at all. `stored` is the one
# that is there, '' where it is not to be believed. `extend` returns false where the candles are of
# another type, and changes nothing then. `without` takes a stretch out of spans.
EXTEND = (
    PAIR_KEYS
    + """
local function misfit(candles, coverage)
    for key, wanted in pairs({[candles] = 'zset', [coverage] = 'string'}) do
        local kind = redis.call('TYPE', key).ok
        if kind ~= wanted and kind ~= 'none' then
            return key .. ' is a ' .. kind .. ', not a ' .. wanted
        end
    end
    for rank = -1, 0 do
        local score = redis.call('ZRANGE', candles, rank, rank, 'WITHSCORES')[2]
        local fault = score and stray(candles, score)
        if fault then return fault end
    end
end

local function is_time(found)
    return type(found) == 'number' and found % 1 == 0 and found >= 0 and found <= __LATEST__
end

local function are_spans(found)
    if type(found) ~= 'table' then return false end
    local count = 0
    for _, span in pairs(found) do
        count = count + 1
        if type(span) ~= 'table' or #span ~= 2 or not is_time(span[1]) or not is_time(span[2])
                or span[1] >= span[2] then
            return false
        end
    end
    return count == #found
end

local function spans_of(text)
    local readable, spans = pcall(cjson.decode, text)
    return readable and are_spans(spans) and spans or {}
end

local function known(coverage)
    return spans_of(text_of(coverage))
end

local function text_of_spans(spans)
    local texts = {}
    for i, span in ipairs(spans) do
        texts[i] = string.format('[%.0f,%.0f]', span[1], span[2])
    end
    return '[' .. table.concat(texts, ',') .. ']'
end

local function without(spans, from, to)
    local left = {}
    for _, span in ipairs(spans) do
        if to <= span[1] or span[2] <= from then
            left[#left + 1] = span
        else
            if span[1] < from then left[#left + 1] = {span[1], from} end
            if to < span[2] then left[#left + 1] = {to, span[2]} end
        end
    end
    return left
end

local function extend(candles, coverage, kept, spans, stored)
    local count = redis.pcall('ZCARD', candles)
    if type(count) ~= 'number' then return false end
    local surplus, earliest = count - kept, 0
    if surplus > 0 then
        redis.call('ZREMRANGEBYRANK', candles, 0, surplus - 1)
        earliest = tonumber(redis.call('ZRANGE', candles, 0, 0, 'WITHSCORES')[2])
    elseif #spans == 0 then
        return true
    end
    for _, span in ipairs(stored == '' and {} or spans_of(stored)) do
        spans[#spans + 1] = span
    end
    table.sort(spans, function(a, b) return a[1] < b[1] end)
    local merged = {}
    for _, span in ipairs(spans) do
        local from, to, last = math.max(span[1], earliest), span[2], merged[#merged]
        if from < to then
            if last and from <= last[2] then
                last[2] = math.max(last[2], to)
            else
                merged[#merged + 1] = {from, to}
            end
        end
    end
    redis.call('SET', coverage, text_of_spans(merged))
    return true
end
""".replace("__LATEST__", str(LATEST_MS))
)

# For scripts that read `told`: {up to when all was told, what before that was skipped}, nil where
# there is none, or none that can be read.
MARK = """
local function mark_of(told, field)
    local readable, mark = pcall(cjson.decode, redis.call('HGET', told, field) or '')
    local fits = readable and type(mark) == 'table' and is_time(mark[1]) and are_spans(mark[2])
    return fits and mark or nil
end

local function text_of_mark(mark)
    return string.format('[%.0f,', mark[1]) .. text_of_spans(mark[2]) .. ']'
end
"""

# One pair's candles and what is known of them change in one step. Each candle replaces the one that
# opened at its time; nothing goes away because an answer lacks it.
#
# KEYS: candles, coverage, epoch, unconfirmed
# ARGV: epoch or '', candles kept, n, n times (from, to), the pair's field, what is unconfirmed of
#   it ('' leaves what is there), then any number of (open time, member), no time twice
WRITE = (
    FENCE
    + EXTEND
    + """
local refused = fence(KEYS[3], ARGV[1])
if refused then return refused end
local candles, coverage = KEYS[1], KEYS[2]
local foreign = misfit(candles, coverage)
if foreign then return redis.error_reply('ASIDE ' .. foreign) end
local after_spans = 4 + 2 * tonumber(ARGV[3])
local first_candle = after_spans + 2
-- Where there is no candle before some are stored, somebody deleted them: what was known goes too.
local is_first = #ARGV >= first_candle and redis.call('EXISTS', candles) == 0
local stored = is_first and '' or text_of(coverage)
local spans = {}
for i = 4, after_spans - 1, 2 do
    spans[#spans + 1] = {tonumber(ARGV[i]), tonumber(ARGV[i + 1])}
end
local field, unconfirmed = ARGV[after_spans], ARGV[after_spans + 1]
if unconfirmed == '[]' then -- a note that can't be kept costs another question, no candle
    redis.pcall('HDEL', KEYS[4], field)
elseif unconfirmed ~= '' then
    redis.pcall('HSET', KEYS[4], field, unconfirmed)
end
for i = first_candle, #ARGV, 2 do
    redis.call('ZREMRANGEBYSCORE', candles, ARGV[i], ARGV[i])
end
for i = first_candle, #ARGV, 2000 do
    redis.call('ZADD', candles, unpack(ARGV, i, math.min(i + 1999, #ARGV)))
end
extend(candles, coverage, tonumber(ARGV[2]), spans, stored)
"""
)

# What a clock that was ahead left behind: nothing is known from the cut on, and what opened in the
# bar that is open now, or later, is no closed candle; nor is what was computed from it true.
#
# Readers were told it: those bars count as skipped, so that they are told again, late.
#
# KEYS: candles, coverage, epoch, indicator, told
# ARGV: epoch or '', where to cut, when the open bar opened, the pair's field
CUT_BACK = (
    FENCE
    + EXTEND
    + MARK
    + """
local refused = fence(KEYS[3], ARGV[1])
if refused then return refused end
local foreign = misfit(KEYS[1], KEYS[2])
if foreign then return redis.error_reply('ASIDE ' .. foreign) end
local cut, left = tonumber(ARGV[2]), {}
for _, span in ipairs(known(KEYS[2])) do
    if span[1] < cut then left[#left + 1] = {span[1], math.min(span[2], cut)} end
end
redis.call('SET', KEYS[2], text_of_spans(left))
if redis.call('ZREMRANGEBYSCORE', KEYS[1], ARGV[3], '+inf') > 0 then
    redis.call('DEL', KEYS[4])
end
local open = tonumber(ARGV[3])
local mark = mark_of(KEYS[5], ARGV[4])
if mark and mark[1] > cut then
    local skipped, until_ms = mark[2], math.min(mark[1], open)
    if cut < until_ms then skipped[#skipped + 1] = {cut, until_ms} end
    redis.call('HSET', KEYS[5], ARGV[4], text_of_mark({until_ms, skipped}))
end
"""
)

# What is no candle of the pair goes out of its sorted set: what can't be read, or makes no bar, or
# stands at another time than its own, and all that open at one time. What is known of those bars
# goes with it, so that they are fetched again.
#
# KEYS: candles, coverage, epoch
# ARGV: epoch or ''
# Returns nothing where all are candles, else how many were not, and one of them.
SIFT = (
    FENCE
    + EXTEND
    + """
local refused = fence(KEYS[3], ARGV[1])
if refused then return refused end
if misfit(KEYS[1], KEYS[2]) then return false end
local step = STEPS[string.match(KEYS[1], '[^:]*$')]

local function is_candle(member, row, time)
    if type(row) ~= 'table' or #row ~= 6 then return false end
    for i = 1, 6 do
        if type(row[i]) ~= 'number' then return false end
    end
    local open, high, low, close, volume = row[2], row[3], row[4], row[5], row[6]
    return row[1] == time and time % step == 0 and string.match(member, '^%s*%[%s*%d+%s*,')
        and 0 < low and low <= open and open <= high and high < math.huge
        and low <= close and close <= high and 0 <= volume and volume < math.huge
end

local stored = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
local bad, bars = {}, {}
for i = 1, #stored, 2 do
    local readable, row = pcall(cjson.decode, stored[i])
    local time = tonumber(stored[i + 1])
    local is_double = stored[i + 1] == stored[i - 1] or stored[i + 1] == stored[i + 3]
    if is_double or not readable or not is_candle(stored[i], row, time) then
        bad[#bad + 1] = stored[i]
        bars[#bars + 1] = time - time % step
        local own = readable and type(row) == 'table' and row[1]
        if is_time(own) then bars[#bars + 1] = own - own % step end -- it was moved from there
    end
end
if #bad == 0 then return false end
local spans = known(KEYS[2])
for _, bar in ipairs(bars) do spans = without(spans, bar, bar + step) end
for _, member in ipairs(bad) do redis.call('ZREM', KEYS[1], member) end
redis.call('SET', KEYS[2], text_of_spans(spans))
return {#bad, string.sub(bad[1], 1, 300)}
"""
)

# A pair's ends and coverage: four replies a pair, where a pipeline of the four takes thirty times
# as much of a client's time.
#
# KEYS: for each pair candles, coverage
# Returns for each pair its count, first and last score, coverage, of that no more than shows that
# it is too long; where one of the two is of another type, or an end is at no open time, -1, false,
# false, and which it is.
GLANCE = (
    PAIR_KEYS
    + """
local found, n = {}, 0
local function foreign(key, wanted)
    return key .. ' is a ' .. redis.call('TYPE', key).ok .. ', not a ' .. wanted
end
local function score_at(key, rank)
    return redis.call('ZRANGE', key, rank, rank, 'WITHSCORES')[2] or false
end
for i = 1, #KEYS, 2 do
    local count = redis.pcall('ZCARD', KEYS[i])
    local coverage = redis.pcall('GETRANGE', KEYS[i + 1], 0, __LONGEST__)
    local first, last, fault = false, false, nil
    if type(count) == 'table' then
        fault = foreign(KEYS[i], 'zset')
    elseif type(coverage) == 'table' then
        fault = foreign(KEYS[i + 1], 'string')
    elseif count > 0 then
        first, last = score_at(KEYS[i], 0), score_at(KEYS[i], -1)
        fault = stray(KEYS[i], first) or stray(KEYS[i], last)
    end
    found[n + 1] = fault and -1 or count
    found[n + 2] = not fault and first
    found[n + 3] = not fault and last
    found[n + 4] = fault or coverage
    n = n + 4
end
return found
""".replace("__LONGEST__", str(LONGEST_COVERAGE))
)


class SetAside(Unreadable):
    """A pair one of whose keys is not ours: nothing of it is read or written till it goes.

    It is of another type, or its candles begin or end where none opens. Its text says which, and
    what a person does about it.
    """

    def __init__(self, fault: str):
        """`fault` is as scripts say it: the key, and its type and which it should be, or why."""
        name, _, kinds = fault.partition(" is a ")
        if kinds:
            found, _, wanted = kinds.partition(", not a ")
            fault = of_type(name, found, wanted)
        else:
            name, wanted = fault.partition(" holds ")[0], "zset"
        names = [name]
        if wanted == "zset":  # without its candles a pair's coverage says nothing
            names.append(f"coverage{name.removeprefix('candles')}")
        super().__init__(fault, *names)


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


@dataclass(frozen=True, slots=True)
class PairState:
    """What the cache holds of one pair: how many candles, from when, and what is known complete.

    `oldest` is an open time in ms, None where there is no candle. `unconfirmed` is what the
    exchange has to tell again. `aside` says, where the pair is set aside, why, as
    SetAside takes it.
    """

    count: int
    oldest: int | None
    coverage: Coverage
    unconfirmed: Stretches = ()
    aside: str = ""

    @property
    def asked(self) -> Coverage:
        """Return of which stretches the exchange told all it had when it was asked."""
        return union([*self.coverage, *told_empty(self.unconfirmed)])


class Glance(NamedTuple):
    """What the cache holds of one pair, as it is stored: cheap to compare with what was there.

    `oldest` and `newest` are open times in ms, None where there is no candle. `aside` says, where
    the pair is set aside, why, as SetAside takes it: nothing of it can be read then. `name` is
    that of the coverage's key.
    """

    count: int  # type: ignore[assignment]  # it hides tuple.count, which nobody needs here
    oldest: int | None
    newest: int | None
    coverage: bytes | None
    aside: str = ""
    name: str = ""

    @property
    def known(self) -> Coverage:
        """Return the coverage as it is stored, whether there are candles or not."""
        return _coverage(self.coverage, self.name)

    def state(self, unconfirmed: Stretches = ()) -> PairState:
        """Return the same, understood, with what is `unconfirmed` of it."""
        # Coverage of no candle at all is what is left where somebody deleted them, or Redis
        # evicted them: it is not believed.
        coverage = _coverage(self.coverage, self.name) if self.count else ()
        return PairState(self.count, self.oldest, coverage, unconfirmed, self.aside)


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
        self._write = redis.register_script(WRITE)
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
        names.append(keys.told(self._exchange_id))
        open_ms = pair.timeframe.floor(now_ms)
        values = [stamp(self.epoch), cut_ms, open_ms, keys.pair_field(*pair)]
        script = self._redis.register_script(CUT_BACK)
        with refusals():
            script(keys=names, args=values)
        self._on_write(pair)

    def sift(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Take out what is no candle, and what is known of those bars; return where there was such.

        That reads all of a pair's candles, two milliseconds of the server's time.
        """
        script = self._redis.register_script(SIFT)
        found = []
        for pair in pairs:
            name = keys.candles(self._exchange_id, *pair)
            names = [name, self._coverage_of(*pair), keys.epoch(self._exchange_id)]
            with refusals():
                said = script(keys=names, args=[stamp(self.epoch)])
            if said:
                what = clip(repr(said[1].decode("utf-8", "replace")))
                logger.warning("cache.sifted key=%s removed=%d such_as=%s", name, said[0], what)
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
                    yield pair, members, _coverage(coverage, self._coverage_of(*pair))

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
            glance.state(unconfirmed.get(pair, ()))
            for pair, glance in zip(pairs, self.glances(pairs), strict=True)
        ]

    def glances(self, pairs: Sequence[Pair]) -> list[Glance]:
        """Return what the cache holds of each pair, as it is stored."""
        glance = self._redis.register_script(GLANCE)
        found: list[Glance] = []
        for chunk in _chunks(pairs, PAIRS_PER_GLANCE):
            names = [name(self._exchange_id, *pair) for pair in chunk for name in GLANCED]
            replies = iter(glance(keys=names))
            found += [
                Glance(count, _time(oldest), _time(newest), coverage or None, "", name)
                if count >= 0
                else Glance(0, None, None, None, coverage.decode())
                for name, count, oldest, newest, coverage in zip(
                    names[1::2], *[replies] * 4, strict=True
                )
            ]
        return found

    def aside(self, pairs: Sequence[Pair]) -> dict[Pair, str]:
        """Return of the pairs that are set aside why."""
        glances = zip(pairs, self.glances(pairs), strict=True)
        return {pair: str(SetAside(glance.aside)) for pair, glance in glances if glance.aside}

    def coverages(self, pairs: Sequence[Pair]) -> list[Coverage]:
        """Return the coverage of each pair."""
        found: list[Coverage] = []
        for chunk in _chunks(pairs):
            pipe = self._redis.pipeline(transaction=False)
            for symbol, timeframe in chunk:
                pipe.getrange(self._coverage_of(symbol, timeframe), 0, LONGEST_COVERAGE)
            replies = map(value_or_error, pipe.execute(raise_on_error=False))
            found += [
                () if is_wrong_type(each) else _coverage(each, self._coverage_of(*pair))
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
            _time(each[0][1]) if each and not is_wrong_type(each) else None for each in found
        ]
        return [Known(*replies[at : at + 2]) for at in range(0, len(replies), 2)]

    def coverage(self, symbol: str, timeframe: Timeframe) -> Coverage:
        """Return the stretches of which every candle that the exchange has is in the cache."""
        return self.coverages([Pair(symbol, timeframe)])[0]

    def set_live(self, symbol: str, candle: Candle) -> None:
        """Store the open candle; it vanishes two timeframes after it opened."""
        self._redis.set(
            keys.live_candle(self._exchange_id, symbol, candle.timeframe),
            orjson.dumps(candle.values()),
            pxat=candle.timestamp + 2 * candle.timeframe.ms,
        )

    def live(self, symbol: str, timeframe: Timeframe) -> Candle | None:
        """Return the open candle, None where there is none, or it went stale or can't be read."""
        name = keys.live_candle(self._exchange_id, symbol, timeframe)
        try:
            stored = self._redis.getrange(name, 0, LONGEST_LIVE)
            if len(stored) > LONGEST_LIVE:
                raise ValueError("too long")
            return Candle.of_values(orjson.loads(stored), timeframe) if stored else None
        except ResponseError as error:
            value_or_error(error)
            tell_once(logger, name, error)
        except (ValueError, TypeError) as error:
            tell_once(logger, name, error)
        return None

    def _coverage_of(self, symbol: str, timeframe: Timeframe) -> str:
        return keys.coverage(self._exchange_id, symbol, timeframe)

    def _write_arguments(self, write: CandleWrite) -> list[str | bytes | int]:
        symbol, timeframe = write.symbol, write.timeframe
        candles, covered = write.candles, write.covered
        until_ms = self.final_until(Pair(symbol, timeframe))
        if until_ms is not None:
            candles = [candle for candle in candles if candle.timestamp < until_ms]
            covered = union((start, min(end, until_ms)) for start, end in covered)
        arguments: list[str | bytes | int] = [
            4,
            keys.candles(self._exchange_id, symbol, timeframe),
            keys.coverage(self._exchange_id, symbol, timeframe),
            keys.epoch(self._exchange_id),
            keys.unconfirmed(self._exchange_id),
            stamp(self.epoch),
            CANDLES_KEPT,
            len(covered),
        ]
        for interval in covered:
            arguments += interval
        left = write.unconfirmed
        arguments += (keys.pair_field(symbol, timeframe), "" if left is None else dump(left))
        for time, candle in {candle.timestamp: candle for candle in candles}.items():
            arguments += (time, orjson.dumps(candle.values()))
        return arguments

    def _store(self, writes: Sequence[CandleWrite]) -> None:
        calls = [self._write_arguments(write) for write in writes]
        try:
            self._call_write(calls)
        except NoScriptError:  # the server is new, or its scripts were flushed
            self._redis.script_load(WRITE)
            self._call_write(calls)

    def _call_write(self, calls: list[list[Any]]) -> None:
        pipe = self._redis.pipeline(transaction=False)
        for arguments in calls:
            pipe.evalsha(self._write.sha, *arguments)
        errors = [
            each for each in pipe.execute(raise_on_error=False) if isinstance(each, Exception)
        ]
        errors.sort(key=_is_aside)  # what is worse than one pair's trouble first
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
            tell_once(logger, key, "it is no hash")
            return None

    @staticmethod
    def _decode(key: str, members: Iterable[bytes], timeframe: Timeframe) -> list[Candle]:
        candles = []
        for member in members:
            try:
                candles.append(Candle.of_values(orjson.loads(member), timeframe))
            except (ValueError, TypeError) as error:
                tell_once(logger, key, error)
        return candles


class TickerCache:
    """The last ticker of each symbol of one exchange; one that is 60 s old is gone."""

    def __init__(self, redis: Redis, exchange_id: int):
        self._redis = redis
        self._exchange_id = exchange_id

    def write_many(self, tickers: Iterable[Ticker]) -> None:
        """Store and publish tickers, in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for ticker in tickers:
            text = orjson.dumps(ticker.as_json())
            key = keys.ticker(self._exchange_id, ticker.symbol)
            pipe.set(key, text, ex=TICKER_TTL_SECONDS)
            pipe.publish(keys.ticker_channel(self._exchange_id, ticker.symbol), text)
        pipe.execute()

    def read(self, symbol: str) -> Ticker | None:
        """Return the last ticker, None where there was none for 60 s, or none that can be read."""
        name = keys.ticker(self._exchange_id, symbol)
        try:
            stored = self._redis.get(name)
            return Ticker.from_json(orjson.loads(stored)) if stored else None
        except ResponseError as error:
            value_or_error(error)
            tell_once(logger, name, error)
        except (ValueError, TypeError, LookupError) as error:
            tell_once(logger, name, error)
        return None

    def read_many(self, symbols: Sequence[str]) -> list[Ticker]:
        """Return the last tickers, in one round trip; without those that are gone or unreadable."""
        if not symbols:
            return []
        stored: list[Any] = self._redis.mget(
            [keys.ticker(self._exchange_id, symbol) for symbol in symbols]
        )
        pairs = zip(stored, symbols, strict=True)
        found = (_ticker(text, self._exchange_id, symbol) for text, symbol in pairs)
        return [ticker for ticker in found if ticker is not None]


def _ticker(stored: bytes | None, exchange_id: int, symbol: str) -> Ticker | None:
    """Return a stored ticker of a symbol, None for one that can't be read."""
    try:
        ticker = Ticker.from_json(orjson.loads(stored)) if stored else None
        return ticker if ticker and ticker.symbol == symbol else None
    except (ValueError, LookupError, TypeError) as error:
        tell_once(logger, keys.ticker(exchange_id, symbol), error)
        return None


def _chunks(pairs: Sequence[Pair], size: int = PAIRS_PER_PIPELINE) -> Iterator[list[Pair]]:
    rest = iter(pairs)
    while chunk := list(islice(rest, size)):
        yield chunk


def _coverage(stored: bytes | None, name: str) -> Coverage:
    """Return what the coverage at a key says: all of it, or nothing, as scripts do."""
    if not stored:
        return ()
    try:
        if len(stored) > LONGEST_COVERAGE:
            raise ValueError("too long")
        return union(_span(*each) for each in _list(orjson.loads(stored)))
    except (ValueError, TypeError) as error:
        tell_once(logger, name, f"no coverage: {error}")
        return ()


def _list(found: Any) -> list:
    if not isinstance(found, list):
        raise TypeError(f"{clip(repr(found))} is no list")
    return found


def _span(start: Any, end: Any) -> Interval:
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= LATEST_MS:
        raise ValueError(f"{clip(repr((start, end)))} is no stretch of time")
    return start, end


def _is_aside(error: Exception) -> bool:
    return isinstance(error, ResponseError) and "ASIDE " in str(error)


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what a script of ours refuses into Fenced or SetAside."""
    try:
        with fencing.refusals():
            yield
    except ResponseError as error:
        if not _is_aside(error):
            raise
        raise SetAside(str(error).partition("ASIDE ")[2]) from error


def _time(score: bytes | float | None) -> int | None:
    """Return a score as an open time, None where it is none."""
    time_ms = float("nan") if score is None else float(score)
    return int(time_ms) if EARLIEST_MS <= time_ms < LATEST_MS else None
