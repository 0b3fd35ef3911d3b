-- Store and publish indicators. One of a later candle is left alone: it was computed from more
-- than ours.
--
-- KEYS
--   1  epoch: string, integer
--   2... for each pair its indicator: string, JSON
--   last  lock: string, JSON
-- ARGV
--   1  stamp of the epoch, '' where no lock is needed
--   2... for each pair
--        open time of the newest candle: ms
--        value: JSON, '' to delete it
--        channel of the value
-- Returns how many were left alone.
--
-- include: exchanges/lock/lua/fence.lua
-- constants: LATEST_MS

local refused = fence(KEYS[1], ARGV[1])
if refused then return refused end
local left = 0
for i = 2, 1 + (#ARGV - 1) / 3 do
    local a = 3 * i - 4
    local time, value = tonumber(ARGV[a]), ARGV[a + 1]
    if value == '' then
        redis.call('DEL', KEYS[i])
    else
        local stored = redis.pcall('GET', KEYS[i])
        local newest = type(stored) == 'string' and string.match(stored, '"timestamp":(%d+)')
        newest = tonumber(newest or 0)
        if newest > LATEST_MS then newest = 0 end -- none of ours
        if newest <= time then
            redis.call('SET', KEYS[i], value)
            redis.call('PUBLISH', ARGV[a + 2], value)
        else
            left = left + 1
        end
    end
end
return left
