-- For scripts that count weight or requests: a window of `length` ms that slides. What went out is
-- counted in slices of a 60th of it and forgotten when a whole window has passed. Whenever the
-- exchange's own window begins, it lies within ours.
--
-- `window` returns {the field of the slice that is now, what is used, `wait_for(room)`: ms until so
-- much has become free}.
--
-- KEYS
--   1  the host: hash
--
-- include: exchanges/rest/pacing/lua/state.lua

local function window(name, length)
    local slice = length / 60
    local current, used, slices = math.floor(now / slice), 0, {}
    for field, amount in pairs(state) do
        local kind, id = string.match(field, '^(%a+):(%d+)$')
        if kind == name then
            id = tonumber(id)
            if id < current - 60 or id > current then -- over, or the clock stepped back
                redis.call('HDEL', key, field)
            else
                used = used + amount
                slices[#slices + 1] = {id, tonumber(amount)}
            end
        end
    end
    table.sort(slices, function(a, b) return a[1] < b[1] end)
    local function wait_for(room)
        local freed, wait = 0, 0
        for _, entry in ipairs(slices) do
            if freed >= room then break end
            freed = freed + entry[2]
            wait = (entry[1] + 61) * slice - now
        end
        return wait
    end
    return {field = name .. ':' .. current, used = used, wait_for = wait_for}
end
