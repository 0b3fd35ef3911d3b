-- Write the status of an exchange, unless somebody else has it: a late holder must not hide the
-- one after it.
--
-- KEYS
--   1  status: string, JSON
--   2  epoch: string, integer
--   3  lock: string, JSON
-- ARGV
--   1  status: JSON
--   2  stamp of the epoch
--   3  how long the status lasts: ms
--   4  channel of the change notification
--   5  message of the change notification: JSON
--
-- include: exchanges/lock/lua/fence.lua

if not fence(KEYS[2], ARGV[2]) then
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
    redis.call('PUBLISH', ARGV[4], ARGV[5])
end
