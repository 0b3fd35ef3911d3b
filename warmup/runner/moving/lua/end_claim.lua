-- End the claim of one who prepares to take an exchange over, where nobody else has claimed it since,
-- and tell those who show it.
--
-- KEYS
--   1  successor: string, JSON
-- ARGV
--   1  the claim: JSON, like no other
--   2  channel of the change notification
--   3  message of the change notification: JSON

if redis.pcall('GET', KEYS[1]) == ARGV[1] then
    redis.call('DEL', KEYS[1])
    redis.call('PUBLISH', ARGV[2], ARGV[3])
end
