"""How complete, how old and from where: in words that nobody reads past. Pure."""

from collections.abc import Iterable, Sequence

from livermore_reader.candles import Candles, Row
from livermore_reader.errors import Stretch
from livermore_reader.times import length_ms, utc

SHOWN = 20  # stretches, or pairs, that are named
SOURCES = {
    "stream": "the exchange's stream",
    "healed": "the exchange's REST interface, where its stream had failed",
    "rest": "the exchange's REST interface",
    "derived": "made of complete shorter candles",
    "history": "the history that Livermore keeps",
}
UNITS = ((86_400, "days"), (3_600, "h"), (60, "min"))


def standing(found: Candles) -> str:
    """Return what can be said of candles, the verdict first."""
    return "\n".join([verdict(found), age(found), source([found.source])])


def verdict(found: Candles) -> str:
    count = candles_in(found.missing, found.timeframe)
    if found.is_stale:
        return (
            "STALE AND INCOMPLETE, DO NOT RELY ON IT: the newest closed candle is missing; what is "
            f"there is older than it looks. Missing: {stretches(found.missing, found.timeframe)}."
        )
    if found.missing:
        return (
            f"INCOMPLETE, DO NOT RELY ON IT: {count} candles are missing and unknown. "
            f"Missing: {stretches(found.missing, found.timeframe)}."
        )
    return (
        "COMPLETE: no closed candle of what was asked for is missing. A bar that is not listed "
        "had no trade."
    )


def age(found: Candles) -> str:
    if found.age_ms is None or found.newest_close_ms is None:
        return "Age: no closed candle of this pair is known."
    return (
        f"Age: the newest closed candle that is known of this pair ended {ago(found.age_ms)}, at "
        f"{utc(found.newest_close_ms)}, by the exchange's clock (now {utc(found.now_ms)})."
    )


def source(kinds: Iterable[str | None]) -> str:
    """Return where candles come from; None among the kinds is that this isn't known."""
    named = {each.strip() for kind in kinds if kind for each in kind.split(",")}
    told = [SOURCES.get(each, each) for each in sorted(named)]
    return f"Source: Livermore's cache; {', and '.join(told) or 'how they came there is not told'}."


def ago(age_ms: int) -> str:
    """Return an age as a person says it."""
    seconds = age_ms / 1000
    for length, unit in UNITS:
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.1f} s ago"


def stretches(missing: Sequence[Stretch], timeframe: str) -> str:
    """Return what is missing, the newest first."""
    named = [
        f"{candles_in([each], timeframe)} from {utc(each[0])} to {utc(each[1])}"
        for each in reversed(missing)
    ]
    more = [f"and {len(named) - SHOWN} stretches more"] if len(named) > SHOWN else []
    return "; ".join(named[:SHOWN] + more) or "none"


def candles_in(missing: Sequence[Stretch], timeframe: str) -> int:
    return sum(end - start for start, end in missing) // length_ms(timeframe)


def table(found: Candles, columns: Sequence[str]) -> list[str]:
    """Return candles as lines of CSV, with a line where some are missing."""
    lines = [",".join(columns)]
    holes = list(found.missing)
    for row in found.rows:
        while holes and holes[0][0] < row[0]:
            lines.append(_hole(holes.pop(0), found.timeframe))
        lines.append(_line(row, columns))
    lines += [_hole(each, found.timeframe) for each in holes]
    if found.open_row:
        lines.append("# The next candle is OPEN: it changes until it closes.")
        lines.append(_line(found.open_row, columns))
    return lines


def _hole(stretch: Stretch, timeframe: str) -> str:
    return f"# MISSING: {stretches([stretch], timeframe)}"


def _line(row: Row, columns: Sequence[str]) -> str:
    values = ["" if value is None else str(value) for value in row[1 : len(columns)]]
    return ",".join([utc(row[0]), *values])
