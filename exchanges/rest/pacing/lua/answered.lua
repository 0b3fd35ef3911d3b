-- Take note that the host, and no firewall, has answered. An answer to what went out before the
-- pause says nothing.
--
-- KEYS
--   1  the host: hash
-- ARGV
--   none
--
-- include: exchanges/rest/pacing/lua/state.lua

if left('held_until') == 0 then redis.call('HDEL', key, 'refused_ms', 'trying_until') end
