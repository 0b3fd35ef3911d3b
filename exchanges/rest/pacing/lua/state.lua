-- For scripts that look at what is kept of a host: `state`, its fields that are whole numbers.
--
-- KEYS
--   1  the host: hash
--
-- include: exchanges/rest/pacing/lua/host.lua
-- constants: IDLE_MS, LONGEST_BAN_MS

local state, fields = {}, redis.call('HGETALL', key)
for i = 1, #fields, 2 do
    if string.match(fields[i + 1], '^%d+$') and #fields[i + 1] < 16 then
        state[fields[i]] = fields[i + 1]
    else -- none of ours: it counts as not there, and nothing could be added to it
        redis.call('HDEL', key, fields[i])
    end
end

-- Nothing was asked to wait longer than the longest ban: more than that is none of ours.
local function left(field)
    local ms = tonumber(state[field] or 0) - now
    return ms <= LONGEST_BAN_MS and math.max(ms, 0) or 0
end

-- The pauses that were made in a row because a firewall turned this address away, in ms; 0 where it
-- doesn't, or where that is long ago.
local refused = tonumber(state.refused_ms or 0)
if now - tonumber(state.held_until or 0) > IDLE_MS then refused = 0 end

-- How much of them is over.
local function sat_out()
    return math.max(refused - left('held_until'), 0)
end
