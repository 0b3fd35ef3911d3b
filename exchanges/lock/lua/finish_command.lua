-- Give the final reply to a command, once: it is pending no longer.
--
-- KEYS
--   1  commands and replies: stream, with the group `holder`
--   2  epoch: string, integer
--   3  lock: string, JSON
-- ARGV
--   1  stamp of the epoch
--   2  reply: JSON, '' for none
--   3  id of the command
--   4  id of its progress, '' for none
--
-- include: exchanges/lock/lua/fence.lua
-- constants: ENTRIES_KEPT

local refused = fence(KEYS[2], ARGV[1])
if refused then return refused end
if redis.call('XACK', KEYS[1], 'holder', ARGV[3]) == 0 then return end
if ARGV[4] ~= '' then redis.call('XDEL', KEYS[1], ARGV[4]) end
if ARGV[2] ~= '' then
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ENTRIES_KEPT, '*',
        'kind', 'reply', 'message', ARGV[2])
end
