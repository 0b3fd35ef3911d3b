"""What becomes known of a request while it is answered, wherever in the code that is."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

HIT, MISS, WAIT = "hit", "miss", "wait"


class Asked:
    """A request that is answered; `waited` tells that another one had what it lacks fetched.

    For `held_seconds` it was held because it had asked for that. `client` is who sent it.
    """

    __slots__ = ("client", "held_seconds", "waited")

    def __init__(self) -> None:
        self.client = ""
        self.waited = False
        self.held_seconds = 0.0

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


def note_client(client: str) -> None:
    """Learn who sent the current request."""
    if asked := _current.get():
        asked.client = client


def current_client() -> str:
    """Return who sent the request that is answered here, "" for nobody or for many together."""
    asked = _current.get()
    return asked.client if asked else ""


def for_all() -> None:
    """Learn that this task goes on for whoever asks: it is no client's."""
    _current.set(None)


def note_waiting() -> None:
    """Learn that the current request waits for what another one has begun."""
    if asked := _current.get():
        asked.waited = True


@contextmanager
def held() -> Iterator[None]:
    """Take the time of a block for one for which the current request asked to be held."""
    began = time.monotonic()
    try:
        yield
    finally:
        if asked := _current.get():
            asked.held_seconds += time.monotonic() - began
