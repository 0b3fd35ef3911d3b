"""Against late writes: Redis compares the writer's epoch with the current one inside the write."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import ResponseError

from exchanges.errors import Permanent

# For other scripts to begin with: `local refused = fence(KEYS[n], ARGV[m])`, then
# `if refused then return refused end`. '' as epoch is a writer that needs no lock.
FENCE = """
local function fence(epoch_key, epoch)
    local current = redis.call('GET', epoch_key)
    if epoch ~= '' and epoch ~= current then
        return redis.error_reply('FENCED epoch ' .. epoch .. ' is not the current one, '
            .. (current or 'there is none'))
    end
end
"""


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
