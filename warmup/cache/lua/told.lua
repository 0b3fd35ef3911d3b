-- For scripts that read `told`, a hash by pair: {up to when all was told, the spans before that
-- which were skipped}, nil where there is none, or none that can be read. `mark_in` reads a text.
--
-- include: warmup/cache/lua/spans.lua

local function mark_in(text)
    local until_ms = tonumber(string.match(text, '^%[(%d+),%[%]%]$')) -- nearly always
    if until_ms and until_ms <= LATEST_MS then return {until_ms, {}} end
    local readable, mark = pcall(cjson.decode, text)
    local fits = readable and type(mark) == 'table' and is_time(mark[1]) and are_spans(mark[2])
    return fits and mark or nil
end

local function mark_of(told, field)
    return mark_in(redis.call('HGET', told, field) or '')
end

local function text_of_mark(mark)
    if #mark[2] == 0 then return string.format('[%.0f,[]]', mark[1]) end
    return string.format('[%.0f,', mark[1]) .. text_of_spans(mark[2]) .. ']'
end
