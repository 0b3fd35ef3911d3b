-- Write one value and tell those who show it, unless somebody else has the exchange by now.
--
-- KEYS
--   1  what is written: string
--   2  epoch: string, integer
--   3  lock: string, JSON
-- ARGV
--   1  stamp of the epoch, '' where no lock is needed
--   2  value: JSON
--   3  channel of the change notification
--   4  message of the change notification: JSON
--
-- include: exchanges/lock/lua/fence.lua

local refused = fence(KEYS[2], ARGV[1])
if refused then return refused end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[4])
