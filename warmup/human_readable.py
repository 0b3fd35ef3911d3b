"""Numbers and times as a person reads them. Pure."""

from datetime import UTC, datetime

from livermore.market.coverage import Coverage

STRETCHES_NAMED = 5
DAY_MS = 86_400_000


def duration(ms: float) -> str:
    """Return a length of time, such as `0.4 s`, `35 s` or `12 min`."""
    seconds = max(ms, 0) / 1000
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def count(number: int, what: str) -> str:
    """Return a number of things, such as `1 stream` or `1,200 streams`."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def moment(ms: int, now_ms: int) -> str:
    """Return when something ends, such as `14:05 UTC`: to the second if it is soon.

    With the date where that is not today's.
    """
    is_soon = ms - now_ms < 120_000
    at = datetime.fromtimestamp((ms if is_soon else -(-ms // 60_000) * 60_000) / 1000, UTC)
    is_today = at.date() == datetime.fromtimestamp(now_ms / 1000, UTC).date()
    day = "" if is_today else f"{at:%Y-%m-%d} "
    return f"{day}{at:%H:%M:%S} UTC" if is_soon else f"{day}{at:%H:%M} UTC"


def coverage_in_words(coverage: Coverage) -> str:
    """Return which stretches are complete; the end is the moment before which."""
    if not coverage:
        return "nothing yet"
    named = [stretch_in_words(*each) for each in coverage[:STRETCHES_NAMED]]
    more = len(coverage) - len(named)
    gaps = len(coverage) - 1
    if not gaps:
        return f"{named[0]}, without a gap"
    rest = f" and {more} more stretches" if more else ""
    return f"{'; '.join(named)}{rest}: {gaps} gap{'s' if gaps > 1 else ''}"


def coverage_in_brief(coverage: Coverage) -> str:
    """Return from when to when it goes, and how many gaps are between."""
    if not coverage:
        return "nothing yet"
    gaps = len(coverage) - 1
    whole = stretch_in_words(coverage[0][0], coverage[-1][1])
    return f"{whole}, {count(gaps, 'gap')}" if gaps else f"{whole}, no gap"


def stretch_in_words(start_ms: int, end_ms: int) -> str:
    """Return from when to when a stretch goes; the end is the moment before which."""
    return f"{_day_or_time(start_ms)} to {_day_or_time(end_ms)}"


def _day_or_time(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return f"{moment:%Y-%m-%d}" if time_ms % DAY_MS == 0 else f"{moment:%Y-%m-%d %H:%M} UTC"
