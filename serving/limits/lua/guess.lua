-- Count a token that lets nobody in, as one that its address has tried; each counts once.
--
-- KEYS
--   1  the address's wrong tokens: set of the beginnings of their digests
-- ARGV
--   1  the beginning of the token's digest, empty to count nothing
--   2  how many are counted
--   3  for how long from the first of them on: ms
-- Returns for how many ms they go on to count, below 0 where there are none, and all of them.

if ARGV[1] ~= '' and redis.call('SCARD', KEYS[1]) < tonumber(ARGV[2]) then
    redis.call('SADD', KEYS[1], ARGV[1])
    if redis.call('PTTL', KEYS[1]) < 0 then
        redis.call('PEXPIRE', KEYS[1], ARGV[3])
    end
end
return {redis.call('PTTL', KEYS[1]), redis.call('SMEMBERS', KEYS[1])}
