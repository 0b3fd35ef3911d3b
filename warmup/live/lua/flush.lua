-- Write what a stream brought: closes, open candles and tickers, and tell them.
--
-- Of each pair `told` holds up to when all was told, and what before that was skipped. So nothing is
-- told twice where it was written before and the reply got lost: a close is told if it comes after
-- what was told, a late one if its bar is one that was skipped. A close of a pair that is to be set
-- aside is left out, and costs no other.
--
-- KEYS
--   1  epoch: string, integer
--   2  events: stream
--   3  told: hash by pair
--   4... for each close
--          candles: sorted set, rows scored by open time in ms
--          coverage: string, [[from ms, to ms], ...]
--          open candle: string, row
--        for each open candle its key: string, row
--        for each ticker its key: string, JSON
--   last  lock: string, JSON
-- ARGV
--   1  stamp of the epoch
--   2  how many candles are kept of a pair
--   3  how many events are kept
--   4  how many marks follow
--   5  how many closes
--   6  how many open candles
--   7  how many tickers
--   8... for each mark
--          the pair's field
--          from when on its closes are to be told if nobody said so yet: ms
--        for each close
--          the pair's field
--          what is to be told: 'told', 'late', 'skipped' or ''
--          covered from, covered to: ms
--          open time: ms, '' where there is no candle
--          row: JSON, '' where it is stored
--          message: JSON, or ''
--          two channels
--        for each open candle
--          row: JSON
--          how long it lasts: ms
--          message: JSON
--          channel
--        for each ticker
--          value: JSON
--          how long it lasts: ms
--          channel
-- Returns which closes were left out, counted from 0.
--
-- include: exchanges/lock/lua/fence.lua
-- include: warmup/cache/lua/coverage.lua
-- include: warmup/cache/lua/told.lua

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
