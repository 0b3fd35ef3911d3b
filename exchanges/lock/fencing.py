"""Against late writes: Redis compares the writer's epoch with the current one inside the write."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import ResponseError

from exchanges.errors import Permanent
from exchanges.redis.scripts import load_script

SET_AND_PUBLISH = load_script("exchanges/lock/lua/set_and_publish.lua")


class Epoch(int):
    """The epoch of a lease, and whose it is, for `stamp`.

    Redis may give the same one twice where it lost the first: then the lock's instance decides.
    """

    instance_id: str

    def __new__(cls, number: int, instance_id: str) -> "Epoch":
        found = super().__new__(cls, number)
        found.instance_id = instance_id
        return found


def stamp(epoch: int | None) -> int | str:
    """Return an epoch as scripts take it, None being a writer that needs no lock.

    The script's last key has to be the lock then.
    """
    if isinstance(epoch, Epoch):
        return f"{int(epoch)}:{epoch.instance_id}"
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
