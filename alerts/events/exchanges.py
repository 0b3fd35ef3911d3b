"""How the exchanges that shall run are: reached, left alone, had by somebody, warmed, on time."""

from collections.abc import Iterator

from alerts.events.source import WHOLE, Look, Moment, Seen, readable
from exchanges.lock.status import State
from exchanges.models import Exchange
from warmup.human_readable import count, duration, moment
from warmup.network.page.exchange_view import ExchangeView, Schedule, read_exchange
from warmup.stats import Status as WarmupStatus

NO_SCHEDULE = Schedule(0, ())  # it is large, and says nothing here
KINDS = ("unreachable", "hold", "ban", "lock_lost", "clock_skew")
NOT_DONE = (WarmupStatus.SCANNING, WarmupStatus.EXECUTING)


class Exchanges:
    """Looks at what runners and the pacing tell of each exchange."""

    name = "exchanges"
    needs_redis = True

    def look(self, look: Look) -> Iterator[Seen | Moment]:
        for exchange in look.exchanges:
            if exchange.wanted != Exchange.Wanted.RUNNING:
                yield from (Seen(kind, exchange, {}) for kind in (*KINDS, "warmup_failed"))
                continue
            with readable(self.name, exchange):
                yield from _look(look, exchange)


def _look(look: Look, exchange: Exchange) -> Iterator[Seen]:
    view = read_exchange(look.redis, exchange, look.now_ms, NO_SCHEDULE)
    held, banned = why_held(view), why_banned(view, look.now_ms)
    yield Seen("hold", exchange, _whole(held))
    yield Seen("ban", exchange, _whole(banned))
    yield Seen("unreachable", exchange, _whole("" if held or banned else why_away(view)))
    yield Seen("lock_lost", exchange, _whole(why_nobodys(view)))
    yield from _skew(exchange, view)
    yield from _warmup(exchange, view)


def why_held(view: ExchangeView) -> str:
    """Return that an exchange wants to be left alone, "" where it does not."""
    if view.usage.banned_ms or not view.usage.held_ms:
        return ""
    left = duration(view.usage.held_ms)
    if view.usage.refused_ms:
        return f"it turns this address away (HTTP 403); it is asked again in {left}"
    return f"it asks to be left alone for {left} (HTTP 429)"


def why_banned(view: ExchangeView, now_ms: int) -> str:
    """Return until when an exchange bans this address, "" where it does not."""
    if not view.usage.banned_ms:
        return ""
    until_ms = view.usage.banned_until_ms or now_ms + view.usage.banned_ms
    return f"it banned this address until {moment(until_ms, now_ms)}; Livermore waits"


def why_away(view: ExchangeView) -> str:
    """Return why an exchange can't be reached, and what to do; "" where it can."""
    if view.trouble:
        return f"{view.trouble.text}. {view.trouble.remedy}"
    details = view.status.details
    is_cut = view.status.state is State.ACTIVE and details.get("connections") == 0
    if is_cut and details.get("symbols") and not view.late:
        return f"its stream is not connected: {details.get('streamTrouble') or 'it is tried again'}"
    return ""


def why_nobodys(view: ExchangeView) -> str:
    """Return that nobody has an exchange, or why it can't be told; "" where somebody has."""
    if view.lock_fault:
        return view.lock_fault
    return "" if view.holder else "it shall run, and nobody has it: does an agent live?"


def _skew(exchange: Exchange, view: ExchangeView) -> Iterator[Seen]:
    told_ms, written_ms = view.status.details.get("exchangeTime"), view.status.heartbeat
    if view.late or not told_ms or not written_ms:
        return
    off = (written_ms - told_ms) / 1000
    side = "ahead of" if off > 0 else "behind"
    text = f"the clock of {_hostname(view)} is {abs(off):.0f} s {side} the exchange's"
    yield Seen("clock_skew", exchange, {WHOLE: text}, {WHOLE: abs(off)})


def _hostname(view: ExchangeView) -> str:
    return view.status.holder.hostname if view.status.holder else "its machine"


def _warmup(exchange: Exchange, view: ExchangeView) -> Iterator[Seen]:
    """Tell of the last warmup that ended; one that goes on leaves what was told of the last."""
    if view.stats is None or view.stats["status"] in NOT_DONE:
        return
    text = ""
    if view.stats["status"] == WarmupStatus.ERROR:
        text = f"its warmup ended: {view.stats['error'] or 'nobody knows why'}"
    elif failed := int(view.stats["failedPairs"]):
        text = f"its warmup could not fetch {count(failed, 'pair')}; `./run repair` tries again"
    yield Seen("warmup_failed", exchange, _whole(text))


def _whole(text: str) -> dict[str, str]:
    return {WHOLE: text} if text else {}
