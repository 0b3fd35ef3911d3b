"""Which bars of a pair a follower was told, so that none is told twice. Pure."""

STRETCHES_KEPT = 64  # of a pair whose quiet bars are left out every other one


class Told:
    """The stretches of a pair whose bars were told, newest last; of old ones only the newest."""

    def __init__(self) -> None:
        self._stretches: list[list[int]] = []  # half-open, ascending, apart from each other

    @property
    def end_ms(self) -> int:
        """The end of the newest bar that was told, 0 for none."""
        return self._stretches[-1][1] if self._stretches else 0

    @property
    def begin_ms(self) -> "int | None":
        """From when on it is known what was told, None where nothing was."""
        return self._stretches[0][0] if self._stretches else None

    def has(self, open_ms: int) -> bool:
        return any(since <= open_ms < until for since, until in reversed(self._stretches))

    def add(self, open_ms: int, end_ms: int) -> None:
        """Learn that a bar was told."""
        last = self._stretches[-1] if self._stretches else None
        if last and last[1] == open_ms:  # as nearly always
            last[1] = end_ms
            return
        self._stretches.append([open_ms, end_ms])
        if last and last[1] > open_ms:
            self._stretches = _joined(sorted(self._stretches))
        del self._stretches[:-STRETCHES_KEPT]


def _joined(stretches: list[list[int]]) -> list[list[int]]:
    found: list[list[int]] = []
    for since, until in stretches:
        if found and since <= found[-1][1]:
            found[-1][1] = max(found[-1][1], until)
        else:
            found.append([since, until])
    return found
