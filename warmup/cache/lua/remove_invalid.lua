-- Take out of a pair's sorted set what is no candle of it: what can't be read, or makes no bar, or
-- stands at another time than its own, and all that open at one time. What is known of those bars
-- goes with it, so that they are fetched again.
--
-- KEYS
--   1  candles: sorted set, rows scored by open time in ms
--   2  coverage: string, [[from ms, to ms], ...]
--   3  epoch: string, integer
--   4  lock: string, JSON
-- ARGV
--   1  stamp of the epoch, '' where no lock is needed
-- Returns false where all are candles, or a key is not ours; else {how many were not, one of them}.
--
-- include: exchanges/lock/lua/fence.lua
-- include: warmup/cache/lua/coverage.lua

local refused = fence(KEYS[3], ARGV[1])
if refused then return refused end
if misfit(KEYS[1], KEYS[2]) then return false end
local step = STEPS[string.match(KEYS[1], '[^:]*$')]

local function is_candle(member, row, time)
    if type(row) ~= 'table' or (#row ~= 6 and #row ~= 10) then return false end
    for i = 1, #row do
        if type(row[i]) ~= 'number' then return false end
    end
    for i = 7, #row do
        if not (0 <= row[i] and row[i] < math.huge) then return false end
    end
    if row[8] and (row[8] % 1 ~= 0 or row[8] > 2 ^ 53) then return false end
    local open, high, low, close, volume = row[2], row[3], row[4], row[5], row[6]
    return row[1] == time and time % step == 0 and string.match(member, '^%s*%[%s*%d+%s*,')
        and 0 < low and low <= open and open <= high and high < math.huge
        and low <= close and close <= high and 0 <= volume and volume < math.huge
end

local stored = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
local bad, bars = {}, {}
for i = 1, #stored, 2 do
    local readable, row = pcall(cjson.decode, stored[i])
    local time = tonumber(stored[i + 1])
    local is_double = stored[i + 1] == stored[i - 1] or stored[i + 1] == stored[i + 3]
    if is_double or not readable or not is_candle(stored[i], row, time) then
        bad[#bad + 1] = stored[i]
        bars[#bars + 1] = time - time % step
        local own = readable and type(row) == 'table' and row[1]
        if is_time(own) then bars[#bars + 1] = own - own % step end -- it was moved from there
    end
end
if #bad == 0 then return false end
local spans = known(KEYS[2])
for _, bar in ipairs(bars) do spans = without(spans, bar, bar + step) end
for _, member in ipairs(bad) do redis.call('ZREM', KEYS[1], member) end
redis.call('SET', KEYS[2], text_of_spans(spans))
return {#bad, string.sub(bad[1], 1, 300)}
