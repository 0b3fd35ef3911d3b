"""Whether keys are what every reader relies on: their names, types and JSON."""

from collections.abc import Iterable
from typing import Any

import orjson
from redis import Redis

from livermore.market import keys
from livermore.market.candle import ROW_LENGTHS, Candle, Ticker
from livermore.market.coverage import union
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CANDLES_KEPT
from warmup.cache.tickers import TICKER_TTL_SECONDS
from warmup.harness.facts import Facts
from warmup.harness.report import Failed, Outcome, Result
from warmup.harness.steps import stored
from warmup.human_readable import count
from warmup.metrics.redis_server import read_memory

DAY = Timeframe.D1
TICKER_TEXTS = ("symbol",)
TICKER_NUMBERS = (
    "price", "change24h", "changePercent24h", "high24h", "low24h", "volume24h", "timestamp",
)  # fmt: skip


def check_keys(facts: Facts) -> Outcome:
    """Read the candles' and the ticker's keys as any other program would."""
    if facts.market is None:
        return Outcome("there is no symbol whose keys to look at", result=Result.SKIP)
    symbol, number = facts.market.symbol, facts.exchange.pk
    name = keys.candles(number, symbol, DAY)
    note = _refuse_eviction(facts.redis)
    rows = stored.members(facts.redis, name)
    faults = stored.misfits(facts.redis, facts.exchange, symbol)
    if rows == [] and not facts.warmed and not faults:
        return Outcome(f"{name} is not there, as nothing was warmed", note, Result.SKIP)
    if rows == [] and facts.warmed:
        raise Failed(
            f"{name} was warmed a moment ago, and is gone",
            "something else deletes keys of this Redis, or it drops them itself: see its "
            "maxmemory-policy",
        )
    faults += candle_faults(rows, DAY) if rows else []
    coverage = stored.text(facts.redis, keys.coverage(number, symbol, DAY))
    # An answer with rows that were refused vouches for nothing; another type was told above.
    if facts.warmed or (coverage and coverage.content is not None):
        faults += coverage_faults(coverage)
    faults += [f for pattern in _patterns(symbol) for f in name_faults(facts.redis, pattern)]
    where, ticker = _ticker(facts)
    if ticker is not None:
        faults += ticker_faults(ticker, symbol)
    if faults:
        raise Failed(
            faults[0] + (f", and {count(len(faults) - 1, 'more fault')}" if faults[1:] else ""),
            "something else writes to this Redis, or an older Livermore did: delete these keys, "
            f"then `./run warmup {facts.exchange.name}`",
        )
    text = f"{name}: sorted set of {len(rows or ())} rows, with coverage"
    if ticker is None:
        return Outcome(f"{text}; no ticker came that could be looked at", note, Result.SKIP)
    return Outcome(f"{text}; ticker {where}; no user in a name", note)


def _refuse_eviction(redis: Redis) -> str | None:
    """Return a note where a full Redis drops what expires. Raises Failed if candles would go."""
    memory = read_memory(redis)
    if memory is None or not memory.evicts:
        return None
    text = f"this Redis drops keys when it is full (maxmemory-policy {memory.evicts})"
    remedy = "set maxmemory-policy to noeviction, and maxmemory to what all candles need"
    if memory.evicts.startswith("allkeys"):
        raise Failed(f"{text}, candles among them, without a word", remedy)
    return f"{text}, locks and tickers among them: {remedy}"


def _patterns(symbol: str) -> Iterable[str]:
    any_exchange: Any = "*"  # in place of its number
    yield keys.candles(any_exchange, symbol, DAY)
    yield keys.coverage(any_exchange, symbol, DAY)
    yield keys.ticker(any_exchange, symbol)


def _ticker(facts: Facts) -> tuple[str, stored.StringKey | None]:
    """Return the ticker that is there, else what a runner would keep of the stream's."""
    name = keys.ticker(facts.exchange.pk, facts.symbol)
    if found := stored.text(facts.redis, name):
        return f"at {name}", found
    if facts.ticker is None:
        return "", None
    text = orjson.dumps(facts.ticker.as_json())
    return f"as {name} would hold it", stored.StringKey(text, 1000 * TICKER_TTL_SECONDS)


def candle_faults(rows: list[tuple[bytes, float]], timeframe: Timeframe) -> list[str]:
    """Return what is wrong with a sorted set of closed candles, a line each."""
    found = [f"{len(rows)} candles, more than {CANDLES_KEPT}"] if len(rows) > CANDLES_KEPT else []
    if len({score for _, score in rows}) < len(rows):
        found.append("two candles open at the same time")
    return found + [fault for row in rows if (fault := _candle_fault(*row, timeframe))]


def _candle_fault(member: bytes, score: float, timeframe: Timeframe) -> str | None:
    try:
        values = orjson.loads(member)
        is_row = type(values) is list and len(values) in ROW_LENGTHS
        if not is_row or not all(map(_is_number, values)):
            return f"{member!r} is no array of six numbers, or of ten"
        if values[0] != score:
            return f"{member!r} has the score {score:.0f}"
        if Candle.of_values(values, timeframe).row() != values:
            return f"{member!r} has columns that can't be"
    except ValueError as error:
        return f"{member!r} is no candle: {error}"
    return None


def coverage_faults(found: stored.StringKey | None) -> list[str]:
    """Return what is wrong with a pair's coverage."""
    if found is None:
        return ["there is no coverage beside the candles"]
    try:
        spans = [tuple(span) for span in orjson.loads(found.content or b"")]
        sound = spans == list(union(spans)) and bool(spans)
    except (ValueError, TypeError, IndexError):
        sound = False
    return [] if sound else [f"coverage {found.content!r} is no list of ascending stretches"]


def ticker_faults(found: stored.StringKey, symbol: str) -> list[str]:
    """Return what is wrong with a ticker and how long it lasts; it may have fields more."""
    if not 0 < found.lasts_ms <= 1000 * TICKER_TTL_SECONDS:
        return [f"the ticker lasts {found.lasts_ms} ms, not up to {TICKER_TTL_SECONDS} s"]
    try:
        values = orjson.loads(found.content or b"")
        wrong = [name for name in TICKER_TEXTS if type(values.get(name)) is not str]
        wrong += [name for name in TICKER_NUMBERS if not _is_number(values.get(name))]
        if not wrong and values["symbol"] == symbol:
            Ticker.from_json(values)
            return []
    except (ValueError, AttributeError) as error:
        return [f"the ticker can't be read: {error}"]
    return [f"the ticker lacks {', '.join(wrong)}" if wrong else f"the ticker is not {symbol}'s"]


def name_faults(redis: Redis, pattern: str) -> list[str]:
    """Return the keys that hold more than an exchange's id where `pattern` has its `*`."""
    start, _, end = pattern.partition("*")
    return [
        f"{name} holds more than the id of an exchange"
        for name in stored.names_like(redis, pattern)
        if not name.removeprefix(start).removesuffix(end).isdigit()
    ]


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)
