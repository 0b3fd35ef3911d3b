"""What a message says: what it is about first, then the subjects, the first few by name."""

from collections.abc import Mapping

from alerts.kinds import KINDS
from alerts.models import Alert
from warmup.human_readable import duration

NAMED = 8  # subjects of one message; the page has all of them
INSTALLATION = "Livermore"
TEST = "This is a test of the channel {name}: alerts of Livermore come here."


def where(alert: Alert) -> str:
    """Return whose alert it is, for the beginning of a line."""
    return alert.exchange.name if alert.exchange else INSTALLATION


def text_of(alert: Alert) -> str:
    """Return what an alert says, in a line: "14 pairs of binance are stale: BTC-USD 1m, …"."""
    return told(alert.what, where(alert), alert.members)


def told(what: str, place: str, members: Mapping[str, str]) -> str:
    """Return what is said of some subjects at a place."""
    kind = KINDS[what]
    is_named = kind.by_pair or kind.by_symbol  # else the text says whose it is
    if len(members) == 1:
        ((subject, text),) = members.items()
        return f"{place}: {subject}: {text}" if subject and is_named else f"{place}: {text}"
    names = sorted(members)
    head = kind.many.format(n=f"{len(names):,}", exchange=place)
    if kind.in_full:
        lines = [f"{name}: {members[name]}" for name in names[:NAMED]]
        others = [f"and {len(names) - NAMED:,} more"] if len(names) > NAMED else []
        return "\n\n".join((f"{head}:", *lines, *others))
    shown = names if is_named else [members[each] for each in names]
    more = len(names) - NAMED
    rest = f" and {more:,} more" if more > 0 else ""
    return f"{head}: {', '.join(shown[:NAMED])}{rest}"


def beginning(alert: Alert) -> str:
    """Return the message that tells of an alert."""
    return alert.text


def resolution(alert: Alert) -> str:
    """Return the message that tells that it is over."""
    lasted_ms = 1000 * alert.lasted.total_seconds()
    return f"Over after {duration(lasted_ms)}: {alert.text}"
