"""The table in docs/venues.md, made of what the venues say of themselves.

`python -m tests.venues` prints it, with `--write` it writes it into the document.
"""

import re
import sys
from pathlib import Path

from exchanges.rest.reply import QuietBars
from exchanges.symbols.listed import KINDS, SPOT, kind_of
from exchanges.venue import Venue
from exchanges.venues import VENUES
from livermore.market.timeframe import SHORTEST_FIRST

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs/venues.md"
COLUMNS = (
    *("venue", "rows that are there", "kinds", "minutes without trades", "told of the past"),
    *("closes", "streamed", "limit of REST", "bulk files", "seen live"),
)
HEAD = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"
TABLE = re.compile(re.escape(HEAD) + r"(?:\|.*\n)+")
QUIET = {QuietBars.FILLS: "a row", QuietBars.OMITS: "no row"}


def page_of(venue: Venue) -> str:
    """Return the page that takes a newcomer to a venue; ValueError where there is none."""
    name = f"{venue.name.replace('_', '-')}.md"
    for page in (name, f"handoff-{name}"):
        if (ROOT / "docs" / page).exists():
            return page
    if {preset.name for preset in venue.presets} & {"binance_us", "coinbase"}:
        return "handoff-binance-us.md"
    raise ValueError(f"docs/ has no page {name}")


def row(venue: Venue) -> str:
    """Return a venue's line of the table."""
    depth = venue.rest.depth_rows
    cells = (
        f"[{venue.label}]({page_of(venue)})",
        ", ".join(_preset(each.name, each.is_active) for each in venue.presets),
        _kinds(venue),
        QUIET[venue.quiet_bars],
        f"the newest {depth} bars" if depth else "all",
        "flagged" if venue.marks_closed_bars else "no flag",
        _streamed(venue),
        _limit(venue),
        "yes" if venue.archive else "none",
        "yes" if venue.seen_live else "**no**",
    )
    return f"| {' | '.join(cells)} |\n"


def table() -> str:
    """Return the table as the document has it."""
    return HEAD + "".join(map(row, VENUES.values()))


def written() -> str:
    """Return the document with the table as the venues are."""
    text, count = TABLE.subn(lambda found: table(), DOCUMENT.read_text(encoding="utf-8"))
    if count != 1:
        raise ValueError(f"{DOCUMENT.name} has {count} tables of venues")
    return text


def _preset(name: str, is_active: bool) -> str:
    return f"`{name}`" + ("" if is_active else " (inactive)")


def _kinds(venue: Venue) -> str:
    symbols = [each for preset in venue.presets for each in preset.default_symbols or ()]
    found = {kind_of(each) for each in symbols} or {SPOT}
    return ", ".join(each for each in KINDS if each in found)


def _streamed(venue: Venue) -> str:
    base = venue.stream.rolls_up_from
    if base is None:
        return "all six"
    told = [str(each) for each in SHORTEST_FIRST if each.ms <= base.ms]
    return f"{', '.join(told)}; the others are made of these"


def _limit(venue: Venue) -> str:
    if venue.weight:
        return f"weight, {venue.weight.until_known.weight_per_minute:,} a minute until it is told"
    if venue.calls is None:
        return "not known"
    unit = "second" if venue.calls.per_seconds == 1 else f"{venue.calls.per_seconds:g} s"
    said = "" if venue.calls.is_published else ", as it once said"
    calls = "a call" if venue.calls.calls == 1 else f"{venue.calls.calls} calls"
    return f"{calls} in {unit.replace('second', 'a second')}{said}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        DOCUMENT.write_text(written(), encoding="utf-8")
    else:
        print(table(), end="")
