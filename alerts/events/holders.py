"""Who has each exchange: who took it, from whom, and who fell silent with it."""

from collections.abc import Iterator
from typing import Any

from redis import Redis

from alerts.events.source import WHOLE, Look, Moment, Seen, readable
from exchanges.lock.acquire import ABANDONED_SHARE, TTL_MS
from exchanges.lock.status import ENDED, Holder, State, Status, read_status, read_status_age
from exchanges.models import Exchange
from exchanges.redis.json_types import parse_object
from livermore.market import keys
from warmup.runner.agents import read_agents
from warmup.runner.hand_over import TTL_MS as COMMAND_TTL_MS

LONGEST_GAP_MS = TTL_MS  # between looks, to know what happened in between
SLACK_MS = 1000  # a lock lasts a little less than what its holder says it does
# After its holder's death somebody else has an exchange.
SOONEST_MS = min(TTL_MS * ABANDONED_SHARE, COMMAND_TTL_MS) - SLACK_MS
Known = dict[str, Any]


class Holders:
    """Compares who has an exchange with who had it at the last look, which the position tells."""

    name = "holders"
    needs_redis = True

    def look(self, look: Look) -> Iterator[Seen | Moment]:
        seconds, microseconds = look.redis.time()  # that of locks
        now_ms = int(seconds) * 1000 + int(microseconds) // 1000
        position = look.position(self.name)
        for number in set(position) - {str(exchange.pk) for exchange in look.exchanges}:
            del position[number]  # nobody looked what became of it
        for exchange in look.exchanges:
            with readable(self.name, exchange):
                yield from _look(look.redis, exchange, position, now_ms)


def _look(
    redis: Redis, exchange: Exchange, position: dict[str, Any], now_ms: int
) -> Iterator[Moment]:
    before = position.get(str(exchange.pk))
    now = _known(redis, exchange, now_ms)
    if before and now["instance"] == before["instance"]:
        now["alive"] = max(now["alive"], before["alive"])  # its status may be gone by now
    if before and now_ms - before["looked"] > LONGEST_GAP_MS:
        before = _after_gap(redis, before, now, now_ms)
    if before:
        yield from _changes(exchange, before, now, now_ms)
        if not now["instance"]:
            now = _until_somebody_has_it(before, now, now_ms)
    position[str(exchange.pk)] = now


def _until_somebody_has_it(before: Known, now: Known, now_ms: int) -> Known:
    """Return who had it, and what became of that one, as long as nobody has it."""
    was_told = before.get("told_dead")
    return {
        **before,
        "ended": _ended(before, now, now_ms) and (before["ended"] or not was_told),
        "told_dead": was_told or _is_dead(before, now, now_ms),
        "looked": now_ms,
    }


def _after_gap(redis: Redis, before: Known, now: Known, now_ms: int) -> Known | None:
    """Return what may be believed of a look long ago: who had it, and when that one was alive.

    Nothing where nobody has it, nor has said anything of it lately: it may have ended in order. So
    may one whose machine has it again: all of that is begun anew at times, this evaluator too,
    unless an agent there went on meanwhile.
    """
    alive_ms = now_ms if now["instance"] else now["alive"]
    is_ended = before["ended"]
    if now["instance"] and _hostname(now) == _hostname(before):
        is_ended = is_ended or not _went_on(redis, _hostname(now), before["looked"])
    return {**before, "alive": alive_ms, "ended": is_ended} if alive_ms else None


def _went_on(redis: Redis, hostname: str, since_ms: int) -> bool:
    """Tell whether an agent is alive on a machine that was so at a time already."""
    return any(
        agent.hostname == hostname and agent.started_at < since_ms for agent in read_agents(redis)
    )


def _hostname(known: Known) -> str:
    return known["where"].rpartition(" (")[0]


def _known(redis: Redis, exchange: Exchange, now_ms: int) -> Known:
    """Return who has it, whether that one said of itself that it ended, and who spoke before it."""
    text: Any = redis.get(keys.lock(exchange.pk))
    status, age_ms = read_status(redis, exchange.pk), read_status_age(redis, exchange.pk)
    found: Known = {"instance": "", "where": "", "replaces": "", "last_word": {}, "looked": now_ms}
    try:
        holder = Holder.from_json(text) if text else None
        if holder:
            taken = parse_object(text)
            last_word = taken.get("before")
            found |= {
                "instance": holder.instance_id,
                "where": f"{holder.hostname} (process {holder.pid})",
                "replaces": str(taken.get("replaces") or ""),
                "last_word": last_word if isinstance(last_word, dict) else {},
                "since": holder.connected_since,
            }
    except ValueError:  # the card of the exchange tells of a lock that nobody can read
        pass
    if not text and status.holder:
        found["last_word"] = {"id": _instance(status), "state": status.state}
    is_own = not found["instance"] or _instance(status) == found["instance"]
    found["ended"] = is_own and status.state in ENDED
    found["alive"] = now_ms - age_ms if is_own and age_ms is not None else found.get("since", 0)
    return found


def _instance(status: Status) -> str:
    return status.holder.instance_id if status.holder else ""


def _changes(exchange: Exchange, before: Known, now: Known, now_ms: int) -> Iterator[Moment]:
    if not before["instance"] or now["instance"] == before["instance"]:
        return
    if not now["instance"]:
        if _is_dead(before, now, now_ms) and not before.get("told_dead"):
            text = f"{before['where']} fell silent; nobody has the exchange yet"
            yield Moment("holder_died", exchange, WHOLE, text, now_ms)
        return
    at_ms = now.get("since", now_ms)
    if now["where"] == before["where"]:  # whose new lock replaces its own, where it lost that
        if not before["ended"] and _last_state(before, now) != State.STOPPED:
            text = f"{now['where']} lost its lock and took it again: what it missed is healed"
            yield Moment("lock_lost", exchange, WHOLE, text, at_ms)
        return
    is_ours = now["replaces"] == before["instance"]
    ended = _ended(before, now, at_ms)
    was_told = ended or before.get("told_dead")
    if not was_told and not is_ours and at_ms - before["alive"] >= SOONEST_MS:
        yield Moment("holder_died", exchange, WHOLE, f"{before['where']} fell silent", at_ms)
    if not ended or is_ours:
        text = f"{now['where']} took it over from {before['where']}"
        yield Moment("take_over", exchange, WHOLE, text, at_ms)


def _ended(before: Known, now: Known, at_ms: int) -> bool:
    """Tell whether who had it gave it back in order, before somebody else had it at `at_ms`.

    That one's last word says so, or that another one has had it in between, sooner than the lock of
    a dead one is free: of a look long ago nobody knows that.
    """
    if before["ended"]:
        return True
    if not now["last_word"] or _is_last(before, now):
        return _last_state(before, now) in ENDED
    return 0 < at_ms - before["alive"] < SOONEST_MS


def _is_last(before: Known, now: Known) -> bool:
    """Tell whether nobody spoke since who had it before."""
    return now["last_word"].get("id") == before["instance"]


def _last_state(before: Known, now: Known) -> str:
    """Return the state that who had it told last, "" where nobody knows that."""
    return str(now["last_word"].get("state")) if _is_last(before, now) else ""


def _is_dead(before: Known, now: Known, now_ms: int) -> bool:
    """Tell whether who had it ended without a word, and too long ago to be only slow."""
    alive_ms = now["alive"] if _is_last(before, now) else before["alive"]
    return not _ended(before, now, now_ms) and now_ms - alive_ms >= TTL_MS
