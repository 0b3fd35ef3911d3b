"""Who has the exchange, and whether it still shows that it lives."""

from collections.abc import Iterator
from contextlib import contextmanager

from exchanges.instances import TTL_MS, ExchangeLock
from exchanges.status import STATUS_TTL_MS, Holder, Status, read_status, read_status_age
from livermore.market import keys
from warmup.harness.facts import Facts
from warmup.harness.report import Failed, Outcome

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
    with _told(keys.lock(facts.exchange.pk)):
        holder = lock.holder()
        text = f"held by {holder}, with a lock that "
    if holder is None:
        return None
    left_ms = lock.left_ms()
    if left_ms == ENDLESS or left_ms > TTL_MS:
        text += "never ends" if left_ms == ENDLESS else f"lasts {left_ms / 1000:.0f} s"
        raise Failed(text, _remedy(keys.lock(facts.exchange.pk)))
    return holder


def status_of(facts: Facts) -> Status:
    """Return what the holder says of itself. Raises Failed for what is no status."""
    with _told(keys.status(facts.exchange.pk)):
        return read_status(facts.redis, facts.exchange.pk)


@contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, OSError) as error:
        raise Failed(f"what is in {name} can't be read", _remedy(name)) from error


def _remedy(name: str) -> str:
    return f"no Livermore wrote {name}: find out who did, and delete it"
