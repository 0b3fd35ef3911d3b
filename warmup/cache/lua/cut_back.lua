-- Take back what a clock that was ahead left behind: nothing is known from the cut on, and what
-- opened in the bar that is open now, or later, is no closed candle; nor is what was computed from
-- it true. Readers were told it: those bars count as skipped, so that they are told again, late.
--
-- KEYS
--   1  candles: sorted set, rows scored by open time in ms
--   2  coverage: string, [[from ms, to ms], ...]
--   3  epoch: string, integer
--   4  indicator: string, JSON
--   5  told: hash by pair
--   6  lock: string, JSON
-- ARGV
--   1  stamp of the epoch, '' where no lock is needed
--   2  where to cut: ms
--   3  when the open bar opened: ms
--   4  the pair's field
-- Refuses with ASIDE and what is wrong where a key of the pair is not ours.
--
-- include: exchanges/lock/lua/fence.lua
-- include: warmup/cache/lua/coverage.lua
-- include: warmup/cache/lua/told.lua

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
