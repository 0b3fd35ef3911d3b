-- Give a lock back that is still its holder's, and tell those who show it and who wait for it.
--
-- KEYS
--   1  lock: string, JSON
-- ARGV
--   1  id of the holder
--   2  channel of the change notification
--   3  message of the change notification: JSON
--   4  channel of those who wait for the lock
--
-- include: exchanges/lock/lua/read_lock.lua

local lock = lock_at(KEYS[1])
if lock and id_in(lock) == ARGV[1] then
    redis.call('DEL', KEYS[1])
    redis.call('PUBLISH', ARGV[2], ARGV[3])
    redis.call('PUBLISH', ARGV[4], 'released')
end
