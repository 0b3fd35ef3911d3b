-- For scripts that store candles where some may be.
--
-- `says_more` tells of two rows of one bar whether the one that is stored has all that the other
-- has, and columns behind it: then it stays. `to_store` returns which of the two that is, of a row
-- that opens at `time`, and takes what is stored away.

local function says_more(stored, row)
    local numbers = #row - 1 -- but for the bracket
    return #stored > #row and string.sub(stored, 1, numbers + 1) == string.sub(row, 1, numbers) .. ','
end

local function to_store(candles, time, row)
    local there = redis.call('ZRANGEBYSCORE', candles, time, time)
    if #there == 0 then return row, 0 end
    redis.call('ZREMRANGEBYSCORE', candles, time, time)
    return #there == 1 and says_more(there[1], row) and there[1] or row, #there
end
