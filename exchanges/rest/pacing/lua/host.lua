-- For all scripts of pacing: the host's hash, and the time in ms by the server's clock, which is the
-- same for every process. `keep` lets the hash last for so many ms at the least.
--
-- KEYS
--   1  the host: hash

local key = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function keep(ms)
    redis.call('PEXPIRE', key, math.max(ms, redis.call('PTTL', key)))
end
