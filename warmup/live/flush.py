"""One write of a stream to Redis: closes, open candles and tickers in one round trip, fenced."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson
from redis import Redis
from redis.exceptions import NoScriptError

from exchanges.lock.fencing import FENCE, refusals
from livermore.market import keys
from livermore.market.candle import Candle, Ticker
from livermore.market.pair import Pair
from warmup.cache.candles import CANDLES_KEPT, EXTEND, MARK, TICKER_TTL_SECONDS
from warmup.live.bars import LATE, Close

EVENTS_KEPT = 100_000

# KEYS: epoch, events stream, told, then per close: candles, coverage, open candle; per open candle
#   and per ticker: its key
# ARGV: epoch, candles kept, events kept, n marks, n closes, n open candles, n tickers, then
#   per mark: the pair's field, from when on its closes are to be told if nobody said so yet
#   per close: the pair's field, what is to be told ('told', 'late', 'skipped' or ''), covered from,
#     covered to, open time or '', member ('' if it is stored), message or '', two channels
#   per open candle: value, ms to live, message, channel
#   per ticker: value, ms to live, channel
#
# Of each pair `told` holds [up to when all was told, what before that was skipped]. So nothing is
# told twice where it was written before and the reply got lost: a close is told if it comes after
# what was told, a late one if its bar is one that was skipped.
# A close of a pair that is to be set aside is left out, and costs no other.
# Returns which closes were left out, counted from 0.
FLUSH = (
    FENCE
    + EXTEND
    + MARK
    + """
local refused = fence(KEYS[1], ARGV[1])
if refused then return refused end
local k, a = 4, 8
local marks, aside = {}, {}

local function mark_in(field)
    if not marks[field] then marks[field] = mark_of(KEYS[3], field) or {0, {}} end
    return marks[field]
end

