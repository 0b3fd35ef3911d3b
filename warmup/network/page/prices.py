"""Last prices and their change over 24 hours, as the grid of the Network page shows them."""

from collections.abc import Mapping, Sequence

from redis import Redis

from livermore.market.decimal_text import plain
from warmup.cache.tickers import TickerCache

Price = tuple[str, float]  # the price as text, the change in percent
Prices = Mapping[str, Price]

SECONDS_BETWEEN = 2.0
SYMBOLS_PER_SECOND = 200  # of which prices are told: of a thousand every five seconds


def read_prices(redis: Redis, exchange_id: int, symbols: Sequence[str]) -> dict[str, Price]:
    """Return the prices of symbols that had a ticker within the last 60 seconds."""
    tickers = TickerCache(redis, exchange_id).read_many(symbols)
    return {
        ticker.symbol: (plain(ticker.price), round(ticker.change_percent_24h, 2))
        for ticker in tickers
    }


def seconds_between(symbols: int) -> float:
    """Return how often the prices of so many symbols are read, and told where they changed."""
    return max(SECONDS_BETWEEN, symbols / SYMBOLS_PER_SECOND)


def price_changes(prices: Prices, before: Prices) -> dict[str, Price | None]:
    """Return the prices that changed, None for those that are not known any more."""
    changes: dict[str, Price | None] = dict.fromkeys(before.keys() - prices.keys())
    changes |= {name: price for name, price in prices.items() if before.get(name) != price}
    return changes


def with_changes(prices: Prices, changes: Mapping[str, Price | None]) -> dict[str, Price]:
    """Return prices after changes."""
    return {name: price for name, price in {**prices, **changes}.items() if price is not None}
