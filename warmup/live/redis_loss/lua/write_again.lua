-- Write again what Redis lost of an exchange: rows with what is known by them, events under the ids
-- that they had, up to when pairs were told, and which server has it now.
--
-- KEYS
--   1  epoch: string, integer
--   2  events: stream
--   3  told: hash by pair
--   4  which server it was written to last: string
--   5... for each row
--          candles: sorted set, rows scored by open time in ms
--          coverage: string, [[from ms, to ms], ...]
--   last  lock: string, JSON
-- ARGV
--   1  stamp of the epoch
--   2  how many candles are kept of a pair
--   3  how many events are kept
--   4  which server this is
--   5  how many rows follow
--   6  how many events
--   7  how many marks
--   8... for each row
--          covered from, covered to: ms
--          open time: ms, '' where nothing was traded
--          row: JSON
--        for each event, in order
--          its id
--          message: JSON
--        for each mark
--          the pair's field
--          up to when it was told, and what before that was skipped: JSON
-- Returns how many events were told again: one that is there, or comes before another, is not.
--
-- include: exchanges/lock/lua/fence.lua
-- include: warmup/cache/lua/coverage.lua
-- include: warmup/cache/lua/rows.lua

local refused = fence(KEYS[1], ARGV[1])
if refused then return refused end
local kept, a = tonumber(ARGV[2]), 8

local function store(candles, coverage, from, to, time, member)
    if misfit(candles, coverage) then return end
    local stored = text_of(coverage)
    if member ~= '' then
        if redis.call('EXISTS', candles) == 0 then stored = '' end -- as in write_candles.lua
        member = to_store(candles, time, member)
        redis.call('ZADD', candles, time, member)
    end
    extend(candles, coverage, kept, {{from, to}}, stored)
end

for i = 1, tonumber(ARGV[5]) do
    store(KEYS[3 + 2 * i], KEYS[4 + 2 * i], tonumber(ARGV[a]), tonumber(ARGV[a + 1]), ARGV[a + 2],
        ARGV[a + 3])
    a = a + 4
end
local told = 0
for _ = 1, tonumber(ARGV[6]) do
    local said = redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], ARGV[a], 'event', ARGV[a + 1])
    if type(said) == 'string' then
        told = told + 1
    elseif not string.find(said.err, 'equal or smaller', 1, true) then
        return said
    end
    a = a + 2
end
for _ = 1, tonumber(ARGV[7]) do
    redis.call('HSET', KEYS[3], ARGV[a], ARGV[a + 1])
    a = a + 2
end
redis.call('SET', KEYS[4], ARGV[4])
return told
