"""What a person reads of an exchange: one card, all of its texts made here. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from exchanges.errors import CLIP_OURS, clip
from exchanges.lock.status import ENDED, State
from exchanges.models import Exchange
from exchanges.rest.pacing import Usage
from livermore.market.timeframe import SHORTEST_FIRST
from warmup.network.page.cells import ASIDE, COLD, GONE, HALTED, HOLED, REPAIRING, WAITING
from warmup.network.page.exchange_view import ExchangeRow, ExchangeView
from warmup.progress import present_warmup
from warmup.readable import count, duration, moment
from warmup.runner.command_log import Entry
from warmup.runner.trouble import Trouble, stream_remedy, without_number

Card = dict[str, Any]

STALE, NO_REDIS = "stale", "Stale: Redis does not answer"
FAULT = "Can't be shown: a fault of Livermore's own"
NO_GRID = {"timeframes": list(SHORTEST_FIRST), "symbols": [], "rows": []}
UNKNOWN = "–"
CONNECTABLE = (State.OFFLINE, State.IDLE, *ENDED)
SILENCE_MS = 10_000  # so long who just took the lock may say nothing
SKEW_MS = 2_000
POLLED_NAMED = 10
GROUPS = ("error", "running", "idle")
CONNECTING = "connecting"
LEAST_TOLD_MS = 50  # what took less was done at once
HEADERS = " -+-+- "  # before what the library adds to a handshake that was refused


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
    trouble = _trouble_of(view, wanted, now_ms)
    state = _state(view, wanted, agent_alive, now_ms)
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
        "troubled": state == State.ACTIVE and bool(_trouble(details, row)),
        "stateText": _state_text(state, view, wanted, trouble, row),
        "lockHeld": bool(view and (view.holder or view.lock_fault)),
        "buttons": _buttons(state, view, wanted),
        "lines": {
            **_lines(row, view, grid, now_ms),
            **_trouble_lines(trouble),
            "hint": _hint(row),
            "wanted": _wanted(row, view, agent_alive, trouble),
        },
        "times": {
            "connectedSince": _since(view),
            "newestClose": _newest_close(view, details, now_ms),
            "heartbeat": _heartbeat(view, now_ms) if view else None,
            "action": row.action.at_ms if row.action else None,
            "wanted": row.asked.at_ms if row.asked else None,
            "warmup": warmup["updatedAt"] if warmup and not warmup["alive"] else None,
            "retryAt": trouble.retry_at_ms if trouble else None,
        },
        "sparkline": list(details.get("frameRates") or ()),
        "warmup": warmup,
        "commands": _commands(view),
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
    trouble = state == State.ACTIVE and _trouble(details, row)
    if trouble and trouble != CONNECTING:
        return "error"
    return "running" if wanted or (view and view.holder) else "idle"


def by_need(cards: Iterable[Card]) -> list[Card]:
    """Return cards in the order in which they need somebody, by name where that is the same."""
    return sorted(cards, key=lambda card: (GROUPS.index(card["group"]), card["name"]))


def _since(view: ExchangeView | None) -> int | None:
    return view.holder.connected_since if view and view.holder else None


def _current(view: ExchangeView | None) -> Mapping[str, Any]:
    """Return what the holder counts, nothing where that may be of long ago."""
    return view.status.details if view and view.holder and not view.late else {}


def unheard(card: Card) -> Card:
    """Return the last known card of an exchange of which Redis doesn't tell any more."""
    return card | {"state": STALE, "stateText": NO_REDIS, "buttons": ["setup"]}


def faulty(row: ExchangeRow, now_ms: int) -> Card:
    """Return the card of an exchange of which something can't be understood that should be."""
    return present(row, None, NO_GRID, False, now_ms) | {"stateText": FAULT}


# -- The state


def _state(view: ExchangeView | None, wanted: bool, agent_alive: bool, now_ms: int) -> str:
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


