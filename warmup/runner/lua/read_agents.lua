-- Tell what agents say of themselves, and the time by the clock of the server that keeps it.
--
-- KEYS
--   1  agents: hash by id
-- ARGV
--   none
-- Returns {id, registration, ...; seconds; microseconds}, the first of them a list.

local time = redis.call('TIME')
return {redis.call('HGETALL', KEYS[1]), time[1], time[2]}
