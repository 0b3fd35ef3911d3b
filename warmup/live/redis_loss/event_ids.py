"""The ids that events get: chosen here, so that one that is sent again has the one that it had."""


class EventIds:
    """Numbers the events of one exchange, by Redis's clock, behind all that were told before.

    Who has read an event that Redis lost is so not told it again when it comes back.
    """

    def __init__(self):
        self._ms = 0
        self._number = 0  # of the last id that was used
        self._sent = 0  # closes that were sent, of which nobody knows what became

    def follow(self, newest: tuple[int, int]) -> None:
        """Go on behind this id, unless that is done already."""
        self._ms, self._number = max((self._ms, self._number), newest)

    def before_next(self, now_ms: int, count: int) -> tuple[int, int]:
        """Return the id before that of the first of `count` closes which are sent now."""
        if not self._sent and now_ms > self._ms:
            self._ms, self._number = now_ms, 0
        self._sent = max(self._sent, count)
        return self._ms, self._number

    def arrived(self, count: int) -> None:
        """Learn that the first `count` of what was sent is there."""
        self._number += count
        self._sent -= count
