"""What becomes known of a request while it is answered, wherever in the code that is."""

from contextvars import ContextVar

HIT, MISS, WAIT = "hit", "miss", "wait"


class Asked:
    """A request that is answered; `waited` tells that another one had what it lacks fetched."""

    __slots__ = ("waited",)

    def __init__(self) -> None:
        self.waited = False

    def outcome(self, cache_status: str) -> str:
        """Return how candles were got, by that header of the answer; "" where it has none."""
        if not cache_status:
            return ""
        if "; hit" in cache_status:
            return HIT
        return WAIT if self.waited else MISS


_current: ContextVar[Asked | None] = ContextVar("asked", default=None)


def begin() -> Asked:
    """Return what is known of the request that this task answers from now on."""
    asked = Asked()
    _current.set(asked)
    return asked


def note_waiting() -> None:
    """Learn that the current request waits for what another one has begun."""
    if asked := _current.get():
        asked.waited = True
