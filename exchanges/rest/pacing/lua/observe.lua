-- Take note of the weight that the exchange says this address has used. Others' calls count as if
-- ours; `observed` says how much of a slice is theirs, as far as one knows.
--
-- KEYS
--   1  the host: hash
-- ARGV
--   1  weight
--
-- include: exchanges/rest/pacing/lua/state.lua
-- include: exchanges/rest/pacing/lua/window.lua
-- constants: IDLE_MS

local weights, observed = window('weight', 60000), window('observed', 60000)
if tonumber(ARGV[1]) > weights.used then
    redis.call('HINCRBY', key, weights.field, ARGV[1] - weights.used)
    redis.call('HINCRBY', key, observed.field, ARGV[1] - weights.used)
    keep(IDLE_MS)
end
