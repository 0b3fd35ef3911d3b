"""Numbers as a person reads them. Pure."""


def duration(ms: float) -> str:
    """Return a length of time, such as `0.4 s`, `35 s` or `12 min`."""
    seconds = max(ms, 0) / 1000
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def count(number: int, what: str) -> str:
    """Return a number of things, such as `1 stream` or `1,200 streams`."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")
