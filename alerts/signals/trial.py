"""Rules as a person names them for a replay: one that is there, or one that might be."""

from collections.abc import Sequence
from dataclasses import dataclass

from alerts.kinds import KINDS
from alerts.models import AlertRule
from alerts.signals.choice import SIGNALS, Rule
from exchanges.models import Exchange

TRIED = 0  # the number of a rule that is not there


@dataclass(slots=True)
class Trial:
    """A rule that is not there."""

    pk: int
    what: str
    limit: float
    symbols: list[str]
    timeframes: list[str]
    cool_down: int = 0


def rules_named(
    exchange: Exchange, text: str | None, symbols: list[str], timeframes: list[str]
) -> Sequence[Rule]:
    """Return the rules to replay: all active ones about signals, or the one that `text` names.

    That is its number, or a kind with a threshold behind it, such as `level:200`; that one is about
    the symbols and timeframes given, all where none are. Raises ValueError: it says what is known.
    """
    rows = AlertRule.objects.filter(what__in=SIGNALS, exchange__in=[exchange.pk])
    rows |= AlertRule.objects.filter(what__in=SIGNALS, exchange=None)
    if text is None:
        if found := list(rows.filter(is_active=True)):
            return found
        raise ValueError(f"no active rule is about signals of {exchange.name}; {_known()}")
    if text.isdecimal():
        if found := list(rows.filter(pk=int(text))):
            return found
        raise ValueError(f"rule {text} is none about signals of {exchange.name}; {_known()}")
    return [_trial(text, symbols, timeframes)]


def _trial(text: str, symbols: list[str], timeframes: list[str]) -> Trial:
    what, _, threshold = text.partition(":")
    if what not in SIGNALS:
        raise ValueError(f"unknown rule {text!r}; {_known()}")
    kind = KINDS[what]
    try:
        limit = float(threshold) if threshold else kind.threshold
    except ValueError:
        raise ValueError(f"--rule {text}: {threshold!r} is no number") from None
    if kind.is_price and not threshold:
        raise ValueError(f"--rule {text}: which price? As in {what}:65000")
    if kind.is_price and not symbols:
        raise ValueError(f"--rule {text}: a price is one of a symbol: name it with --symbols")
    if threshold and not kind.allows(limit):
        raise ValueError(f"--rule {text}: it is from {kind.least:g} to {kind.most:g}")
    return Trial(TRIED, what, limit, symbols, timeframes)


def _known() -> str:
    kinds = ", ".join(SIGNALS)
    return f"--rule takes a rule's number in the admin, or one of {kinds}, as in level:200"
