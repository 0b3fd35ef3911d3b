-- Copy the old name's candles and coverage to the new name. The new name's time begins where its own
-- candles do, or the old name's knowledge ends, whichever is earlier: before that the pair's candles
-- and coverage are the old name's.
--
-- KEYS
--   1  candles of the old name: sorted set, rows scored by open time in ms
--   2  coverage of the old name: string, [[from ms, to ms], ...]
--   3  candles of the new name
--   4  coverage of the new name
--   5  epoch: string, integer
--   6  lock: string, JSON
-- ARGV
--   1  stamp of the epoch, '' where no lock is needed
--   2  how many candles are kept
-- Returns how many candles were copied. Refuses with ASIDE and what is wrong where a key is not ours.
--
-- include: exchanges/lock/lua/fence.lua
-- include: warmup/cache/lua/coverage.lua

local refused = fence(KEYS[5], ARGV[1])
if refused then return refused end
local foreign = misfit(KEYS[1], KEYS[2]) or misfit(KEYS[3], KEYS[4])
if foreign then return redis.error_reply('ASIDE ' .. foreign) end
local before, after = known(KEYS[2]), known(KEYS[4])
local newest = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
if not newest then return 0 end
local begins = before[#before] and before[#before][2] or newest + 1
local oldest = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')[2]
if oldest then begins = math.min(begins, tonumber(oldest)) end
local rows = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', begins),
    'WITHSCORES')
for i = 1, #rows, 2 do redis.call('ZADD', KEYS[3], rows[i + 1], rows[i]) end
local spans = {}
for _, span in ipairs(before) do spans[#spans + 1] = {span[1], math.min(span[2], begins)} end
for _, span in ipairs(after) do spans[#spans + 1] = {math.max(span[1], begins), span[2]} end
redis.call('DEL', KEYS[4])
extend(KEYS[3], KEYS[4], tonumber(ARGV[2]), spans, '')
return #rows / 2
