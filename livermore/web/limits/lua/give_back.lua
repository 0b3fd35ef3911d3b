-- Take one attempt out of each counter that is still there.
--
-- KEYS
--   1... counters: string, integer
-- ARGV
--   none
--
-- include: livermore/web/limits/lua/count.lua

for _, key in ipairs(KEYS) do
    if count(key) > 0 then redis.call('DECR', key) end
end
