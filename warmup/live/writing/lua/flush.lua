-- Write what a stream brought: closes, open candles and tickers, and tell them.
--
-- Of each pair `told` holds up to when all was told, and what before that was skipped. So nothing is
-- told twice where it was written before and the reply got lost: a close is told if it comes after
-- what was told, a late one if its bar is one that was skipped. A close of a pair that is to be set
-- aside is left out, and costs no other. Where the events lack the newest one that the writer knows
-- of, closes are refused with LOST: what is missing has to be told before them.
--
-- KEYS
--   1  epoch: string, integer
--   2  events: stream
--   3  told: hash by pair
--   4... for each close
--          candles: sorted set, rows scored by open time in ms
--          coverage: string, [[from ms, to ms], ...]
--          open candle: string, row
--        for each open candle its key: string, row
--        for each ticker its key: string, JSON
--   last  lock: string, JSON
-- ARGV
--   1  stamp of the epoch
--   2  how many candles are kept of a pair
--   3  how many events are kept
--   4  how many marks follow
--   5  how many closes
--   6  how many open candles
--   7  how many tickers
--   8  how the channels of closes begin, before a pair's field
--   9  how the channels of every change begin
--  10... for each mark
--          the pair's field
--          from when on its closes are to be told if nobody said so yet: ms
--        for each close
--          the pair's field
--          what is to be told: 'told', 'late', 'skipped' or ''
--          covered from, covered to: ms
--          open time: ms, '' where there is no candle
--          row: JSON, '' where it is stored
--          message: JSON, or ''
--        for each open candle
--          row: JSON
--          how long it lasts: ms
--          message: JSON, '' where nobody listens
--          the pair's field
--        for each ticker
--          value: JSON
--          how long it lasts: ms
--          channel
--        id of the newest event that the writer knows of, '' for none
--        first and second part of an id: the event of the n-th close has n more as its second part
-- Returns which closes were left out, and which open candles nobody has heard, counted from 0; and of
-- the closes whose events were not told under these ids now which, and the id, '' where none of the
-- newest events is theirs: {i, id, ...}. Those that an earlier flush told, whose reply was lost, are
-- among the newest.
--
-- include: exchanges/lock/lua/fence.lua
-- include: warmup/cache/lua/coverage.lua
-- include: warmup/cache/lua/rows.lua
-- include: warmup/cache/lua/told.lua

