-- Tell what is kept of a host, and the time by the server's clock.
--
-- KEYS
--   1  the host: hash
-- ARGV
--   none
-- Returns {field, value, ...; seconds; microseconds}, the first of them a list.

local time = redis.call('TIME')
return {redis.call('HGETALL', KEYS[1]), time[1], time[2]}
