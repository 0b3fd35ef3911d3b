-- Count a call of a batch as not gone, which never left this machine.
--
-- KEYS
--   1  the host: hash
-- ARGV
--   1  when it was counted: ms
--
-- include: exchanges/rest/pacing/lua/state.lua

local used = tonumber(state.batch_used or 0)
if used > 0 and tonumber(state.batch_last or 0) >= tonumber(ARGV[1]) then
    redis.call('HSET', key, 'batch_used', used - 1)
end
redis.call('HDEL', key, 'trying_until')
