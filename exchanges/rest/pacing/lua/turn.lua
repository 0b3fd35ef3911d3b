-- For scripts that let a call go or wait: `wait` is for how many ms, whatever the budget; `go` notes
-- that it went out; `turn` is what a take returns: {ms to wait, ms left of a hold, when a ban ends in
-- ms or 0, 1 if a firewall turns this address away, ms of such pauses that are over, ...}.
--
-- KEYS
--   1  the host: hash
--
-- include: exchanges/rest/pacing/lua/state.lua
-- constants: IDLE_MS, TRIED_LATELY_MS, TRIED_LOOK_MS

local wait = math.max(left('held_until'), left('banned_until'))
if refused > 0 then -- one call at a time tries whether that is over
    wait = math.max(wait, math.min(left('trying_until'), TRIED_LOOK_MS))
end

local function go()
    if refused > 0 then
        redis.call('HSET', key, 'trying_until', string.format('%.0f', now + TRIED_LATELY_MS))
    end
    keep(IDLE_MS)
end

local function turn(wait, ...)
    local banned = left('banned_until')
    local ban_ends = banned > 0 and now + banned or 0
    return {wait, left('held_until'), ban_ends, refused > 0 and 1 or 0, sat_out(), ...}
end
