-- Take the lock of an exchange, where it is free or somebody's who may be relieved of it.
--
-- The epoch is one more than the last one, or the server's time in ms where that is more: so it rises
-- past a Redis that lost its data, or the last epochs of it. It is more than `above` too, which is
-- what who asks remembers: the server's clock may be behind that of the one before. A lock below
-- `above` is of a holder that was replaced, and came back with a Redis that lost that.
-- Called again with the same id, as a client does after a lost reply, it says the same. A lock that
-- can't be read is somebody's until it is gone. An epoch that can't be counted on is left as it is,
-- and nobody begins. The lock says in `before` who spoke last and what that was: a lock was given back
-- in order where its holder had stopped.
--
-- KEYS
--   1  lock: string, JSON
--   2  epoch: string, integer
--   3  status: string, of the holder before, which ends with it
-- ARGV
--   1  holder: JSON, without epoch and time
--   2  how long the lock lasts: ms
--   3  id of whom to take it from, '' for nobody
--   4  above: an epoch that was given out, 0 where none is known
-- Returns {1 if it is ours now, else 0; the lock}, or {-1, its type} where the epoch is no number.
--
-- include: exchanges/lock/lua/read_lock.lua
-- constants: LARGEST_EPOCH

local function is_before(lock, epoch)
    local found = cjson.decode(lock).epoch
    return type(found) == 'number' and found < epoch
end

local function last_word(status)
    local readable, found = pcall(cjson.decode, status)
    if readable and type(found) == 'table'
        and type(found.instanceId) == 'string' and type(found.state) == 'string' then
        return {id = found.instanceId, state = found.state}
    end
end

local above = tonumber(ARGV[4] or 0)
local mine, lock = cjson.decode(ARGV[1]), lock_at(KEYS[1])
if lock then
    local id = id_in(lock)
    if id == mine.instanceId then return {1, lock} end
    if not id or (id ~= ARGV[3] and not is_before(lock, above)) then return {0, lock} end
end
local epoch = lock_at(KEYS[2])
if epoch == '' then return {-1, redis.call('TYPE', KEYS[2]).ok} end
if epoch and not (string.match(epoch, '^%d+$') and tonumber(epoch) < LARGEST_EPOCH) then
    return {-1, 'string'}
end
local time = redis.call('TIME')
mine.connectedSince = time[1] * 1000 + math.floor(time[2] / 1000)
local before = math.max(tonumber(epoch or mine.connectedSince), above)
mine.epoch = math.max(before + 1, mine.connectedSince)
mine.before = last_word(lock_at(KEYS[3]) or '')
redis.call('SET', KEYS[2], string.format('%.0f', mine.epoch))
lock = cjson.encode(mine)
redis.call('SET', KEYS[1], lock, 'PX', ARGV[2])
redis.call('DEL', KEYS[3])
return {1, lock}