local refused = fence(KEYS[1], ARGV[1])
if refused then return refused end
local call = redis.call
local kept, closes, live = tonumber(ARGV[2]), tonumber(ARGV[5]), tonumber(ARGV[6])
local to_closes, to_all = ARGV[8], ARGV[9]
local first_close = 10 + 2 * tonumber(ARGV[4])
local newest, event_ms, event_number = ARGV[#ARGV - 2], ARGV[#ARGV - 1], tonumber(ARGV[#ARGV])
local marks, changed, covered, aside, ended, others = {}, {}, {}, {}, {}, {}

local function parts_of(id)
    local ms, number = string.match(id, '^(%d+)-(%d+)$')
    return tonumber(ms), tonumber(number)
end

local function lacks(id)
    local found = call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
    if id == '' or (found and found[1] == id) then return false end
    local ms, number = parts_of(id)
    local found_ms, found_number = parts_of(found and found[1] or '0-0')
    return found_ms < ms or (found_ms == ms and found_number < number)
end

-- Tells the event of the n-th close; where somebody else told something, under an id of Redis.
local function add(message, n)
    local id = event_ms .. '-' .. string.format('%.0f', event_number + n)
    local said = redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], id, 'event', message)
    if type(said) == 'string' then return end
    others[#others + 1] = n - 1
    others[#others + 1] = call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'event', message)
end

-- Returns the id of the event that says a message, '' where none of the newest does.
local newest_ids
local function id_of(message)
    if not newest_ids then
        newest_ids = {}
        for _, event in ipairs(call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 2 * closes)) do
            newest_ids[event[2][2]] = newest_ids[event[2][2]] or event[1]
        end
    end
    return newest_ids[message] or ''
end

-- Where nothing can be told nothing is written.
if closes > 0 and lacks(newest) then
    return redis.error_reply('LOST the events lack ' .. newest)
end

-- Calls `act` with the borders of parts of a list, each small enough to be unpacked.
local function in_parts(list, act)
    for i = 1, #list, 1000 do act(i, math.min(i + 999, #list)) end
end

-- Reads all marks that are asked for, in as few calls as can be.
local function read_marks()
    local fields, known = {}, {}
    local function want(field)
        if not known[field] then
            known[field] = true
            fields[#fields + 1] = field
        end
    end
    for a = 10, first_close - 1, 2 do want(ARGV[a]) end
    for a = first_close, first_close + 7 * closes - 1, 7 do want(ARGV[a]) end
    in_parts(fields, function(first, last)
        local texts = call('HMGET', KEYS[3], unpack(fields, first, last))
        for i, text in ipairs(texts) do
            marks[fields[first + i - 1]] = text and mark_in(text) or {0, {}}
        end
    end)
end

-- Returns when the open candle of each close began, as text, '' where there is none.
local function open_times()
    local names, times = {}, {}
    for i = 1, closes do names[i] = KEYS[1 + 3 * i + 2] end
    in_parts(names, function(first, last)
        for i, open in ipairs(call('MGET', unpack(names, first, last))) do
            times[first + i - 1] = open and string.match(open, '^%[(%d+)') or ''
        end
    end)
    return times
end

-- Returns false where the pair is to be set aside; nothing is changed then.
local function store(candles, coverage, time, member, from, to)
    local count = redis.pcall('ZCARD', candles)
    local stored = covered[coverage] or redis.pcall('GETRANGE', coverage, 0, LONGEST_COVERAGE)
    if type(count) ~= 'number' or type(stored) ~= 'string' then return false end
    if #stored > LONGEST_COVERAGE then stored = '' end
    local first, newest, next_first = {}, nil, nil
    if count > 0 then
        first = call('ZRANGE', candles, 0, 1, 'WITHSCORES')
        newest = call('ZREVRANGE', candles, 0, 0, 'WITHSCORES')[2] -- from its end: at once
        if stray(candles, first[2]) or stray(candles, newest) then return false end
    end
    if member ~= '' then
        if newest and tonumber(newest) >= tonumber(time) then
            local removed
            member, removed = to_store(candles, time, member)
            count = count - removed
        elseif count == kept then
            next_first = first[4]
        end
        -- Where there was no candle before, somebody deleted them: what was known is not believed.
        if not newest then stored = '' end
        count = count + call('ZADD', candles, time, member)
    end
    local surplus, earliest = count - kept, 0
    if surplus > 0 then
        call('ZREMRANGEBYRANK', candles, 0, surplus - 1)
        next_first = surplus == 1 and next_first
            or call('ZRANGE', candles, 0, 0, 'WITHSCORES')[2]
        earliest = tonumber(next_first)
    end
    covered[coverage] = prolonged(stored, from, to, earliest)
        or joined(stored, {{from, to}}, earliest)
    return true
end

local function is_skipped(mark, time)
    for _, span in ipairs(mark[2]) do
        if span[1] <= time and time < span[2] then return true end
    end
    return false
end

local function is_news(how, mark, time)
    if how == 'told' then return time >= mark[1] end
    return how == 'late' and is_skipped(mark, time)
end

-- Takes note of what is told with a close.
local function move(mark, how, from, to)
    if how == 'late' then
        mark[2] = without(mark[2], from, to)
    elseif how ~= '' and to > mark[1] then
        if how == 'skipped' then mark[2][#mark[2] + 1] = {math.max(from, mark[1]), to} end
        mark[1] = to
    end
end

read_marks()
for a = 10, first_close - 1, 2 do
    local field = ARGV[a]
    if marks[field][1] == 0 then
        marks[field][1] = tonumber(ARGV[a + 1])
        changed[field] = true
    end
end
local k, a, open = 4, first_close, open_times()
for i = 1, closes do
    local field, how, time, member = ARGV[a], ARGV[a + 1], ARGV[a + 4], ARGV[a + 5]
    local from, to = tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
    local stores = member ~= '' or (time == '' and how ~= 'skipped')
    if stores and not store(KEYS[k], KEYS[k + 1], time, member, from, to) then
        aside[#aside + 1] = i - 1
    else
        if time ~= '' and how ~= 'late' and open[i] == time then ended[#ended + 1] = KEYS[k + 2] end
        local mark = marks[field]
        if time ~= '' and is_news(how, mark, tonumber(time)) then
            local message = ARGV[a + 6]
            add(message, i)
            call('PUBLISH', to_closes .. field, message)
            call('PUBLISH', to_all .. field, message)
        elseif time ~= '' and how ~= '' then
            others[#others + 1] = i - 1
            others[#others + 1] = id_of(ARGV[a + 6])
        end
        move(mark, how, from, to)
        changed[field] = true
    end
    k, a = k + 3, a + 7
end
in_parts(ended, function(first, last) call('DEL', unpack(ended, first, last)) end)
local texts, told = {}, {}
for coverage, text in pairs(covered) do
    texts[#texts + 1] = coverage
    texts[#texts + 1] = text
end
in_parts(texts, function(first, last) call('MSET', unpack(texts, first, last)) end)
for field in pairs(changed) do
    told[#told + 1] = field
    told[#told + 1] = text_of_mark(marks[field])
end
in_parts(told, function(first, last) call('HSET', KEYS[3], unpack(told, first, last)) end)
local unheard = {}
for i = 1, live do
    call('SET', KEYS[k], ARGV[a], 'PX', ARGV[a + 1])
    if ARGV[a + 2] ~= '' and call('PUBLISH', to_all .. ARGV[a + 3], ARGV[a + 2]) == 0 then
        unheard[#unheard + 1] = i - 1
    end
    k, a = k + 1, a + 4
end
for _ = 1, tonumber(ARGV[7]) do
    call('SET', KEYS[k], ARGV[a], 'PX', ARGV[a + 1])
    call('PUBLISH', ARGV[a + 2], ARGV[a])
    k, a = k + 1, a + 3
end
return {aside, unheard, others}
