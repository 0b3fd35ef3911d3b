"""How this installation names what it has in Redis: what it puts before names, and into them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Naming:
    """What stands before every name, whether names have tags, what begins those of the pacing."""

    prefix: str = ""
    tagged: bool = False
    pacing: str = ""


_current = Naming()


def name_as(naming: Naming) -> Naming:
    """Name everything so from now on, in this process; return how it was until now.

    To be said before anything is named: what has a name keeps it.
    """
    global _current
    before, _current = _current, naming
    return before


def current() -> Naming:
    """Return how everything is named."""
    return _current


def named(name: str) -> str:
    """Return a name as this installation has it."""
    return _current.prefix + name


def shared(name: str) -> str:
    """Return a name that installations may share: of what they use up together."""
    return _current.pacing + name


def tag(text: int | str) -> int | str:
    """Return the part of names by which Redis Cluster keeps them in one slot."""
    return f"{{{text}}}" if _current.tagged else text
