"""A replay as a person reads it in a terminal, or a program as JSON."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from alerts.signals.choice import Rule
from alerts.signals.replay import Replayed, messages
from livermore.market.pair import Pair
from warmup.human_readable import count

PAIRS_NAMED = 5
COLUMNS = ("closed (UTC)", "pair", "signal", "price and MACD-V", "rules")


def print_replay(
    console: Console,
    title: str,
    found: Sequence[Replayed],
    rules: Sequence[Rule],
    missing_bars: Mapping[Pair, int],
) -> None:
    """Print signals as a table, and what they would have come to."""
    if found:
        table = Table(title=title)
        for column in COLUMNS:
            table.add_column(column, no_wrap=column in COLUMNS[:2])
        for each in found:
            at = f"{datetime.fromtimestamp(each.at_ms / 1000, UTC):%Y-%m-%d %H:%M}"
            numbers = ", ".join(str(rule) for rule in each.rules if rule) or "this one"
            table.add_row(at, " ".join(each.pair), each.text, each.details, numbers)
        console.print(table)
    many = sum(messages(found, rules).values())
    console.print(f"{count(len(found), 'signal')} in {count(many, 'message')}; nothing was sent")
    for pair, bars in list(missing_bars.items())[:PAIRS_NAMED]:
        console.print(f"missing: {count(bars, 'bar')} of {' '.join(pair)}")
    if (more := len(missing_bars) - PAIRS_NAMED) > 0:
        console.print(f"… and of {count(more, 'more pair')}")


def as_json(
    found: Sequence[Replayed], rules: Sequence[Rule], missing_bars: Mapping[Pair, int]
) -> str:
    """Return the same as JSON."""
    told: dict[str, Any] = {
        "signals": [each.as_json() for each in found],
        "messages": {str(rule): many for rule, many in messages(found, rules).items()},
        "missing": {f"{pair.symbol} {pair.timeframe}": bars for pair, bars in missing_bars.items()},
    }
    return json.dumps(told, indent=2)
