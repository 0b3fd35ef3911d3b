-- Put the status back that was there before a lease, which is over, unless somebody else has had one
-- since.
--
-- KEYS
--   1  status: string, JSON
--   2  epoch: string, integer
-- ARGV
--   1  epoch of the lease: integer
--   2  status before: JSON, '' for none
--   3  when that one ends: ms, -1 for never

if redis.call('GET', KEYS[2]) ~= ARGV[1] then return end
local time = redis.call('TIME')
local left = tonumber(ARGV[3]) - (time[1] * 1000 + math.floor(time[2] / 1000))
if ARGV[2] ~= '' and left > 0 then
    redis.call('SET', KEYS[1], ARGV[2], 'PX', string.format('%.0f', left))
elseif ARGV[2] ~= '' and ARGV[3] == '-1' then
    redis.call('SET', KEYS[1], ARGV[2])
else
    redis.call('DEL', KEYS[1])
end
