-- Count an attempt to log in, where none of its counters is full. A counter ends by itself. Where
-- the user is known at the address the last one doesn't count.
--
-- KEYS
--   1...3  counters, of a user from an address, an address, a user: string, integer
--   4  that the user is known at the address: string
-- ARGV
--   1...6  for each counter
--            how many attempts it takes
--            how long it lasts: ms
-- Returns {for how many ms it is refused, else 0; of the first how many counters it was counted in}.
--
-- include: livermore/web/limits/lua/count.lua

local counters = redis.call('EXISTS', KEYS[4]) == 1 and 2 or 3
local wait = 0
for i = 1, counters do
    if count(KEYS[i]) >= tonumber(ARGV[2 * i - 1]) then
        if redis.call('PTTL', KEYS[i]) < 0 then redis.call('PEXPIRE', KEYS[i], ARGV[2 * i]) end
        wait = math.max(wait, redis.call('PTTL', KEYS[i]), 1)
    end
end
if wait > 0 then return {wait, 0} end
for i = 1, counters do
    if redis.call('INCR', KEYS[i]) == 1 then redis.call('PEXPIRE', KEYS[i], ARGV[2 * i]) end
end
return {0, counters}
