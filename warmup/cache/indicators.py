"""MACD-V in Redis: one value a pair, of the newest closed candle it stands on."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from redis import Redis
from redis.exceptions import NoScriptError

from exchanges.lock.fencing import FENCE, refusals, stamp
from exchanges.redis.shapes import check_shapes, is_number, is_text, optional, parse_object
from livermore.market import keys
from livermore.market.candle import LATEST_MS, is_time
from livermore.market.pair import Pair

VALUES_PER_CALL = 500

# A value of a later candle is left alone: it was computed from more than ours.
#
# KEYS: epoch, then each pair's key
# ARGV: epoch, then for each pair: open time, value or '' to delete it, channel
# Returns how many values were written.
WRITE = (
    FENCE
    + """
local refused = fence(KEYS[1], ARGV[1])
if refused then return refused end
local left = 0
for i = 2, #KEYS do
    local a = 3 * i - 4
    local time, value = tonumber(ARGV[a]), ARGV[a + 1]
    if value == '' then
        redis.call('DEL', KEYS[i])
    else
        local stored = redis.pcall('GET', KEYS[i])
        local newest = type(stored) == 'string' and string.match(stored, '"timestamp":(%d+)')
        newest = tonumber(newest or 0)
        if newest > __LATEST__ then newest = 0 end -- none of ours
        if newest <= time then
            redis.call('SET', KEYS[i], value)
            redis.call('PUBLISH', ARGV[a + 2], value)
        else
            left = left + 1
        end
    end
end
return left
"""
).replace("__LATEST__", str(LATEST_MS))

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
        self._write = redis.register_script(WRITE)

    def write_many(self, values: Mapping[Pair, dict[str, Any] | None]) -> int:
        """Store and publish values, unless a later candle's is there; None deletes what is.

        Returns how many were left as they are.
        """
        pairs = list(values)
        chunks = [pairs[i : i + VALUES_PER_CALL] for i in range(0, len(pairs), VALUES_PER_CALL)]
        calls = [self._arguments([(pair, values[pair]) for pair in chunk]) for chunk in chunks]
        try:
            return self._call(calls)
        except NoScriptError:  # the server is new, or its scripts were flushed
            self._redis.script_load(WRITE)
            return self._call(calls)

    def read_many(self, pairs: Sequence[Pair]) -> list[dict[str, Any] | None]:
        """Return the stored value of each pair, None where there is none."""
        if not pairs:
            return []
        names = [keys.indicator(self._exchange_id, *pair) for pair in pairs]
        stored: list[Any] = self._redis.mget(names)
        return [_value(each) for each in stored]  # MGET says None of another type

    def _arguments(self, values: Iterable[tuple[Pair, dict[str, Any] | None]]) -> list:
        names: list[str] = [keys.epoch(self._exchange_id)]
        arguments: list[str | bytes | int] = [self._epoch]
        for pair, value in values:
            names.append(keys.indicator(self._exchange_id, *pair))
            channel = keys.indicator_channel(self._exchange_id, *pair)
            if value is None:
                arguments += (0, "", channel)
            else:
                arguments += (value["timestamp"], orjson.dumps(value), channel)
        return [len(names), *names, *arguments]

    def _call(self, calls: list[list]) -> int:
        pipe = self._redis.pipeline(transaction=False)
        for arguments in calls:
            pipe.evalsha(self._write.sha, *arguments)
        with refusals():
            return sum(pipe.execute())


def _value(stored: bytes | None) -> dict[str, Any] | None:
    """Return what `Window.as_json` made, None where somebody else wrote it."""
    try:
        found = parse_object(stored)
        check_shapes(found, SHAPES)
    except ValueError:
        return None
    return found
