"""Bars and trades of the made-up market, in whole numbers."""

from typing import NamedTuple

VOLUME_DECIMALS = 8


class Bar(NamedTuple):
    """A candle in whole numbers: prices in ticks, volume in units of 10^-8 of the base.

    `quote` is price x volume in ticks x units. `first_id` is its first trade's id, meaningful
    where `trades` is not 0. `taken` and `paid` are those parts of volume and quote in which the
    buyer took.
    """

    open_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    trades: int
    quote: int
    first_id: int
    taken: int
    paid: int


class Trade(NamedTuple):
    """One match; `price` in ticks, `size` in units of 10^-8, ids without gaps per symbol."""

    id: int
    time_ms: int
    price: int
    size: int
    buyer_took: bool


def join(parts: list[Bar], open_ms: int) -> Bar:
    """Aggregate neighbouring bars, first to last, into one that opens at `open_ms`."""
    return Bar(
        open_ms,
        parts[0].open,
        max(bar.high for bar in parts),
        min(bar.low for bar in parts),
        parts[-1].close,
        sum(bar.volume for bar in parts),
        sum(bar.trades for bar in parts),
        sum(bar.quote for bar in parts),
        parts[0].first_id,
        sum(bar.taken for bar in parts),
        sum(bar.paid for bar in parts),
    )
