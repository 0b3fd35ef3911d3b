"""What Livermore would keep in Redis of an exchange: 300 hours of two symbols, all known."""

import json

from redis import Redis

HOUR_MS = 3_600_000
OPEN_MS = 480_000 * HOUR_MS  # when the open bar of an hour began, at the exchange
SINCE_MS = OPEN_MS - 300 * HOUR_MS
SYMBOLS = ["BTC-USD", "ETH-USD"]


def fill(client: Redis) -> None:
    told = {"id": 4, "displayName": "Sandbox", "venue": "binance", "lagMs": 0, "symbols": SYMBOLS}
    client.hset("exchanges", "sandbox", json.dumps(told))
    for symbol in SYMBOLS:
        rows = {json.dumps(row(at)): at for at in range(SINCE_MS, OPEN_MS, HOUR_MS)}
        client.zadd(f"candles:4:{symbol}:1h", rows)
        client.set(f"coverage:4:{symbol}:1h", json.dumps([[SINCE_MS, OPEN_MS]]))
    say_streamed(client, OPEN_MS + 60_000)


def row(at: int) -> "list[float]":
    return [at, 100.5, 102.25, 99.125, 101 + at / HOUR_MS, 0.125]


def close(bars_ago: int) -> "dict[str, object]":
    """Return a close as the events stream tells it."""
    names = ("timestamp", "open", "high", "low", "close", "volume")
    values = zip(names, row(OPEN_MS - bars_ago * HOUR_MS), strict=True)
    pair = {"exchangeId": 4, "symbol": "BTC-USD", "timeframe": "1h"}
    return pair | dict(values) | {"closed": True, "healed": False}


def say_streamed(client: Redis, now_ms: int) -> None:
    """Write a status, as a runner that streams does."""
    said = {"state": "active", "phase": "live", "exchangeTime": now_ms, "exchangePace": 1.0}
    client.set("exchange:4:status", json.dumps(said), px=45_000)


def leave_out(client: Redis, bars_ago: int) -> int:
    """Take a candle out, and that it is known; return when it opened."""
    at = OPEN_MS - bars_ago * HOUR_MS
    client.zremrangebyscore("candles:4:BTC-USD:1h", at, at)
    known = [[SINCE_MS, at], [at + HOUR_MS, OPEN_MS]]
    client.set("coverage:4:BTC-USD:1h", json.dumps([each for each in known if each[0] < each[1]]))
    return at
