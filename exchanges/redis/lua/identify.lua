-- Say which server this is: another one, or one that was started again, may have lost what was
-- written last.
--
-- KEYS
--   1  any key of the exchange, which is not read: a cluster asks who has its slot
-- Returns the run id and the replication id, '' where the server tells none.

local found = {}
for i, section in ipairs({'server', 'replication'}) do
    local text = redis.pcall('INFO', section)
    local name = i == 1 and 'run_id' or 'master_replid'
    found[i] = type(text) == 'string' and string.match(text, name .. ':(%w+)') or ''
end
return found
