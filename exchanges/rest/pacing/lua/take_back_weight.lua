-- Count a call as not gone, which never left this machine: what was counted for it is taken out of
-- the slices it went into, as far as that is still there.
--
-- KEYS
--   1  the host: hash
-- ARGV
--   1  when it was counted: ms
--   2  weight
-- Returns the weight used without it.
--
-- include: exchanges/rest/pacing/lua/state.lua
-- include: exchanges/rest/pacing/lua/window.lua

local function less(field, amount)
    local left = tonumber(state[field] or 0) - amount
    if left > 0 then
        redis.call('HSET', key, field, left)
    else
        redis.call('HDEL', key, field)
    end
    state[field] = left > 0 and left or nil
end
less('weight:' .. math.floor(ARGV[1] / 1000), tonumber(ARGV[2]))
less('requests:' .. math.floor(ARGV[1] / 5000), 1)
redis.call('HDEL', key, 'trying_until')
return window('weight', 60000).used
