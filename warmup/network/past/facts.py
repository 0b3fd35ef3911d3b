"""What is so of an exchange at one moment, in the words of its card. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from exchanges.errors import clip
from exchanges.lock.status import ENDED, State
from exchanges.models import EpisodeKind as Kind
from exchanges.models import EpisodeTone as Tone
from exchanges.models import Exchange
from exchanges.rest.pacing.usage import Usage
from livermore.market.timeframe import Timeframe
from warmup.human_readable import moment
from warmup.metrics.completeness import Completeness
from warmup.network.page.card_state import (
    CONNECTING,
    NO_REDIS,
    STALE,
    state_of,
    state_text,
    stream_fault,
    trouble_of,
)
from warmup.network.page.exchange_view import ExchangeRow, ExchangeView

LONGEST = 300  # of a text in the database
COUNTERS = ("done", "total")  # of what is under way: they change all the time
HOLED = "Pairs with holes"
STALE_PAIRS = "Pairs without their newest candles"
BUSY = (State.STARTING, State.WARMING, State.STOPPING)


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is so: an episode of it lasts for as long as it has the same tone and text.

    `count` is how many pairs it is about. Of a run `run_id` is the instance id of its holder,
    `began_at_ms` when it began and `seen_at_ms` its last sign of life; None: now.
    """

    tone: str
    text: str
    count: int = 0
    run_id: str = ""
    began_at_ms: int | None = None
    seen_at_ms: int | None = None


Facts = dict[str, Fact | None]  # by kind; None: nothing of that kind. What is absent nobody knows


def facts_of(row: ExchangeRow, view: ExchangeView | None, now_ms: int) -> Facts:
    """Return what is so by what Redis says; `view` None where it does not answer."""
    found: Facts = {Kind.STATE: state_fact(row, view, now_ms)}
    if view is None:
        return found
    if not view.lock_fault:
        found[Kind.RUN] = _run(view, now_ms)
    return found | _held(view.usage, now_ms)


def state_fact(row: ExchangeRow, view: ExchangeView | None, now_ms: int) -> Fact:
    """Return the state of an exchange, and why it is so where that is known."""
    if view is None:
        return Fact(Tone.BAD, NO_REDIS)
    wanted = row.exchange.wanted == Exchange.Wanted.RUNNING
    trouble = trouble_of(view, wanted, now_ms)
    state = state_of(view, wanted, True, now_ms)
    if trouble and state != State.ACTIVE:
        state = State.ERROR
    text = state_text(state, _without_counters(view), wanted, trouble, row)
    if trouble:
        text = f"{text}: {trouble.text}"
    return Fact(_tone(state, view, wanted, row), text[:LONGEST])


def completeness_facts(found: Mapping[Timeframe, Completeness]) -> Facts:
    """Return whether pairs have holes, or lack their newest candles."""
    holed = sum(each.holed for each in found.values())
    stale = sum(each.stale for each in found.values())
    return {
        Kind.HOLES: Fact(Tone.BAD, HOLED, holed) if holed else None,
        Kind.STALE: Fact(Tone.BAD, STALE_PAIRS, stale) if stale else None,
    }


def how_it_ended(
    view: ExchangeView | None, run_id: str, replaced: str | None, now_ms: int
) -> tuple[str, int | None]:
    """Return how a run ended that goes on no more, and when its holder was seen last.

    The first is "" where it said no last word, the second None where Redis tells no more of it.
    `replaced` is the instance id from which the present holder was told to take the exchange.
    """
    if view is None:
        return "", None
    status = view.status
    if status.holder and status.holder.instance_id == run_id:
        seen_at_ms = None if view.status_age_ms is None else now_ms - view.status_age_ms
        words = f"{status.state}: {status.phase}" if status.phase else str(status.state)
        return words[:LONGEST] if status.state in ENDED else "", seen_at_ms
    if view.holder and replaced == run_id:
        return clip(f"taken over by {view.holder.hostname} ({view.holder.ip})"), None
    return "", None


def _tone(state: str, view: ExchangeView, wanted: bool, row: ExchangeRow) -> str:
    if state in (STALE, State.ERROR):
        return Tone.BAD
    if state == State.ACTIVE:
        fault = stream_fault(view.status.details, row)
        return Tone.BUSY if fault == CONNECTING else Tone.BAD if fault else Tone.GOOD
    if state in BUSY:
        return Tone.BUSY
    return Tone.BAD if wanted and state not in ENDED else Tone.BUSY if wanted else Tone.OFF


def _run(view: ExchangeView, now_ms: int) -> Fact | None:
    holder, age_ms = view.holder, view.status_age_ms
    if holder is None:
        return None
    told_by = view.status.holder
    is_own = told_by is not None and told_by.instance_id == holder.instance_id
    seen_at_ms = now_ms - age_ms if is_own and age_ms is not None else holder.connected_since
    text = f"{holder.hostname} ({holder.ip}), process {holder.pid}"
    return Fact(Tone.GOOD, clip(text), 0, holder.instance_id, holder.connected_since, seen_at_ms)


def _held(usage: Usage, now_ms: int) -> Facts:
    found: Facts = {Kind.BAN: None, Kind.PAUSE: None}
    if usage.banned_ms:
        until = moment(usage.banned_until_ms, now_ms)
        found[Kind.BAN] = Fact(Tone.BAD, f"Banned by the exchange until {until}")
    if usage.refused_ms:
        found[Kind.PAUSE] = Fact(Tone.BAD, "Turned away by the exchange (HTTP 403)")
    elif usage.held_ms:
        found[Kind.PAUSE] = Fact(Tone.BUSY, "Asked by the exchange to pause (HTTP 429)")
    return found


def _without_counters(view: ExchangeView) -> ExchangeView:
    details = {name: v for name, v in view.status.details.items() if name not in COUNTERS}
    return replace(view, status=replace(view.status, details=details))
