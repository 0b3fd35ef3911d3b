-- For scripts that read a pair's keys.
--
-- `stray` says of a score that no candle opens then, nil where one may. `text_of` returns a
-- coverage, '' where there is none or it is too long to be one.
--
-- constants: STEPS, EARLIEST_MS, LATEST_MS, LONGEST_COVERAGE

local function stray(candles, score)
    local time, step = tonumber(score), STEPS[string.match(candles, ':([^:]*)$') or ''] or 1
    if not time or not (time >= EARLIEST_MS and time < LATEST_MS) or time % step ~= 0 then
        return candles .. ' holds the score ' .. score .. ': no candle opens then'
    end
end

local function text_of(coverage)
    if redis.call('STRLEN', coverage) > LONGEST_COVERAGE then return '' end
    return redis.call('GET', coverage) or ''
end
