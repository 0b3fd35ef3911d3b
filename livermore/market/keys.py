"""Every name that Livermore gives to something in Redis.

`exchange_id` is the primary key of the exchange's row, `symbol` is canonical `BASE-QUOTE`,
`timeframe` is one of the six texts. Nobody builds such a name anywhere else.
"""


def candles(exchange_id: int, symbol: str, timeframe: str) -> str:
    """Name the sorted set of closed candles, scored by open time."""
    return f"candles:{exchange_id}:{symbol}:{timeframe}"


def live_candle(exchange_id: int, symbol: str, timeframe: str) -> str:
    """Name the string that holds the open candle."""
    return f"candle:live:{exchange_id}:{symbol}:{timeframe}"


def coverage(exchange_id: int, symbol: str, timeframe: str) -> str:
    """Name the string that says for which times the cache holds all that the exchange has."""
    return f"coverage:{exchange_id}:{symbol}:{timeframe}"


def ticker(exchange_id: int, symbol: str) -> str:
    """Name the string that holds the last ticker."""
    return f"ticker:{exchange_id}:{symbol}"


def ticker_channel(exchange_id: int, symbol: str) -> str:
    """Name the pub/sub channel on which each ticker is published."""
    return f"channel:ticker:{exchange_id}:{symbol}"


def warmup_schedule(exchange_id: int) -> str:
    """Name the string that holds the last warmup's schedule."""
    return f"exchange:{exchange_id}:warm-up-schedule:symbols"


def warmup_stats(exchange_id: int) -> str:
    """Name the string that holds the last warmup's progress."""
    return f"exchange:{exchange_id}:warm-up-schedule:stats"


def pacing(host: str) -> str:
    """Name the hash that all processes on this address share to keep `host`'s limits.

    `host` is a host with its port where it has one, in lower case.
    """
    return f"pacing:{host}"