-- Returns false where the pair is to be set aside; nothing is changed then.
local function store(candles, coverage, live, time, member, from, to)
    if misfit(candles, coverage) then return false end
    local stored, only = text_of(coverage), false
    if member ~= '' then
        local replaced = redis.call('ZREMRANGEBYSCORE', candles, time, time)
        only = redis.call('ZADD', candles, time, member) == 1 and replaced == 0
            and redis.call('ZCARD', candles) == 1
        local open = redis.pcall('GET', live)
        if type(open) == 'string' and string.sub(open, 2, 1 + #time) == time then
            redis.call('DEL', live)
        end
    end
    -- Where there was no candle before, somebody deleted them: what was known is not believed.
    return extend(candles, coverage, tonumber(ARGV[2]), {{from, to}}, only and '' or stored)
end

local function is_skipped(mark, time)
    for _, span in ipairs(mark[2]) do
        if span[1] <= time and time < span[2] then return true end
    end
    return false
end

for _ = 1, tonumber(ARGV[4]) do
    local mark = mark_in(ARGV[a])
    if mark[1] == 0 then mark[1] = tonumber(ARGV[a + 1]) end
    a = a + 2
end
for i = 1, tonumber(ARGV[5]) do
    local candles, coverage, live = KEYS[k], KEYS[k + 1], KEYS[k + 2]
    local how, time, member = ARGV[a + 1], ARGV[a + 4], ARGV[a + 5]
    local from, to = tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
    local stores = member ~= '' or (time == '' and how ~= 'skipped')
    if stores and not store(candles, coverage, live, time, member, from, to) then
        aside[#aside + 1] = i - 1
    else
        local mark = mark_in(ARGV[a])
        local news = time ~= '' and ((how == 'told' and tonumber(time) >= mark[1])
            or (how == 'late' and is_skipped(mark, tonumber(time))))
        if news then
            redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'event', ARGV[a + 6])
            redis.call('PUBLISH', ARGV[a + 7], ARGV[a + 6])
            redis.call('PUBLISH', ARGV[a + 8], ARGV[a + 6])
        end
        if how == 'late' then
            mark[2] = without(mark[2], from, to)
        elseif how ~= '' and to > mark[1] then
            if how == 'skipped' then mark[2][#mark[2] + 1] = {math.max(from, mark[1]), to} end
            mark[1] = to
        end
    end
    k, a = k + 3, a + 9
end
for field, mark in pairs(marks) do redis.call('HSET', KEYS[3], field, text_of_mark(mark)) end
for _ = 1, tonumber(ARGV[6]) do
    redis.call('SET', KEYS[k], ARGV[a], 'PX', ARGV[a + 1])
    redis.call('PUBLISH', ARGV[a + 3], ARGV[a + 2])
    k, a = k + 1, a + 4
end
for _ = 1, tonumber(ARGV[7]) do
    redis.call('SET', KEYS[k], ARGV[a], 'PX', ARGV[a + 1])
    redis.call('PUBLISH', ARGV[a + 2], ARGV[a])
    k, a = k + 1, a + 3
end
return aside
"""
)


class Names(NamedTuple):
    """A pair's names in Redis, made once: else they take a third of the time of a write."""

    candles: str
    coverage: str
    live: str
    field: str
    closes: str
    changes: str


def _names(number: int, pair: Pair) -> Names:
    return Names(
        keys.candles(number, *pair),
        keys.coverage(number, *pair),
        keys.live_candle(number, *pair),
        keys.pair_field(*pair),
        keys.close_channel(number, *pair),
        keys.candle_channel(number, *pair),
    )


class Flusher:
    """Writes one exchange's stream under the `epoch` of a lease."""

    def __init__(self, redis: Redis, exchange_id: int, epoch: int):
        self._redis = redis
        self._exchange_id = exchange_id
        self._epoch = epoch
        self._names: dict[Pair, Names] = {}
        self._script = redis.register_script(FLUSH)

    def write(
        self,
        closes: Sequence[tuple[Pair, Close]],
        live: Mapping[Pair, Candle],
        tickers: Mapping[str, Ticker],
        now_ms: int,
        marks: Mapping[Pair, int],
    ) -> set[Pair]:
        """Store and tell all of it, `now_ms` being the exchange's time.

        What was told before is not told again. `marks` are pairs that are streamed from now on,
        with the time from when on their closes are to be told where that was never said. Returns
        the pairs whose closes were left out, as a key of theirs is of another type. Raises Fenced
        once another holder has the exchange, and RedisError.
        """
        number = self._exchange_id
        names: list[str] = [keys.epoch(number), keys.events(number), keys.told(number)]
        values: list[str | int | bytes] = [self._epoch, CANDLES_KEPT, EVENTS_KEPT]
        values += (len(marks), len(closes), len(live), len(tickers))
        for pair, from_ms in marks.items():
            values += (self._names_of(pair).field, from_ms)
        for pair, close in closes:
            of_pair = self._names_of(pair)
            names += of_pair[:3]
            values += (of_pair.field, close.how, *close.covered)
            if close.candle is None:
                values += ("", "", "", "", "")
                continue
            member = b"" if close.stored else orjson.dumps(close.candle.values())
            values += (close.candle.timestamp, member)
            values.append(self._message(pair, close.candle, close) if close.how else b"")
            values += of_pair[4:]
        for pair, candle in live.items():
            of_pair = self._names_of(pair)
            names.append(of_pair.live)
            lives_ms = candle.timestamp + 2 * pair.timeframe.ms - now_ms
            values += (orjson.dumps(candle.values()), lives_ms)
            values.append(self._message(pair, candle))
            values.append(of_pair.changes)
        for symbol, ticker in tickers.items():
            names.append(keys.ticker(number, symbol))
            values += (orjson.dumps(ticker.as_json()), 1000 * TICKER_TTL_SECONDS)
            values.append(keys.ticker_channel(number, symbol))
        with refusals():
            try:
                aside = self._redis.evalsha(self._script.sha, len(names), *names, *values)
            except NoScriptError:  # the server is new, or its scripts were flushed
                aside = self._redis.eval(FLUSH, len(names), *names, *values)
        return {closes[at][0] for at in aside}

    def _names_of(self, pair: Pair) -> Names:
        if pair not in self._names:
            self._names[pair] = _names(self._exchange_id, pair)
        return self._names[pair]

    def _message(self, pair: Pair, candle: Candle, close: Close | None = None) -> bytes:
        message = {
            "exchangeId": self._exchange_id,
            "symbol": pair.symbol,
            "timeframe": pair.timeframe,
            "timestamp": candle.timestamp,
            "open": candle.open,
            "high": candle.high,
            "low": candle.low,
            "close": candle.close,
            "volume": candle.volume,
            "closed": close is not None,
            "healed": close is not None and close.healed,
        }
        if close and close.how == LATE:
            message["late"] = True
        return orjson.dumps(message)
