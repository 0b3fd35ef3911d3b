-- Let nobody call the host for a while. Never shortens what is already there.
--
-- KEYS
--   1  the host: hash
-- ARGV
--   1  field: held_until or banned_until
--   2  for how long from now: ms
-- Returns until when: ms.
--
-- include: exchanges/rest/pacing/lua/host.lua
-- constants: IDLE_MS, LONGEST_BAN_MS

local before = tonumber(redis.call('HGET', key, ARGV[1]) or 0) or 0
if before - now > LONGEST_BAN_MS then before = 0 end -- none of ours
local until_ms = math.max(now + ARGV[2], before)
redis.call('HSET', key, ARGV[1], string.format('%.0f', until_ms))
keep(until_ms - now + IDLE_MS)
return until_ms
