-- Against late writes, for scripts to begin with:
--
--   local refused = fence(KEYS[n], ARGV[m])
--   if refused then return refused end
--
-- '' as stamp is a writer that needs no lock; else it is an epoch, or an epoch and who has it
-- (`7:id`). Two may have been given the same epoch, where Redis lost the first one's. So the lock, as
-- the script's last key, has to be that one's, unless nobody has it.

local function fence(epoch_key, stamp)
    if stamp == '' then return end
    local epoch, who = string.match(stamp, '^([^:]*):?(.*)$')
    local current = redis.pcall('GET', epoch_key)
    if epoch ~= current then
        local what = type(current) == 'string' and string.sub(current, 1, 20) or 'there is none'
        return redis.error_reply('FENCED epoch ' .. epoch .. ' is not the current one, ' .. what)
    end
    if who == '' then return end
    local lock = redis.pcall('GET', KEYS[#KEYS])
    local its = '"instanceId":"' .. who .. '"'  -- who had it before may stand in there too
    if lock and (type(lock) == 'table' or not string.find(lock, its, 1, true)) then
        return redis.error_reply('FENCED epoch ' .. epoch .. ' is another holder\'s too, who has the lock')
    end
end
