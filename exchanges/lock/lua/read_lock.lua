-- For scripts that read a lock: its text, false where there is none, '' where it is none of ours.

local function lock_at(key)
    local text = redis.pcall('GET', key)
    if type(text) == 'table' then return '' end
    return text
end

local function id_in(lock)
    local readable, found = pcall(cjson.decode, lock)
    return readable and type(found) == 'table' and found.instanceId
end
