-- Count a call if it may go now: if the weight and the requests that went out lately leave it room.
--
-- KEYS
--   1  the host: hash
-- ARGV
--   1  weight
--   2  share of the limits that it may use up: up to 1, '' for who waits for no budget
--   3  weight limit while none is known
--   4  request limit while none is known
--   5  which hash the caller knows: since, '' for none
--   6  1 if it wants a look at all of it, else 0
-- Returns what `turn` does, when it was counted: ms, weight used with this call, weight allowed, 1 if
-- the limits are known, and the look.
--
-- include: exchanges/rest/pacing/lua/turn.lua
-- include: exchanges/rest/pacing/lua/window.lua

if is_lost(ARGV[5]) then return {} end
local share = tonumber(ARGV[2]) or 1
local weight_allowed = math.floor(share * (state.weight_limit or ARGV[3]))
local requests_allowed = math.floor(share * (state.request_limit or ARGV[4]))
local weights, requests = window('weight', 60000), window('requests', 300000)
if ARGV[2] ~= '' then
    wait = math.ceil(math.max(
        wait,
        weights.wait_for(weights.used + ARGV[1] - weight_allowed),
        requests.wait_for(requests.used + 1 - requests_allowed)))
end
if wait == 0 then
    redis.call('HINCRBY', key, weights.field, ARGV[1])
    weights.used = weights.used + ARGV[1]
    redis.call('HINCRBY', key, requests.field, 1)
    go(ARGV[5])
end
local known = tonumber(state.limits_until or 0) > now
return with_look(turn(wait, now, weights.used, weight_allowed, known and 1 or 0), ARGV[6])
