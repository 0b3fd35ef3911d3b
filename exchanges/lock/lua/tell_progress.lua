-- Tell how far a command is. Only the newest progress of a request is kept, so that a talkative one
-- can't push commands that nobody has read yet out of the stream.
--
-- KEYS
--   1  commands and replies: stream
--   2  epoch: string, integer
--   3  lock: string, JSON
-- ARGV
--   1  stamp of the epoch
--   2  reply: JSON
--   3  id of the progress that it replaces, '' for none
-- Returns its id.
--
-- include: exchanges/lock/lua/fence.lua

local refused = fence(KEYS[2], ARGV[1])
if refused then return refused end
if ARGV[3] ~= '' then redis.call('XDEL', KEYS[1], ARGV[3]) end
return redis.call('XADD', KEYS[1], '*', 'kind', 'reply', 'message', ARGV[2])
