"""Which form of an answer a program wants, by its Accept header (RFC 9110, 12.5.1). Pure."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from serving.native.errors import NotAcceptable

QUALITY = re.compile(r"0(?:\.\d{0,3})?|1(?:\.0{0,3})?", re.ASCII)
ANY, ANY_KIND = "*/*", "/*"


class Range(NamedTuple):
    """What may be sent: `application/json`, `application/*` or `*/*`, and how much it is wanted."""

    media: str
    quality: float


def preferred(accept: str | None, offered: Sequence[str]) -> str:
    """Return which of the forms that are offered is wanted most, of equal ones the first.

    One that is named is wanted more than one that is merely not excluded. Raises NotAcceptable.
    """
    ranges = parse(accept or "") or [Range(ANY, 1.0)]
    best = max(offered, key=lambda each: _wanted(each, ranges))  # of equals it is the first
    if not _wanted(best, ranges)[0]:
        raise NotAcceptable(f"It can be told as {' or '.join(offered)}: none of them is accepted")
    return best


def is_wanted(accept: str | None, media: str) -> bool:
    """Tell whether a form is named by a header."""
    return any(each.media == media and each.quality for each in parse(accept or ""))


def parse(accept: str) -> list[Range]:
    """Return what a header says; a range whose weight can't be read is one that is not wanted."""
    found = []
    for part in filter(None, (each.strip() for each in accept.split(","))):
        media, *parameters = (each.strip().lower() for each in part.split(";"))
        weights = [each[2:].strip() for each in parameters if each.startswith("q=")]
        is_known = all(QUALITY.fullmatch(each) for each in weights)
        found.append(Range(media, float(weights[0]) if weights and is_known else float(is_known)))
    return found


def _wanted(media: str, ranges: Sequence[Range]) -> tuple[float, int]:
    """Return how much a form is wanted, and by how many words: the most exact range decides."""
    kind = media.partition("/")[0] + ANY_KIND
    for words, name in ((2, media), (1, kind), (0, ANY)):
        qualities = [each.quality for each in ranges if each.media == name]
        if qualities:
            return max(qualities), words
    return 0.0, 0
