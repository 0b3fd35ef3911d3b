-- Count a call if it may go now: so many may, then comes a pause. What is urgent goes first: where
-- it has to wait it says until when, and others leave it its turn.
--
-- KEYS
--   1  the host: hash
-- ARGV
--   1  batch size
--   2  pause after a batch: ms
--   3  1 if it is urgent, else 0
--   4  which hash the caller knows: since, '' for none
--   5  1 if it wants a look at all of it, else 0
-- Returns what `turn` does, when it was counted: ms, 0 where it may not go, and the look.
--
-- include: exchanges/rest/pacing/lua/turn.lua
-- constants: TURN_MS

if is_lost(ARGV[4]) then return {} end
if wait > 0 then return with_look(turn(wait, 0), ARGV[5]) end
local last, used = tonumber(state.batch_last or 0), tonumber(state.batch_used or 0)
if last > now then last, used = 0, 0 end -- the server's clock stepped back
if now - last >= tonumber(ARGV[2]) then used = 0 end
if used >= tonumber(ARGV[1]) then
    wait = last + ARGV[2] - now
    if ARGV[3] == '1' then
        redis.call('HSET', key, 'urgent_until', string.format('%.0f', now + wait + TURN_MS))
    end
    return with_look(turn(wait, 0), ARGV[5])
end
local urgent = tonumber(state.urgent_until or 0)
if ARGV[3] ~= '1' and now < urgent and urgent <= now + TURN_MS then
    return with_look(turn(urgent - now, 0), ARGV[5])
end
redis.call('HSET', key, 'batch_last', now, 'batch_used', used + 1)
go(ARGV[4])
return with_look(turn(0, now), ARGV[5])
