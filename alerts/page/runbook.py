"""Where in the documents stands what to do about an alert."""

from django.urls import reverse

GENERAL = ("alerts", "")  # of what is no fault
LOCKS, MISSING = "alerts-of-agents-and-locks", "alerts-of-missing-candles"
EXCHANGE, REDIS = "from-the-exchange", "redis-the-database-this-machine"
STAGES = ("signals", "colours-and-stages")
PLACES = {
    "hole": ("operations", MISSING),
    "stale": ("operations", MISSING),
    "absent": ("operations", MISSING),
    "unreachable": ("operations", EXCHANGE),
    "hold": ("operations", EXCHANGE),
    "ban": ("operations", EXCHANGE),
    "clock_skew": ("operations", EXCHANGE),
    "lock_lost": ("operations", LOCKS),
    "take_over": ("operations", "the-lock"),
    "holder_died": ("operations", LOCKS),
    "agent_died": ("operations", LOCKS),
    "warmup_failed": ("operations", "alerts-of-rest-and-warmups"),
    "redis_away": ("operations", "if-redis-is-lost"),
    "redis_writes": ("operations", REDIS),
    "redis_evicts": ("operations", REDIS),
    "halted": ("operations", "symbols-that-end"),
    "delisted": ("operations", "symbols-that-end"),
    "renamed": ("operations", "symbols-that-end"),
    "level": STAGES,
    "stage": STAGES,
    "reversal": STAGES,
    "price_above": ("signals", "what-each-column-says"),
    "price_below": ("signals", "what-each-column-says"),
    "audit_failed": ("operations", "alerts-of-history-and-audits"),
}


def address(what: str) -> str:
    """Return the address of what to do about this kind of alert."""
    document, anchor = PLACES.get(what, GENERAL)
    url = reverse("docs:document", args=[document])
    return f"{url}#{anchor}" if anchor else url
