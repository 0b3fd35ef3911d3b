-- Let nobody call the host for a while, as a firewall turns this address away: each pause in a row is
-- as long as those before together.
--
-- KEYS
--   1  the host: hash
-- ARGV
--   1  the least of a pause: ms
--   2  the most of a pause: ms
-- Returns {ms of such pauses before this one, 1 if the host had answered meanwhile, ms to wait now}.
--
-- include: exchanges/rest/pacing/lua/state.lua
-- constants: IDLE_MS

local held = left('held_until')
if refused > 0 and held > 0 then return {sat_out(), 0, 0} end -- it went out before the pause
local pause = math.max(ARGV[1], math.min(refused, ARGV[2]))
local until_ms = now + math.max(pause, held)
redis.call('HDEL', key, 'trying_until')
redis.call('HSET', key, 'refused_ms', string.format('%.0f', refused + pause),
    'held_until', string.format('%.0f', until_ms))
keep(until_ms - now + IDLE_MS)
return {refused, refused == 0 and 1 or 0, pause}
