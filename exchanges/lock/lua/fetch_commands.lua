-- Return all commands that are the holder's and not done: what is new becomes pending, what is
-- pending is returned, so that commands whose delivery was lost on the way come again. One
-- consumer's name for all, as only the lock's holder reads: whoever follows takes over what its
-- predecessor left.
--
-- KEYS
--   1  commands and replies: stream, with the group `holder`
--   2  epoch: string, integer
--   3  lock: string, JSON
-- ARGV
--   1  stamp of the epoch
-- Returns {pending entries, ids of the new ones, last id, now in ms by the server's clock}.
--
-- include: exchanges/lock/lua/fence.lua

local refused = fence(KEYS[2], ARGV[1])
if refused then return refused end
redis.pcall('XGROUP', 'CREATE', KEYS[1], 'holder', '0', 'MKSTREAM')
local function read(from)
    local reply = redis.call('XREADGROUP', 'GROUP', 'holder', 'holder', 'STREAMS', KEYS[1], from)
    return reply and reply[1][2] or {}
end
local new = {}
for i, entry in ipairs(read('>')) do new[i] = entry[1] end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local time = redis.call('TIME')
return {read('0'), new, last and last[1] or '0',
    time[1] * 1000 + math.floor(time[2] / 1000)}
