-- For scripts that store candles of a pair.
--
-- `misfit` returns which of the pair's keys is of another type, or which end of its candles is at
-- no open time, in words; nil where nothing is. `known` returns the spans of a coverage.
--
-- `extend` trims what is too much, and adds `spans` (complete from now on) to the pair's coverage.
-- A candle that is trimmed away takes the coverage before its successor with it. `stored` is the
-- text of the coverage that is there, '' where it is not to be believed. It returns false where the
-- candles are of another type, and changes nothing then.
--
-- `joined` returns the text of a coverage with `spans` added, as it is from `earliest` on.
-- `prolonged` does so where one span prolongs the last one, and reads no other; nil where it doesn't,
-- or the text is not as we write it.
--
-- include: warmup/cache/lua/pair.lua
-- include: warmup/cache/lua/spans.lua

local function misfit(candles, coverage)
    for key, wanted in pairs({[candles] = 'zset', [coverage] = 'string'}) do
        local kind = redis.call('TYPE', key).ok
        if kind ~= wanted and kind ~= 'none' then
            return key .. ' is a ' .. kind .. ', not a ' .. wanted
        end
    end
    for rank = -1, 0 do
        local score = redis.call('ZRANGE', candles, rank, rank, 'WITHSCORES')[2]
        local fault = score and stray(candles, score)
        if fault then return fault end
    end
end

local function known(coverage)
    return spans_of(text_of(coverage))
end

local function joined(stored, spans, earliest)
    for _, span in ipairs(stored == '' and {} or spans_of(stored)) do
        spans[#spans + 1] = span
    end
    table.sort(spans, function(a, b) return a[1] < b[1] end)
    local merged = {}
    for _, span in ipairs(spans) do
        local from, to, last = math.max(span[1], earliest), span[2], merged[#merged]
        if from < to then
            if last and from <= last[2] then
                last[2] = math.max(last[2], to)
            else
                merged[#merged + 1] = {from, to}
            end
        end
    end
    return text_of_spans(merged)
end

-- Returns the spans before the last one, as text, as they are from `earliest` on; nil where one of
-- them goes away.
local function cut(before, earliest)
    local begin, last = string.match(before, '^%[%[(%d+),(%d+)%]')
    if not begin or earliest >= tonumber(last) then return end
    if earliest <= tonumber(begin) then return before end
    return string.format('[[%.0f', earliest) .. string.sub(before, 3 + #begin)
end

local function prolonged(stored, from, to, earliest)
    local before, begin, last = '[', string.match(stored, '^%[%[(%d+),(%d+)%]%]$')
    if not begin and not string.find(stored, '[^%d%[%],]') then
        before, begin, last = string.match(stored, '^(%[%[.*%],)%[(%d+),(%d+)%]%]$')
        before = before and cut(before, earliest)
    end
    begin, last = tonumber(begin), tonumber(last)
    if not (before and begin and begin <= from and from <= last and last <= LATEST_MS) then return end
    begin, last = math.max(begin, earliest), math.max(last, to)
    return begin < last and string.format('%s[%.0f,%.0f]]', before, begin, last) or nil
end

local function extend(candles, coverage, kept, spans, stored)
    local count = redis.pcall('ZCARD', candles)
    if type(count) ~= 'number' then return false end
    local surplus, earliest = count - kept, 0
    if surplus > 0 then
        redis.call('ZREMRANGEBYRANK', candles, 0, surplus - 1)
        earliest = tonumber(redis.call('ZRANGE', candles, 0, 0, 'WITHSCORES')[2])
    elseif #spans == 0 then
        return true
    end
    redis.call('SET', coverage, joined(stored, spans, earliest))
    return true
end
