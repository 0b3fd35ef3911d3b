-- Tell one of all processes to ask for the limits, where nobody knows them.
--
-- KEYS
--   1  the host: hash
-- ARGV
--   1  for how long nobody else is to ask: ms
-- Returns 1 if the caller is to ask, else 0.
--
-- include: exchanges/rest/pacing/lua/host.lua
-- constants: IDLE_MS

local known, asked = unpack(redis.call('HMGET', key, 'limits_until', 'limits_asked'))
known, asked = tonumber(known or 0) or 0, tonumber(asked or 0) or 0
if known > now or (asked <= now and now - asked < tonumber(ARGV[1])) then return 0 end
redis.call('HSET', key, 'limits_asked', string.format('%.0f', now))
keep(IDLE_MS)
return 1
