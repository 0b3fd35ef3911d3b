"""What a person reads of a warmup, the one that runs or the last one. Pure."""

from collections.abc import Mapping
from typing import Any

from exchanges.errors import CLIP_OURS, clip
from warmup.human_readable import count, duration
from warmup.network.page.cells import COLD, COMPLETE, GONE, HALTED, HOLED, QUIET
from warmup.network.page.exchange_view import Schedule
from warmup.stats import Status

RUNNING = (Status.SCANNING, Status.EXECUTING)
SILENCE_MS = 10_000  # a warmup that lives says so every second
FAILURES_SHOWN = 100
SETTLES_MS = 5_000  # so long after the end the cells may still be those of before
WELL = frozenset((COMPLETE, QUIET, HALTED, GONE))

Stats = Mapping[str, Any]


def present_warmup(
    stats: Stats, schedule: Schedule | None, now_ms: int, letters: str = ""
) -> dict[str, Any] | None:
    """Return what the card tells of a warmup, from the stats as they are stored.

    None where an ended one speaks no longer of what is there; `letters` are the grid's cells.
    """
    running = stats["status"] in RUNNING
    alive = running and now_ms - stats["updatedAt"] < SILENCE_MS
    if not alive and _is_outdated(stats, now_ms, set(letters)):
        return None
    # Until it has made its own, the schedule that is stored is that of the warmup before.
    is_own = schedule is not None and schedule.created_at >= stats["startedAt"]
    return {
        "status": stats["status"],
        "alive": alive,
        "percent": stats["percentComplete"],
        "line": _line(stats, running and not alive),
        "eta": f"about {duration(stats['etaMs'])} left" if alive and stats["etaMs"] else "",
        "left": f"{_left(stats):,} of {count(stats['totalPairs'], 'pair')} left" if alive else "",
        "counts": _counts(stats),
        "rate": _rate(stats, running, running and not alive),
        "schedule": [list(each) for each in schedule.counts] if schedule and is_own else [],
        "failures": stats["failures"][:FAILURES_SHOWN],
        "updatedAt": stats["updatedAt"],
        "error": clip(stats["error"], CLIP_OURS) if stats["error"] else None,
    }


def _counts(stats: Stats) -> str:
    if not (stats["totalPairs"] or stats["failedPairs"]):
        return f"nothing to fetch, {stats['skippedPairs']:,} skipped"
    return (
        f"{stats['completedPairs']:,} done, {stats['skippedPairs']:,} skipped, "
        f"{stats['failedPairs']:,} failed of {stats['totalPairs']:,}"
    )


def _is_outdated(stats: Stats, now_ms: int, letters: set[str]) -> bool:
    """Tell whether the cells say another thing than how the warmup ended."""
    if not letters or now_ms - stats["updatedAt"] < SETTLES_MS:
        return False
    if stats["status"] == Status.COMPLETE and not stats["failedPairs"]:
        return bool(letters & {COLD, HOLED})
    return letters <= WELL  # what failed was repaired since


def _left(stats: Stats) -> int:
    return max(0, stats["totalPairs"] - stats["completedPairs"] - stats["failedPairs"])


def _line(stats: Stats, is_dead: bool) -> str:
    pair = " ".join(filter(None, (stats["currentSymbol"], stats["currentTimeframe"])))
    if is_dead:
        return f"Broken off at {pair}" if pair else "Broken off"
    match stats["status"]:
        case Status.SCANNING:
            return "Looking what is cached"
        case Status.EXECUTING:
            return f"Warming: {pair}" if pair else "Warming"
        case Status.COMPLETE:
            return "Warmup complete" if stats["totalPairs"] else "Was warm already"
    return "Warmup ended by an error"


def _rate(stats: Stats, running: bool, is_dead: bool) -> str:
    if is_dead:
        return ""
    if running:
        rate = stats["pairsPerSecond"]
        return f"{rate:,.1f} pairs/s" if rate else ""
    return f"in {duration(stats['updatedAt'] - stats['startedAt'])}"
