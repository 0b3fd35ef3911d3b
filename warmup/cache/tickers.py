"""Tickers in Redis."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from redis import Redis
from redis.exceptions import ResponseError

from exchanges.redis.unreadable import value_or_error, warn_once
from livermore.market import keys
from livermore.market.candle import Ticker

logger = logging.getLogger(__name__)

TICKER_TTL_SECONDS = 60


class TickerCache:
    """The last ticker of each symbol of one exchange; one that is 60 s old is gone."""

    def __init__(self, redis: Redis, exchange_id: int):
        self._redis = redis
        self._exchange_id = exchange_id

    def write_many(self, tickers: Iterable[Ticker]) -> None:
        """Store and publish tickers, in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for ticker in tickers:
            text = orjson.dumps(ticker.as_json())
            key = keys.ticker(self._exchange_id, ticker.symbol)
            pipe.set(key, text, ex=TICKER_TTL_SECONDS)
            pipe.publish(keys.ticker_channel(self._exchange_id, ticker.symbol), text)
        pipe.execute()

    def read(self, symbol: str) -> Ticker | None:
        """Return the last ticker, None where there was none for 60 s, or none that can be read."""
        name = keys.ticker(self._exchange_id, symbol)
        try:
            stored = self._redis.get(name)
            return Ticker.from_json(orjson.loads(stored)) if stored else None
        except ResponseError as error:
            value_or_error(error)
            warn_once(logger, name, error)
        except (ValueError, TypeError, LookupError) as error:
            warn_once(logger, name, error)
        return None

    def read_many(self, symbols: Sequence[str]) -> list[Ticker]:
        """Return the last tickers, in one round trip; without those that are gone or unreadable."""
        if not symbols:
            return []
        stored: list[Any] = self._redis.mget(
            [keys.ticker(self._exchange_id, symbol) for symbol in symbols]
        )
        pairs = zip(stored, symbols, strict=True)
        found = (_ticker(text, self._exchange_id, symbol) for text, symbol in pairs)
        return [ticker for ticker in found if ticker is not None]


def _ticker(stored: bytes | None, exchange_id: int, symbol: str) -> Ticker | None:
    """Return a stored ticker of a symbol, None for one that can't be read."""
    try:
        ticker = Ticker.from_json(orjson.loads(stored)) if stored else None
        return ticker if ticker and ticker.symbol == symbol else None
    except (ValueError, LookupError, TypeError) as error:
        warn_once(logger, keys.ticker(exchange_id, symbol), error)
        return None
