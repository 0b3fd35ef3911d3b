-- For scripts that read `told`, a hash by pair: {up to when all was told, the spans before that
-- which were skipped}, nil where there is none, or none that can be read.
--
-- include: warmup/cache/lua/spans.lua

local function mark_of(told, field)
    local readable, mark = pcall(cjson.decode, redis.call('HGET', told, field) or '')
    local fits = readable and type(mark) == 'table' and is_time(mark[1]) and are_spans(mark[2])
    return fits and mark or nil
end

local function text_of_mark(mark)
    return string.format('[%.0f,', mark[1]) .. text_of_spans(mark[2]) .. ']'
end
