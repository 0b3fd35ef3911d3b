-- Renew a lock that is still its holder's, under the epoch that is still its own.
--
-- KEYS
--   1  lock: string, JSON
--   2  epoch: string, integer
-- ARGV
--   1  id of the holder
--   2  epoch: integer
--   3  how long the lock lasts from now on: ms
-- Returns {1 if renewed, else 0; the lock, false where there is none}.
--
-- include: exchanges/lock/lua/read_lock.lua

local lock = lock_at(KEYS[1])
if lock and id_in(lock) == ARGV[1] and redis.pcall('GET', KEYS[2]) == ARGV[2] then
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
    return {1, lock}
end
return {0, lock}
