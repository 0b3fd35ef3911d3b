-- Change one pair's candles and what is known of them in one step. Each candle replaces the one
-- that opened at its time, unless that one says the same and more; nothing goes away because an
-- answer lacks it.
--
-- KEYS
--   1  candles: sorted set, rows scored by open time in ms
--   2  coverage: string, [[from ms, to ms], ...]
--   3  epoch: string, integer
--   4  unconfirmed: hash by pair
--   5  lock: string, JSON
-- ARGV
--   1  stamp of the epoch, '' where no lock is needed
--   2  how many candles are kept
--   3  n, how many spans follow
--   4... n times from, to: ms, complete from now on; then
--        the pair's field,
--        what is unconfirmed of it: JSON, '' leaves what is there,
--        rows: JSON, [[open time ms, number, ...], ...], no time twice; each is stored as it stands
-- Refuses with ASIDE and what is wrong where a key of the pair is not ours.
--
-- include: exchanges/lock/lua/fence.lua
-- include: warmup/cache/lua/coverage.lua
-- include: warmup/cache/lua/rows.lua

local refused = fence(KEYS[3], ARGV[1])
if refused then return refused end
local candles, coverage = KEYS[1], KEYS[2]
local foreign = misfit(candles, coverage)
if foreign then return redis.error_reply('ASIDE ' .. foreign) end
local after_spans = 4 + 2 * tonumber(ARGV[3])
local field, unconfirmed, text = ARGV[after_spans], ARGV[after_spans + 1], ARGV[after_spans + 2]
local added, places = {}, {} -- open time and row in turn; by open time where the row is
for row, time in string.gmatch(text, '(%[(%d+),[^%]]*%])') do
    added[#added + 1], added[#added + 2] = time, row
    places[time] = #added
end
-- Where there is no candle before some are stored, somebody deleted them: what was known goes too.
local is_first = #added > 0 and redis.call('EXISTS', candles) == 0
local stored = is_first and '' or text_of(coverage)
local spans = {}
for i = 4, after_spans - 1, 2 do
    spans[#spans + 1] = {tonumber(ARGV[i]), tonumber(ARGV[i + 1])}
end
if unconfirmed == '[]' then -- a note that can't be kept costs another question, no candle
    redis.pcall('HDEL', KEYS[4], field)
elseif unconfirmed ~= '' then
    redis.pcall('HSET', KEYS[4], field, unconfirmed)
end
if #added > 0 and not is_first then
    local first, last = math.huge, -math.huge
    for i = 1, #added, 2 do
        local time = tonumber(added[i])
        first, last = math.min(first, time), math.max(last, time)
    end
    local there = redis.call('ZRANGEBYSCORE', candles, first, last, 'WITHSCORES')
    for i = 1, #there, 2 do
        local place = places[string.format('%.0f', there[i + 1])]
        if place and says_more(there[i], added[place]) then
            added[place] = there[i]
        elseif place and added[place] ~= there[i] then
            redis.call('ZREM', candles, there[i])
        end
    end
end
for i = 1, #added, 2000 do
    redis.call('ZADD', candles, unpack(added, i, math.min(i + 1999, #added)))
end
extend(candles, coverage, tonumber(ARGV[2]), spans, stored)
