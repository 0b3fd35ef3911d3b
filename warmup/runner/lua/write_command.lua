-- Put what is known of one command in place of what was, and tell those who show it. Where there
-- are too many commands the oldest other one goes.
--
-- KEYS
--   1  commands: hash by id
-- ARGV
--   1  id of the command
--   2  entry: JSON
--   3  how many commands are kept
--   4  channel of the change notification
--   5  message of the change notification: JSON

redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[3]) then
    local oldest, oldest_at
    local fields = redis.call('HGETALL', KEYS[1])
    for i = 1, #fields, 2 do
        local ok, entry = pcall(cjson.decode, fields[i + 1])
        local at = ok and type(entry) == 'table' and tonumber(entry.startedAt) or 0
        if fields[i] ~= ARGV[1] and (not oldest or at < oldest_at) then
            oldest, oldest_at = fields[i], at
        end
    end
    redis.call('HDEL', KEYS[1], oldest)
end
redis.call('PUBLISH', ARGV[4], ARGV[5])
