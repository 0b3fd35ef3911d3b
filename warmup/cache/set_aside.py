"""Pairs one of whose keys is not ours, and how scripts say so."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import ResponseError

from exchanges.lock import fencing
from exchanges.redis.unreadable import Unreadable, of_type


class SetAside(Unreadable):
    """A pair one of whose keys is not ours: nothing of it is read or written till it goes.

    It is of another type, or its candles begin or end where none opens. Its text says which, and
    what a person does about it.
    """

    def __init__(self, fault: str):
        """`fault` is as scripts say it: the key, and its type and which it should be, or why."""
        name, _, kinds = fault.partition(" is a ")
        if kinds:
            found, _, wanted = kinds.partition(", not a ")
            fault = of_type(name, found, wanted)
        else:
            name, wanted = fault.partition(" holds ")[0], "zset"
        names = [name]
        if wanted == "zset":  # without its candles a pair's coverage says nothing
            names.append(f"coverage{name.removeprefix('candles')}")
        super().__init__(fault, *names)


def is_aside(error: Exception) -> bool:
    """Tell whether a script refused a pair that is to be set aside."""
    return isinstance(error, ResponseError) and "ASIDE " in str(error)


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what a script of ours refuses into Fenced or SetAside."""
    try:
        with fencing.refusals():
            yield
    except ResponseError as error:
        if not is_aside(error):
            raise
        raise SetAside(str(error).partition("ASIDE ")[2]) from error
