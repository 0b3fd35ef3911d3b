"""Who has the exchange, and whether it still shows that it lives."""

from exchanges.lock.acquire import TTL_MS, ExchangeLock
from exchanges.lock.status import STATUS_TTL_MS, Holder, Status, read_status_age
from livermore.market import keys
from warmup.harness.facts import Facts
from warmup.harness.report import Failed, Outcome
from warmup.harness.steps import stored

ENDLESS = -1  # what Redis says of a key that does not expire


def check_lock(facts: Facts) -> Outcome:
    """Tell who holds the lock; free or held are both right, and nobody is ended."""
    holder = read_holder(facts)
    status = status_of(facts)
    if holder is None:
        return Outcome("free")
    age_ms = read_status_age(facts.redis, facts.exchange.pk)
    if age_ms is None:
        return Outcome(
            f"held by {holder}, who has shown no sign of life for {STATUS_TTL_MS // 1000} s",
            "look at that process: it hangs, or is none of Livermore's; "
            f"`./run start {facts.exchange.name} --take-over` replaces it",
        )
    doing = f"{status.state}{f', {status.phase}' if status.phase else ''}"
    return Outcome(f"held by {holder}: {doing}, last heard of {age_ms / 1000:.0f} s ago")


def read_holder(facts: Facts) -> Holder | None:
    """Return who holds the lock, None where it is free. Raises Failed for what is no lock."""
    lock = ExchangeLock(facts.redis, facts.exchange.pk)
    name = keys.lock(facts.exchange.pk)
    lock_text = text_of(facts, name)
    if lock_text is None:
        return None
    try:
        holder = Holder.from_json(lock_text)
    except ValueError as error:
        raise Failed(f"what is in {name} can't be read", _remedy(name)) from error
    text = f"held by {holder}, with a lock that "
    left_ms = lock.left_ms()
    if left_ms == ENDLESS or left_ms > TTL_MS:
        text += "never ends" if left_ms == ENDLESS else f"lasts {left_ms / 1000:.0f} s"
        raise Failed(text, _remedy(keys.lock(facts.exchange.pk)))
    return holder


def status_of(facts: Facts) -> Status:
    """Return what the holder says of itself. Raises Failed for what is no status."""
    name = keys.status(facts.exchange.pk)
    try:
        return Status.from_json(text_of(facts, name))
    except ValueError as error:
        raise Failed(f"what is in {name} can't be read", _remedy(name)) from error


def text_of(facts: Facts, name: str) -> bytes | None:
    """Return what a string key holds, None where there is none. Raises Failed for another type."""
    found = stored.text(facts.redis, name)
    if found and found.content is None:
        misfits = stored.misfits(facts.redis, facts.exchange, None)
        raise Failed("; ".join(misfits) or f"{name} is no string", _remedy(name))
    return found and found.content


def _remedy(name: str) -> str:
    return f"no Livermore wrote {name}: find out who did, and delete it"
