-- For scripts that let a call go or wait: `wait` is for how many ms, whatever the budget; `go` notes
-- that it went out; `turn` is what a take returns: {ms to wait, ms left of a hold, when a ban ends in
-- ms or 0, 1 if a firewall turns this address away, ms of such pauses that are over, ...}. A caller
-- that says which hash it knows (`since`, '' for none) is turned back with {} where it was lost
-- meanwhile: `is_lost`. One that asks to look gets last {now in ms, field, value, ...} of all that
-- was there before.
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

local function is_lost(known) return known and known ~= '' and known ~= state.since end

local function go(known)
    if known and not state.since then
        state.since = string.format('%.0f', now)
        redis.call('HSET', key, 'since', state.since)
    end
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

local function with_look(said, wanted)
    if wanted == '1' then
        local look = {now}
        for field, value in pairs(state) do
            look[#look + 1], look[#look + 2] = field, value
        end
        said[#said + 1] = look
    end
    return said
end
