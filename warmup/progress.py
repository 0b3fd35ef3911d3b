"""What a person reads of a warmup, the one that runs or the last one. Pure."""

from collections.abc import Mapping
from typing import Any

from exchanges.errors import CLIP_OURS, clip
from warmup.network.exchange_view import Schedule
from warmup.stats import Status
from warmup.wording import duration

RUNNING = (Status.SCANNING, Status.EXECUTING)
SILENCE_MS = 10_000  # a warmup that lives says so every second
FAILURES_SHOWN = 100

Stats = Mapping[str, Any]


def present_warmup(stats: Stats, schedule: Schedule | None, now_ms: int) -> dict[str, Any]:
    """Return what the card tells of a warmup, from the stats as they are stored."""
    running = stats["status"] in RUNNING
    alive = running and now_ms - stats["updatedAt"] < SILENCE_MS
    # Until it has made its own, the schedule that is stored is that of the warmup before.
    is_own = schedule is not None and schedule.created_at >= stats["startedAt"]
    return {
        "status": stats["status"],
        "alive": alive,
        "percent": stats["percentComplete"],
        "line": _line(stats, running and not alive),
        "eta": f"about {duration(stats['etaMs'])} left" if alive and stats["etaMs"] else "",
        "counts": (
            f"{stats['completedPairs']:,} done, {stats['skippedPairs']:,} skipped, "
            f"{stats['failedPairs']:,} failed of {stats['totalPairs']:,}"
        ),
        "rate": _rate(stats, running, running and not alive),
        "schedule": [list(each) for each in schedule.counts] if is_own else [],
        "failures": stats["failures"][:FAILURES_SHOWN],
        "updatedAt": stats["updatedAt"],
        "error": clip(stats["error"], CLIP_OURS) if stats["error"] else None,
    }


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
