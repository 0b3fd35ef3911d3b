-- Stretches of time: {{from, to}, ...} in ms, half-open. A text of them is understood wholly or not
-- at all: `spans_of` returns none then. `without` takes one stretch out of spans.
--
-- constants: LATEST_MS

local function is_time(found)
    return type(found) == 'number' and found % 1 == 0 and found >= 0 and found <= LATEST_MS
end

local function are_spans(found)
    if type(found) ~= 'table' then return false end
    local count = 0
    for _, span in pairs(found) do
        count = count + 1
        if type(span) ~= 'table' or #span ~= 2 or not is_time(span[1]) or not is_time(span[2])
                or span[1] >= span[2] then
            return false
        end
    end
    return count == #found
end

local function spans_of(text)
    local readable, spans = pcall(cjson.decode, text)
    return readable and are_spans(spans) and spans or {}
end

local function text_of_spans(spans)
    local texts = {}
    for i, span in ipairs(spans) do
        texts[i] = string.format('[%.0f,%.0f]', span[1], span[2])
    end
    return '[' .. table.concat(texts, ',') .. ']'
end

local function without(spans, from, to)
    local left = {}
    for _, span in ipairs(spans) do
        if to <= span[1] or span[2] <= from then
            left[#left + 1] = span
        else
            if span[1] < from then left[#left + 1] = {span[1], from} end
            if to < span[2] then left[#left + 1] = {to, span[2]} end
        end
    end
    return left
end
