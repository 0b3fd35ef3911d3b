"""What rules may be about: in which words, from which threshold on, and how many are told at once.

`KINDS` is all there are, by the name that a rule's `what` has. Another room adds its own there.
"""

from typing import Any, NamedTuple

MINUTES = "minutes"
MOST_MINUTES = 44_640  # a month
MOST_OF_MACD_V = 1000.0
MOST_OF_A_PRICE = 1e12


class Kind(NamedTuple):
    """One thing that a rule may be about.

    `label` is what people choose. `many` says it of several subjects at an exchange, as in
    "14 pairs of binance are stale". `unit` is what the threshold counts, and `threshold` what it
    is where the rule names none; it is from `least` to `most`. `by_pair`: subjects are symbols in
    a timeframe. `in_full`: each subject's text is told, in lines of its own. `is_price`: the
    threshold is a price, and so has to be named, of symbols that are named too.
    """

    label: str
    many: str = "{n} of {exchange}"
    unit: str = MINUTES
    threshold: float = 0.0
    by_pair: bool = False
    by_symbol: bool = False
    whole: bool = False  # a rule that names no symbol is about the exchange, and no pair of it
    least: float = 0.0
    most: float = MOST_MINUTES
    in_full: bool = False
    is_price: bool = False
    of_installation: bool = False  # of no exchange

    def allows(self, threshold: float) -> bool:
        """Tell whether it may be the threshold of a rule."""
        return self.least <= threshold <= self.most


def _signal(label: str, many: str, **values: Any) -> Kind:
    return Kind(label, f"{{n}} {many} of {{exchange}}", by_pair=True, in_full=True, **values)


KINDS: dict[str, Kind] = {
    "hole": Kind(
        "holes are not healed", "{n} pairs of {exchange} have holes", threshold=15, by_pair=True
    ),
    "stale": Kind(
        "the newest candles are missing", "{n} pairs of {exchange} are stale", threshold=5,
        by_pair=True,
    ),
    "unreachable": Kind("an exchange can't be reached", threshold=2),
    "hold": Kind("an exchange asks to be left alone (HTTP 429)", threshold=1),
    "ban": Kind("an exchange bans this address"),
    "lock_lost": Kind("nobody has an exchange that shall run", threshold=1),
    "take_over": Kind("an exchange is taken over", "{exchange} was taken over {n} times"),
    "holder_died": Kind("who has an exchange falls silent", "{n} holders of {exchange} died"),
    "agent_died": Kind("an agent falls silent", "{n} agents died", of_installation=True),
    "warmup_failed": Kind("a warmup failed"),
    "redis_away": Kind("Redis does not answer", of_installation=True),
    "redis_writes": Kind(
        "Redis refuses writes", "{n} nodes of Redis refuse writes", of_installation=True
    ),
    "redis_evicts": Kind(
        "Redis drops keys when it is full", "{n} nodes of Redis drop keys", of_installation=True
    ),
    "halted": Kind("a symbol is halted", "{n} symbols of {exchange} are halted", by_symbol=True),
    "delisted": Kind("a symbol is delisted", "{n} symbols of {exchange} are gone", by_symbol=True),
    "renamed": Kind("a symbol is renamed", "{n} symbols of {exchange} are renamed", by_symbol=True),
    "clock_skew": Kind("this clock and an exchange's differ", unit="seconds", threshold=5),
    "audit_failed": Kind("an audit found kept candles that differ"),
    "absent": Kind(
        "nothing was seen for so long", "{n} pairs of {exchange} show nothing", threshold=10,
        by_pair=True, whole=True,
    ),
    "digest": Kind("what happened in a day", unit="hour of the day (UTC)", threshold=7, most=23),
    "level": _signal(
        "MACD-V crosses a level", "levels crossed", unit="MACD-V", threshold=150, least=150,
        most=MOST_OF_MACD_V,
    ),
    "stage": _signal("a pair comes into another stage", "changes of stage", unit="", most=0),
    "reversal": _signal("an extreme move of MACD-V turns", "reversals", unit="", most=0),
    "price_above": _signal(
        "the price is above", "prices passed", unit="price", most=MOST_OF_A_PRICE, is_price=True
    ),
    "price_below": _signal(
        "the price is below", "prices passed", unit="price", most=MOST_OF_A_PRICE, is_price=True
    ),
}  # fmt: skip


def choices() -> list[tuple[str, str]]:
    """Return what a rule may be about, for forms."""
    return [(name, kind.label) for name, kind in KINDS.items()]
