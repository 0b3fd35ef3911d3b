-- Count a call if it may go now: so many may, then comes a pause. What is urgent goes first: where
-- it has to wait it says until when, and others leave it its turn.
--
-- KEYS
--   1  the host: hash
-- ARGV
--   1  batch size
--   2  pause after a batch: ms
--   3  1 if it is urgent, else 0
-- Returns what `turn` does and, where it may go, when it was counted: ms.
--
-- include: exchanges/rest/pacing/lua/turn.lua
-- constants: TURN_MS

if wait > 0 then return turn(wait) end
local last, used = tonumber(state.batch_last or 0), tonumber(state.batch_used or 0)
if last > now then last, used = 0, 0 end -- the server's clock stepped back
if now - last >= tonumber(ARGV[2]) then used = 0 end
if used >= tonumber(ARGV[1]) then
    wait = last + ARGV[2] - now
    if ARGV[3] == '1' then
        redis.call('HSET', key, 'urgent_until', string.format('%.0f', now + wait + TURN_MS))
    end
    return turn(wait)
end
local urgent = tonumber(state.urgent_until or 0)
if ARGV[3] ~= '1' and now < urgent and urgent <= now + TURN_MS then return turn(urgent - now) end
redis.call('HSET', key, 'batch_last', now, 'batch_used', used + 1)
go()
return turn(0, now)
