"""What a person sees of an exchange: one card, put together from its state and its lines. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from exchanges.lock.status import State
from exchanges.models import Exchange
from livermore.market.timeframe import SHORTEST_FIRST
from warmup.network.page.card_lines import command_lines, hint, lines_of, trouble_lines, wanted_line
from warmup.network.page.card_state import (
    CONNECTING,
    NO_REDIS,
    STALE,
    buttons,
    state_of,
    state_text,
    stream_fault,
    trouble_of,
)
from warmup.network.page.exchange_view import ExchangeRow, ExchangeView
from warmup.progress import present_warmup

Card = dict[str, Any]

FAULT = "Can't be shown: a fault of Livermore's own"
NO_GRID = {"timeframes": list(SHORTEST_FIRST), "symbols": [], "rows": []}
SKEW_MS = 2_000
GROUPS = ("error", "running", "idle")


def present(
    row: ExchangeRow,
    view: ExchangeView | None,
    grid: Mapping[str, Any],
    agent_alive: bool,
    now_ms: int,
) -> Card:
    """Return the card of an exchange, less its version; `view` None where Redis is silent."""
    exchange = row.exchange
    wanted = exchange.wanted == Exchange.Wanted.RUNNING
    trouble = trouble_of(view, wanted, now_ms)
    state = state_of(view, wanted, agent_alive, now_ms)
    if trouble and state != State.ACTIVE:
        state = State.ERROR
    details = _current(view)
    warmup = None
    if view and view.stats:
        warmup = present_warmup(view.stats, view.schedule, now_ms, "".join(grid["rows"]))
    return {
        "exchangeId": exchange.pk,
        "name": exchange.name,
        "displayName": str(exchange),
        "state": state,
        "group": _group(state, view, wanted, details, row),
        "wanted": wanted,
        "troubled": state == State.ACTIVE and bool(stream_fault(details, row)),
        "stateText": state_text(state, view, wanted, trouble, row),
        "lockHeld": bool(view and (view.holder or view.lock_fault)),
        "buttons": buttons(state, view, wanted),
        "lines": {
            **lines_of(row, view, details, grid, now_ms),
            **trouble_lines(trouble),
            "hint": hint(row),
            "wanted": wanted_line(row, view, agent_alive, trouble),
        },
        "times": {
            "connectedSince": _since(view),
            "newestClose": _newest_close(view, details, now_ms),
            "heartbeat": _heartbeat(view, now_ms) if view else None,
            "action": row.action.at_ms if row.action else None,
            "audit": _audited(row),
            "wanted": row.asked.at_ms if row.asked else None,
            "warmup": warmup["updatedAt"] if warmup and not warmup["alive"] else None,
            "retryAt": trouble.retry_at_ms if trouble else None,
        },
        "sparkline": list(details.get("frameRates") or ()),
        "warmup": warmup,
        "commands": command_lines(view),
        "grid": grid,
        "polled": details.get("polledPairs") or {},
    }


def _group(
    state: str,
    view: ExchangeView | None,
    wanted: bool,
    details: Mapping[str, Any],
    row: ExchangeRow,
) -> str:
    """Return how much an exchange needs somebody, which is where its card stands: see GROUPS."""
    if state in (State.ERROR, STALE):
        return "error"
    trouble = state == State.ACTIVE and stream_fault(details, row)
    if trouble and trouble != CONNECTING:
        return "error"
    return "running" if wanted or (view and view.holder) else "idle"


def by_need(cards: Iterable[Card]) -> list[Card]:
    """Return cards in the order in which they need somebody, by name where that is the same."""
    return sorted(cards, key=lambda card: (GROUPS.index(card["group"]), card["name"]))


def _since(view: ExchangeView | None) -> int | None:
    return view.holder.connected_since if view and view.holder else None


def _audited(row: ExchangeRow) -> int | None:
    ended_at = row.audit.ended_at if row.audit else None
    return int(ended_at.timestamp() * 1000) if ended_at else None


def _current(view: ExchangeView | None) -> Mapping[str, Any]:
    """Return what the holder counts, nothing where that may be of long ago."""
    return view.status.details if view and view.holder and not view.late else {}


def without_redis(card: Card) -> Card:
    """Return the last known card of an exchange of which Redis doesn't tell any more."""
    return card | {"state": STALE, "stateText": NO_REDIS, "buttons": ["setup"]}


def faulty(row: ExchangeRow, now_ms: int) -> Card:
    """Return the card of an exchange of which something can't be understood that should be."""
    return present(row, None, NO_GRID, False, now_ms) | {"stateText": FAULT}


def _heartbeat(view: ExchangeView, now_ms: int) -> int | None:
    """Return when the status was written: as the holder says, if its clock is like Redis's."""
    if view.status_age_ms is None:
        return None
    written_ms = now_ms - view.status_age_ms
    told = view.status.heartbeat
    if isinstance(told, int) and abs(told - written_ms) < SKEW_MS:
        return told
    return written_ms // 1000 * 1000


def _newest_close(view: ExchangeView | None, details: Mapping[str, Any], now_ms: int) -> int | None:
    """Return when the newest bar ended, by our clock where the exchange's is another."""
    newest_ms = details.get("newestClose")
    time_ms = view.status.exchange_time_ms(view.status_age_ms or 0) if view else None
    if time_ms is None or not isinstance(newest_ms, int) or abs(now_ms - time_ms) < SKEW_MS:
        return newest_ms
    return (newest_ms + now_ms - time_ms) // 1000 * 1000