def _state_text(
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
        phase = _trouble(view.status.details, row) or phase
    done, total = (view.status.details.get(name) for name in ("done", "total"))
    if state == State.WARMING and isinstance(done, int) and isinstance(total, int):
        phase += f", {done:,} of {count(total, 'pair')}"
    if not phase or phase == state:
        return state.capitalize()
    return f"{state.capitalize()}: {clip(phase, CLIP_OURS)}"


def _trouble_of(view: ExchangeView | None, wanted: bool, now_ms: int) -> Trouble | None:
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


def _trouble(details: Mapping[str, Any], row: ExchangeRow) -> str:
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


def _buttons(state: str, view: ExchangeView | None, wanted: bool) -> list[str]:
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


# -- The lines


def _lines(
    row: ExchangeRow, view: ExchangeView | None, grid: Mapping[str, Any], now_ms: int
) -> dict[str, str]:
    details = _current(view)
    holder = view.holder if view else None
    rate = details.get("framesPerSecond")
    return {
        "host": holder.hostname if holder else UNKNOWN,
        "address": holder.ip if holder else UNKNOWN,
        "pid": str(holder.pid) if holder else UNKNOWN,
        "symbols": _symbols(row, details),
        "polled": polled_text(details.get("polledPairs") or {}),
        "rate": UNKNOWN if rate is None else f"{rate:,.1f} frames/s",
        "reconnects": _reconnects(details),
        "holes": _holes(grid),
        "unreadable": _unreadable(view, details, grid),
        "weight": _weight(row.exchange, view.usage, now_ms) if view else UNKNOWN,
        "key": _key(row.exchange),
        "action": f"{row.action.who}: {row.action.what}" if row.action else "",
    }


def _key(exchange: Exchange) -> str:
    """Return whose key is chosen; whether it can be used is a check's to say."""
    if exchange.account is None:
        return "none is chosen: public candles only"
    return f"{exchange.account} of {exchange.account.user}"


def _commands(view: ExchangeView | None) -> list[dict[str, Any]]:
    """Return the last commands, the newest first: who, when, how long, what came of it."""
    epoch = view.holder.epoch if view and view.holder else None
    return [_command(entry, epoch) for entry in view.commands] if view else []


def _command(entry: Entry, epoch: int | None) -> dict[str, Any]:
    is_running = entry.ended_at is None and epoch is not None and entry.epoch == epoch
    state = "running" if is_running else "failed"
    result = entry.result
    if is_running:
        result = f"{entry.done:,} of {count(entry.total, 'pair')}" if entry.total else "begins"
    elif entry.ended_at is None:
        result = "broken off"
    else:
        state = "done" if entry.ok else "failed"
        if (took_ms := entry.ended_at - entry.started_at) >= LEAST_TOLD_MS:
            result = ", ".join(filter(None, (result, f"in {duration(took_ms)}")))
    return {
        "id": entry.id,
        "what": entry.what,
        "who": entry.who,
        "at": entry.started_at,
        "state": state,
        "result": result or state,
        "percent": round(100 * entry.done / entry.total, 1) if entry.total else 0,
    }


def _trouble_lines(trouble: Trouble | None) -> dict[str, str]:
    """Return what is wrong, what to do, and who tries again; the time when is told beside it."""
    if trouble is None:
        return {"trouble": "", "remedy": "", "tries": ""}
    again = "tries again" if trouble.retry_at_ms else "is trying again now"
    return {
        "trouble": trouble.text,
        "remedy": trouble.remedy,
        "tries": f"{trouble.hostname} {again}",
    }


def _hint(row: ExchangeRow) -> str:
    """Return what is missing before anything could be kept warm, "" where nothing is."""
    if row.symbols:
        return ""
    exchange = row.exchange
    asked_for = exchange.wanted == Exchange.Wanted.RUNNING and exchange.wanted_at
    if exchange.listed_at is None and asked_for:
        return "Its symbols were never fetched: who runs it does that first."
    if exchange.listed_at is None:
        return "Its symbols were never fetched: Connect does that, or “Sync symbols” alone."
    return "No symbol is monitored, so nothing is kept warm: choose some with “Symbols…”."


def _wanted(
    row: ExchangeRow, view: ExchangeView | None, agent_alive: bool, trouble: Trouble | None
) -> str:
    """Return who keeps it running, or who stopped it; the time of that is told beside it."""
    holder = view.holder if view else None
    if row.exchange.wanted == Exchange.Wanted.RUNNING:
        text = "kept running by an agent"
        if not agent_alive:
            text = "no agent is alive to keep it running" if holder else "waits for an agent"
        if trouble and agent_alive:
            text = "an agent goes on trying"
        return f"{text}, as {row.asked.who} asked" if row.asked else text
    if holder:
        return "runs until it ends: no agent keeps it running"
    return (
        f"stopped by {row.asked.who}" if row.asked else "not started: Connect lets an agent run it"
    )


def _symbols(row: ExchangeRow, details: Mapping[str, Any]) -> str:
    trading = len(row.symbols) - len(row.idle)
    text = count(details.get("symbols", trading), "symbol")
    if details.get("connections"):
        streams, connections = details.get("streams", 0), details["connections"]
        text += f", {count(streams, 'stream')} on {count(connections, 'connection')}"
    for status, many in Counter(row.idle.values()).most_common():
        text += f", {many:,} {status}"
    if waiting := details.get("historiesWaiting"):
        trouble = details.get("historiesTrouble")
        text += f"; history of {waiting:,} {f'waits: {clip(trouble)}' if trouble else 'is fetched'}"
    return "; ".join((text, *row.offers))


def polled_text(pairs: Mapping[str, Sequence[str]]) -> str:
    """Return which symbols the exchange refuses to stream, wholly or in part; "" where none."""
    if not pairs:
        return ""
    more = len(pairs) - POLLED_NAMED
    named = ", ".join(list(pairs)[:POLLED_NAMED])
    return f"{len(pairs):,} polled: {named}{f' and {more:,} more' if more > 0 else ''}"


def _unreadable(
    view: ExchangeView | None, details: Mapping[str, Any], grid: Mapping[str, Any]
) -> str:
    """Return which keys hold what nobody of ours wrote, and what to do; "" where none does."""
    lines = [view.lock_fault] if view and view.lock_fault else []
    if details.get("unreadable"):
        lines.append(details["unreadable"])
    aside = Counter("".join(grid["rows"]))[ASIDE]
    if aside:
        named = grid.get("aside", ())
        more = f"; and {aside - len(named):,} more" if aside > len(named) else ""
        lines.append(f"{count(aside, 'pair')} set aside: {'; '.join(named)}{more}")
    return ". ".join(map(str, lines))


def _reconnects(details: Mapping[str, Any]) -> str:
    if "connections" not in details:
        return UNKNOWN
    return f"{details['reconnects']:,}" if details.get("reconnects") else "none"


def _holes(grid: Mapping[str, Any]) -> str:
    letters = Counter("".join(grid["rows"]))
    for code in (HALTED, GONE):  # nobody asks for what they lack
        del letters[code]
    if not letters:
        return UNKNOWN
    known = (
        (HOLED, "with holes"),
        (COLD, "cold"),
        (REPAIRING, "being repaired"),
        (WAITING, "waiting for the exchange"),
        (ASIDE, "set aside"),
    )
    parts = [f"{letters[code]:,} {what}" for code, what in known if letters[code]]
    return f"{', '.join(parts)} of {count(letters.total(), 'pair')}" if parts else "none known"


def _weight(exchange: Exchange, usage: Usage, now_ms: int) -> str:
    if usage.banned_ms:
        until = moment(usage.banned_until_ms or now_ms + usage.banned_ms, now_ms)
        return f"banned by the exchange until {until}; Livermore waits and goes on by itself"
    if usage.refused_ms:
        return f"turned away (HTTP 403), tried again in {duration(usage.held_ms)}"
    if usage.held_ms:
        return f"held for {duration(usage.held_ms)}, as asked"
    if exchange.pacing == Exchange.Pacing.BATCH:
        pause = f"{exchange.batch_delay_ms / 1000:g} s"
        return f"not counted: {count(exchange.batch_size, 'call')} at once, then {pause}"
    used = f"{usage.weight or 0:,}"
    if not usage.weight_limit:
        return f"{used} a minute; its limit is asked for when it starts"
    return f"{used} of {usage.weight_limit:,} a minute"
