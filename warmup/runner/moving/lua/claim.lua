-- Claim to be the one who prepares to take an exchange over, where nobody else does, and tell those
-- who show it. Called again it goes on to be claimed.
--
-- KEYS
--   1  successor: string, JSON
-- ARGV
--   1  the claim: JSON, like no other
--   2  how long it lasts: ms
--   3  channel of the change notification
--   4  message of the change notification: JSON
-- Returns 1 if it is claimed by this one, else 0.

local found = redis.pcall('GET', KEYS[1])
if found and found ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if not found then redis.call('PUBLISH', ARGV[3], ARGV[4]) end
return 1
