-- Against late writes, for scripts to begin with:
--
--   local refused = fence(KEYS[n], ARGV[m])
--   if refused then return refused end
--
-- '' as epoch is a writer that needs no lock.

local function fence(epoch_key, epoch)
    local current = redis.pcall('GET', epoch_key)
    if epoch ~= '' and epoch ~= current then
        local what = type(current) == 'string' and string.sub(current, 1, 20) or 'there is none'
        return redis.error_reply('FENCED epoch ' .. epoch .. ' is not the current one, ' .. what)
    end
end
