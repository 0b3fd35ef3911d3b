"""The lines of a card: what a person reads of an exchange. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from exchanges.errors import clip
from exchanges.models import AuditRun, Exchange
from exchanges.rest.pacing.usage import Usage
from exchanges.venues import VENUES
from warmup.human_readable import count, duration, moment
from warmup.network.page.cells import ASIDE, COLD, GONE, HALTED, HOLED, REPAIRING, WAITING
from warmup.network.page.exchange_view import ExchangeRow, ExchangeView
from warmup.runner.command_log import Entry
from warmup.runner.trouble import Trouble

UNKNOWN = "–"
POLLED_NAMED = 10
LEAST_TOLD_MS = 50  # what took less was done at once


def lines_of(
    row: ExchangeRow,
    view: ExchangeView | None,
    details: Mapping[str, Any],
    grid: Mapping[str, Any],
    now_ms: int,
) -> dict[str, str]:
    """Return what is told of any exchange; `details` are what its holder counts now."""
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
        "venue": _venue(row.exchange),
        **audit_lines(row.audit),
        "action": f"{row.action.who}: {row.action.what}" if row.action else "",
    }


def trouble_lines(trouble: Trouble | None) -> dict[str, str]:
    """Return what is wrong, what to do, and who tries again; the time when is told beside it."""
    if trouble is None:
        return {"trouble": "", "remedy": "", "tries": ""}
    again = "tries again" if trouble.retry_at_ms else "is trying again now"
    return {
        "trouble": trouble.text,
        "remedy": trouble.remedy,
        "tries": f"{trouble.hostname} {again}",
    }


def audit_lines(run: AuditRun | None) -> dict[str, str]:
    """Return what the last audit found well, and what not; how long ago is told beside it."""
    if run is None:
        return {"audit": "", "auditFault": "", "auditUnknown": "", "auditNone": "none yet"}
    faults, on = [], f"on {run.started_at:%Y-%m-%d}"
    if run.differing:
        faults.append(f"{run.differing:,} of {count(run.compared, 'candle')} {_differ(run)}")
    if run.second_beyond:
        faults.append(f"{run.second_beyond:,} far from {run.second or 'another exchange'}")
    is_fine = run.compared and not run.differing
    reason = f": {clip(run.reason)}" if run.reason else ""
    return {
        "audit": f"{count(run.compared, 'candle')} agree {on}" if is_fine else "",
        "auditFault": f"{'; '.join(faults)} {on}" if faults else "",
        "auditUnknown": f"{run.unknown:,} unknown {on}{reason}" if run.unknown else "",
        "auditNone": "" if run.compared or run.unknown else f"nothing was kept to compare {on}",
    }


def _differ(run: AuditRun) -> str:
    """Return which candles differ, such as the first of them."""
    if not run.differences:
        return "differ"
    first = run.differences[0]
    where = "the cache" if first["source"] == "cache" else "history"
    return f"differ, as {first['symbol']} {first['timeframe']} in {where}"


def hint(row: ExchangeRow) -> str:
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


def wanted_line(
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


def command_lines(view: ExchangeView | None) -> list[dict[str, Any]]:
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


def _key(exchange: Exchange) -> str:
    """Return whose key is chosen; whether it can be used is a check's to say."""
    if exchange.account is None:
        return "none is chosen: public candles only"
    return f"{exchange.account} of {exchange.account.user}"


def _venue(exchange: Exchange) -> str:
    """Return which protocol it speaks, and whether anybody has seen ours speak it."""
    venue = VENUES.get(exchange.venue)
    return f"{venue.label}, {venue.seen_in_words}" if venue else exchange.venue


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
