"""How an exchange is: its state, what is wrong with it, and what can be done to it. Pure."""

from collections.abc import Mapping
from typing import Any

from exchanges.errors import CLIP_OURS, clip
from exchanges.lock.status import ENDED, State
from warmup.human_readable import count
from warmup.network.page.exchange_view import ExchangeRow, ExchangeView
from warmup.runner.trouble import Trouble, stream_remedy, without_number

STALE, NO_REDIS = "stale", "Stale: Redis does not answer"
CONNECTABLE = (State.OFFLINE, State.IDLE, *ENDED)
SILENCE_MS = 10_000  # so long who just took the lock may say nothing
CONNECTING = "connecting"
HEADERS = " -+-+- "  # before what the library adds to a handshake that was refused


def state_of(view: ExchangeView | None, wanted: bool, agent_alive: bool, now_ms: int) -> str:
    """Return the state of an exchange; `view` is None where Redis is silent."""
    if view is None:
        return STALE
    state = view.status.state
    if view.lock_fault:
        return STALE
    if view.holder is None:
        if state in ENDED:
            return state
        # Whatever it said last, the lock is gone, so it is too.
        return State.IDLE if agent_alive and not wanted else State.OFFLINE
    if state is State.OFFLINE:  # it says nothing yet, or no longer
        just_begun = now_ms - view.holder.connected_since < SILENCE_MS
        return State.STARTING if just_begun else STALE
    return STALE if view.late else state


def state_text(
    state: str,
    view: ExchangeView | None,
    wanted: bool,
    trouble: Trouble | None,
    row: ExchangeRow,
) -> str:
    if view is None:
        return NO_REDIS
    if view.lock_fault:
        return "Stale: nobody knows who has it"
    if trouble and state == State.ERROR:
        return "Error: cannot connect"
    match state:
        case State.OFFLINE:
            return "Offline: waits for an agent" if wanted else "Offline"
        case State.IDLE:
            return "Idle: an agent is ready"
        case "stale":
            return f"Stale: no sign of life, was {view.status.state}"
    phase = view.status.phase
    if state == State.ACTIVE:
        phase = stream_fault(view.status.details, row) or phase
        if view.successor and view.holder:
            whom, other = view.holder.hostname, view.successor
            phase = f"{other.hostname} ({other.ip}) takes it over from {whom}"
    done, total = (view.status.details.get(name) for name in ("done", "total"))
    if state == State.WARMING and isinstance(done, int) and isinstance(total, int):
        phase += f", {done:,} of {count(total, 'pair')}"
    if not phase or phase == state:
        return state.capitalize()
    return f"{state.capitalize()}: {clip(phase, CLIP_OURS)}"


def trouble_of(view: ExchangeView | None, wanted: bool, now_ms: int) -> Trouble | None:
    """Return why the exchange can't be reached, None where it can, or nobody tries."""
    if view is None or view.lock_fault or (view.holder is None and not wanted):
        return None
    if view.holder and view.status.state is State.ACTIVE:
        return None if view.late else _stream_trouble(view, view.holder.hostname)
    found = view.trouble
    is_over = found and found.over_at_ms and found.over_at_ms <= now_ms
    return None if is_over else found


def _stream_trouble(view: ExchangeView, hostname: str) -> Trouble | None:
    details = view.status.details
    reason, retry_at_ms = details.get("streamTrouble"), details.get("streamRetryAt")
    if not isinstance(reason, str) or not reason or details.get("connections"):
        return None
    text = clip(without_number(reason.partition(HEADERS)[0]), CLIP_OURS)
    retry_at_ms = retry_at_ms if isinstance(retry_at_ms, int) else None
    return Trouble(f"no stream: {text}", stream_remedy(reason), hostname, retry_at_ms)


def stream_fault(details: Mapping[str, Any], row: ExchangeRow) -> str:
    """Return why nothing comes from a stream that should, "" where something does."""
    if not details.get("obeys"):  # whoever looks without a runner tells no more than it counts
        return ""
    if details.get("symbols") == 0:
        trades = "nothing that is monitored trades now"
        return trades if row.symbols else "no symbol is monitored"
    if not details.get("connections"):
        return "no connection, trying again" if details.get("streamTrouble") else CONNECTING
    is_quiet = details.get("silent") == 0  # nothing is due
    if details.get("framesPerSecond") == 0 and not is_quiet:
        return "connected, but nothing comes"
    odd = details.get("oddClock")
    return f"not believed: {odd}" if odd else ""


def buttons(state: str, view: ExchangeView | None, wanted: bool) -> list[str]:
    if view is None:
        return ["setup"]
    held = view.holder is not None
    makes_sense = {
        "connect": state in CONNECTABLE and not held,
        "take-over": held,
        "stop": held or wanted,
        "warmup": state == State.ACTIVE,
        "repair": state == State.ACTIVE,
        "add-symbols": True,
        "sync-symbols": True,
        "check": True,
        "setup": True,
    }
    return [name for name, sensible in makes_sense.items() if sensible]
