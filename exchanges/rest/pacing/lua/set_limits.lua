-- Take note of the limits that the exchange publishes.
--
-- KEYS
--   1  the host: hash
-- ARGV
--   1  weight limit
--   2  request limit
--   3  for how long they are worth believing: ms
--   4  1 if nobody published them: then others stay; else 0
-- Returns 1 if they hold from now on, else 0.
--
-- include: exchanges/rest/pacing/lua/host.lua

local known = (tonumber(redis.call('HGET', key, 'limits_until') or 0) or 0) > now
if known and ARGV[4] == '1' then return 0 end
redis.call('HSET', key, 'weight_limit', ARGV[1], 'request_limit', ARGV[2],
    'limits_until', string.format('%.0f', now + ARGV[3]))
keep(tonumber(ARGV[3]))
return 1
