-- Put back what a process knows of a host whose hash was lost: a server began empty, or the hash
-- expired. Where others have put back theirs, or counted since, the larger of two counts. What went
-- out before the first of them came is added to what was counted since. What the exchange told of
-- meanwhile, when nobody had counted it, is taken for what is put back.
--
-- KEYS
--   1  the host: hash
-- ARGV
--   1  the time that the caller thinks it is: ms; another server's clock may say another one
--   2... fields and values in turn
--
-- include: exchanges/rest/pacing/lua/state.lua
-- constants: IDLE_MS

local shift = now - ARGV[1]
if math.abs(shift) < 1000 then shift = 0 end
local is_first = not state.since
local has_limits = tonumber(state.limits_until or 0) > now
local lengths = {weight = 1000, requests = 5000} -- of the slices that are counted
local lasts = IDLE_MS

local function put(field, value)
    redis.call('HSET', key, field, string.format('%.0f', value))
end

-- Takes what is put back into a slice out of later ones that hold what the exchange told of.
local function settle(id, amount)
    for field, text in pairs(state) do
        local second = tonumber(string.match(field, '^observed:(%d+)$'))
        local counted = second and 'weight:' .. string.format('%.0f', second)
        if second and second > id and state[counted] then
            local part = math.min(amount, tonumber(text), tonumber(state[counted]))
            amount = amount - part
            for _, each in ipairs({field, counted}) do
                state[each] = state[each] - part
                put(each, state[each])
            end
        end
    end
end

local function put_slice(kind, id, value)
    id = id + math.ceil(shift / lengths[kind])
    local age = math.floor(now / lengths[kind]) - id
    if age < 0 or age > 60 then return end
    local field = string.format('%s:%.0f', kind, id)
    local before = tonumber(state[field] or 0)
    local after = is_first and before + value or math.max(before, value)
    put(field, after)
    state[field] = after
    if kind == 'weight' then settle(id, after - before) end
end

for i = 2, #ARGV, 2 do
    local field, value = ARGV[i], tonumber(ARGV[i + 1])
    local kind, id = string.match(field, '^(%a+):(%d+)$')
    local is_limit = string.match(field, '_limit$') or field == 'limits_until'
    if lengths[kind] then
        put_slice(kind, tonumber(id), value)
    elseif kind ~= 'observed' and not (is_limit and has_limits) then
        if string.match(field, '_until$') then
            value = value + shift
            lasts = math.max(lasts, value - now + (is_limit and 0 or IDLE_MS))
        elseif field == 'batch_last' or field == 'limits_asked' then
            value = value + shift
        end
        put(field, is_limit and value or math.max(value, tonumber(state[field] or 0)))
    end
end
if is_first then put('since', now) end
keep(lasts)
