-- Let a connection of an API client in where it has fewer open than it may have. Each is open for as
-- long as it was said to be last, so those of a process that died are none any more.
--
-- KEYS
--   1  connections: sorted set, by when they end unless that is said anew, in ms by Redis
-- ARGV
--   1  the connection's id
--   2  how many may be open
--   3  for how long it is open from now on: ms
-- Returns 1 if it is let in, or was there already, else 0.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not redis.call('ZSCORE', KEYS[1], ARGV[1])
    and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
    return 0
end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
