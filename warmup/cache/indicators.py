"""MACD-V in Redis: one value a pair, of the newest closed candle it stands on."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from redis import Redis

from exchanges.lock.fencing import refusals, stamp
from exchanges.redis.json_types import check_types, is_number, is_text, optional, parse_object
from exchanges.redis.scripts import Call, load_script
from livermore.market import keys
from livermore.market.candle import LATEST_MS, is_time
from livermore.market.pair import Pair

VALUES_PER_CALL = 500
VALUES_PER_READ = 2000

WRITE = load_script("warmup/cache/lua/write_indicators.lua", {"LATEST_MS": LATEST_MS})

NUMBER = optional(is_number)
SHAPES = {
    **dict.fromkeys(("timestamp", "firstTimestamp", "lastTimestamp"), optional(is_time)),
    **dict.fromkeys(("value", "signal", "histogram", "ema12", "ema26", "atr"), NUMBER),
    **dict.fromkeys(("nEff", "spanBars", "liquidity"), NUMBER),
    **dict.fromkeys(("symbol", "timeframe", "stage", "reason"), optional(is_text)),
}


class IndicatorCache:
    """The MACD-V values of one exchange. With the `epoch` of a lease, writes can be Fenced."""

    def __init__(self, redis: Redis, exchange_id: int, epoch: int | None = None):
        self._redis = redis
        self._exchange_id = exchange_id
        self._epoch = stamp(epoch)

    def under(self, epoch: int) -> None:
        """Write under this epoch from now on."""
        self._epoch = stamp(epoch)

    def write_many(self, values: Mapping[Pair, dict[str, Any] | None]) -> int:
        """Store and publish values, unless a later candle's is there; None deletes what is.

        Returns how many were left as they are.
        """
        pairs = list(values)
        chunks = [pairs[i : i + VALUES_PER_CALL] for i in range(0, len(pairs), VALUES_PER_CALL)]
        calls = [self._call([(pair, values[pair]) for pair in chunk]) for chunk in chunks]
        replies = WRITE.run_many(self._redis, calls)
        with refusals():
            for each in replies:
                if isinstance(each, Exception):
                    raise each
        return sum(replies)

    def read_many(self, pairs: Sequence[Pair]) -> list[dict[str, Any] | None]:
        """Return the stored value of each pair, None where there is none."""
        return [parse_value(each) for each in self.read_texts(pairs)]

    def read_texts(self, pairs: Sequence[Pair]) -> list[bytes | None]:
        """Return what is stored of each pair, for `parse_value`, None where there is none."""
        texts: list[Any] = []
        for begin in range(0, len(pairs), VALUES_PER_READ):
            chunk = pairs[begin : begin + VALUES_PER_READ]
            names = [keys.indicator(self._exchange_id, *pair) for pair in chunk]
            texts += self._redis.mget(names)
        return texts  # MGET says None of another type

    def _call(self, values: Iterable[tuple[Pair, dict[str, Any] | None]]) -> Call:
        names: list[str] = [keys.epoch(self._exchange_id)]
        arguments: list[str | bytes | int] = [self._epoch]
        for pair, value in values:
            names.append(keys.indicator(self._exchange_id, *pair))
            channel = keys.indicator_channel(self._exchange_id, *pair)
            if value is None:
                arguments += (0, "", channel)
            else:
                arguments += (value["timestamp"], orjson.dumps(value), channel)
        names.append(keys.lock(self._exchange_id))
        return names, arguments


def parse_value(stored: bytes | None) -> dict[str, Any] | None:
    """Return what `Window.as_json` made, None where somebody else wrote it."""
    try:
        found = parse_object(stored)
        check_types(found, SHAPES)
    except ValueError:
        return None
    return found
