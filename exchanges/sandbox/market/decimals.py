"""Whole numbers of ticks and lots, written the way exchanges write decimals."""


def fixed(units: int, decimals: int) -> str:
    """Write `units` of 10^-decimals with all its decimals: (150, 2) is "1.50"."""
    sign, units = ("-", -units) if units < 0 else ("", units)
    whole, part = divmod(units, 10**decimals)
    return f"{sign}{whole}.{part:0{decimals}d}" if decimals else f"{sign}{whole}"


def eight(units: int, decimals: int) -> str:
    """Write `units` of 10^-decimals with eight decimals.

    A market that moves in finer steps gets all of its own.
    """
    missing = max(0, 8 - decimals)
    return fixed(units * 10**missing, decimals + missing)


def short(units: int, decimals: int) -> str:
    """Write `units` of 10^-decimals without trailing zeros."""
    text = fixed(units, decimals)
    return text.rstrip("0").rstrip(".") if decimals else text
