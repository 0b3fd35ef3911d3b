"""Against late writes: Redis compares the writer's epoch with the current one inside the write."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import ResponseError

from exchanges.errors import Permanent

# For other scripts to begin with: `local refused = fence(KEYS[n], ARGV[m])`, then
# `if refused then return refused end`. '' as epoch is a writer that needs no lock.
FENCE = """
local function fence(epoch_key, epoch)
    local current = redis.pcall('GET', epoch_key)
    if epoch ~= '' and epoch ~= current then
        local what = type(current) == 'string' and string.sub(current, 1, 20) or 'there is none'
        return redis.error_reply('FENCED epoch ' .. epoch .. ' is not the current one, ' .. what)
    end
end
"""

# One value, told to those who show it, unless somebody else has the exchange by now.
#
# KEYS: what is written, epoch. ARGV: epoch or '', value, channel and message.
SET_AND_TELL = (
    FENCE
    + """
local refused = fence(KEYS[2], ARGV[1])
if refused then return refused end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[4])
"""
)


def stamp(epoch: int | None) -> int | str:
    """Return an epoch as scripts take it, None being a writer that needs no lock."""
    return "" if epoch is None else epoch


class Fenced(Permanent):
    """Redis refused a write of an epoch that is over: somebody else has the exchange since."""


@contextmanager
def refusals() -> Iterator[None]:
    """Turn Redis's refusal of a write, in a pipeline or alone, into Fenced."""
    try:
        yield
    except ResponseError as error:
        if "FENCED epoch" not in str(error):
            raise
        raise Fenced(f"The write was refused, its {str(error).partition('FENCED ')[2]}") from error
