"""Sets of stretches of time: half-open, ascending, apart from each other. Pure."""

from collections.abc import Iterable, Sequence

from livermore_reader.errors import Stretch

Stretches = tuple[Stretch, ...]


def union(stretches: Iterable[Stretch]) -> Stretches:
    """Return what is in any of them."""
    found: list[Stretch] = []
    for start, end in sorted(stretches):
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return tuple(found)


def missing(known: Sequence[Stretch], start: int, end: int) -> Stretches:
    """Return what of `[start, end)` is in none of them."""
    found = []
    for since, until in known:
        if until <= start:
            continue
        if since >= end:
            break
        if start < since:
            found.append((start, since))
        start = until
    if start < end:
        found.append((start, end))
    return tuple(found)


def both(known: Sequence[Stretch], others: Sequence[Stretch]) -> Stretches:
    """Return what is in both."""
    if known == others:
        return tuple(known)
    return union(
        (max(each[0], other[0]), min(each[1], other[1])) for each in known for other in others
    )
