-- Return pairs' ends and coverage: four replies a pair, where a pipeline of the four takes thirty
-- times as much of a client's time.
--
-- KEYS
--   1... for each pair
--        candles: sorted set, rows scored by open time in ms
--        coverage: string, [[from ms, to ms], ...]
-- ARGV
--   none
-- Returns for each pair its count, first and last score, coverage, of that no more than shows that
-- it is too long; where one of the two is of another type, or an end is at no open time, -1, false,
-- false, and which it is.
--
-- include: warmup/cache/lua/pair.lua

local found, n = {}, 0
local function foreign(key, wanted)
    return key .. ' is a ' .. redis.call('TYPE', key).ok .. ', not a ' .. wanted
end
local function score_at(key, rank)
    return redis.call('ZRANGE', key, rank, rank, 'WITHSCORES')[2] or false
end
for i = 1, #KEYS, 2 do
    local count = redis.pcall('ZCARD', KEYS[i])
    local coverage = redis.pcall('GETRANGE', KEYS[i + 1], 0, LONGEST_COVERAGE)
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
