"""Tickers as Binance's REST writes them; what the stream doesn't tell is null (rest-api.md)."""

from typing import Any

from livermore.market.candle import Ticker
from livermore.market.timeframe import Timeframe
from serving.binance.klines import decimal


def day(told: Ticker, word: str) -> dict:
    """Write 24 hours in full."""
    return mini_day(told, word) | {
        "priceChange": decimal(told.change_24h),
        "priceChangePercent": f"{told.change_percent_24h:.3f}",
        "weightedAvgPrice": None,
        "prevClosePrice": None,
        "lastQty": None,
        "bidPrice": None,
        "bidQty": None,
        "askPrice": None,
        "askQty": None,
    }


def mini_day(told: Ticker, word: str) -> dict:
    """Write 24 hours, with `type=MINI`."""
    return {
        "symbol": word,
        "openPrice": decimal(told.price - told.change_24h),
        "highPrice": decimal(told.high_24h),
        "lowPrice": decimal(told.low_24h),
        "lastPrice": decimal(told.price),
        "volume": decimal(told.volume_24h),
        "quoteVolume": None,
        "openTime": told.timestamp - Timeframe.D1.ms,
        "closeTime": told.timestamp,
        "firstId": None,
        "lastId": None,
        "count": None,
    }


def last_price(row: list[Any], word: str) -> dict:
    """Write the price at which a candle closes, of its row."""
    return {"symbol": word, "price": decimal(row[4])}


def price(told: Ticker, word: str) -> dict:
    return {"symbol": word, "price": decimal(told.price)}
