"""A pair is a symbol in one timeframe: what is cached, scanned, fetched and covered as one."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from livermore.market.timeframe import LONGEST_FIRST, Timeframe, parse_timeframe


class Pair(NamedTuple):
    """A canonical symbol in one timeframe."""

    symbol: str
    timeframe: Timeframe


def pairs_of(
    symbols: Iterable[str],
    timeframes: Iterable[Timeframe | str] | None = None,
    order: Sequence[Timeframe] = LONGEST_FIRST,
) -> list[Pair]:
    """Return every symbol in every one of `timeframes` (None: all of `order`).

    Timeframes go as in `order`, within each the symbols as given. ValueError for a timeframe that
    is none of the six.
    """
    wanted = set(order if timeframes is None else map(parse_timeframe, timeframes))
    symbols = list(symbols)
    return [Pair(symbol, each) for each in order if each in wanted for symbol in symbols]
