"""What is raised, as a tree: by what its reader does next."""

from collections.abc import Sequence

Stretch = tuple[int, int]  # half-open, UTC epoch milliseconds


class ReaderError(Exception):
    """All that this package raises on purpose; its text is one line for a person."""


class BadRequest(ReaderError, ValueError):
    """What was asked for is wrong: a name, a time, a number."""


class Unavailable(ReaderError):
    """What is true can't be told now: ask again later."""


class MissingCandles(ReaderError):
    """Candles are missing that were asked for; `missing` are the stretches, ascending."""

    def __init__(self, text: str, missing: Sequence[Stretch] = ()):
        super().__init__(text)
        self.missing = tuple(missing)


class Stale(MissingCandles):
    """The newest closed candle isn't there: what is there is older than it looks."""


class Incomplete(MissingCandles):
    """A hole is in what is there, or it begins later than was asked for."""


class Gap(ReaderError):
    """Closes are missing between two ids: those behind `after` are no longer kept.

    `oldest` is the id to go on with, as `since`, by who takes that.
    """

    def __init__(self, text: str, after: str, oldest: str):
        super().__init__(text)
        self.after = after
        self.oldest = oldest


class Missing(ReaderError, ImportError):
    """A package is needed that isn't installed; the text says what to install."""
