-- End the lock of a holder whose process is gone, where that has not renewed it for long enough, and
-- tell those who wait for it.
--
-- KEYS
--   1  lock: string, JSON
-- ARGV
--   1  id of the holder
--   2  how long the lock may last still: ms; one that lasts longer was renewed
--   3  channel of those who wait for the lock
-- Returns 1 if it is ended, else 0.
--
-- include: exchanges/lock/lua/read_lock.lua

local lock = lock_at(KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if not lock or id_in(lock) ~= ARGV[1] or left < 0 or left > tonumber(ARGV[2]) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[3], 'abandoned')
return 1
