"""One write of a stream to Redis: closes, open candles and tickers in one round trip, fenced."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson
from redis import Redis
from redis.exceptions import NoScriptError

from exchanges.fencing import FENCE, refusals
from livermore.market import keys
from livermore.market.candle import Candle, Ticker
from livermore.market.pair import Pair
from warmup.bars import Close
from warmup.cache import CANDLES_KEPT, EXTEND, TICKER_TTL_SECONDS

EVENTS_KEPT = 100_000

# KEYS: epoch, events stream, then per close: candles, coverage, open candle; per open candle and
#   per ticker: its key
# ARGV: epoch, candles kept, events kept, n closes, n open candles, n tickers, then
#   per close: covered from, covered to, open time or '', member, message, two channels
#   per open candle: value, ms to live, message, channel
#   per ticker: value, ms to live, channel
# A close whose time is covered was written before (the reply got lost) and is not told again.
# Returns how many closes were told.
FLUSH = (
    FENCE
    + EXTEND
    + """
local refused = fence(KEYS[1], ARGV[1])
if refused then return refused end
local k, a, told = 3, 7, 0

local function is_known(coverage, from, to)
    for _, span in ipairs(known(coverage)) do
        if span[1] <= from and to <= span[2] then return true end
    end
    return false
end

for _ = 1, tonumber(ARGV[4]) do
    local candles, coverage, live = KEYS[k], KEYS[k + 1], KEYS[k + 2]
    local from, to, time = tonumber(ARGV[a]), tonumber(ARGV[a + 1]), ARGV[a + 2]
    if not is_known(coverage, from, to) then
        if time ~= '' then
            redis.call('ZREMRANGEBYSCORE', candles, time, time)
            redis.call('ZADD', candles, time, ARGV[a + 3])
            redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'event', ARGV[a + 4])
            redis.call('PUBLISH', ARGV[a + 5], ARGV[a + 4])
            redis.call('PUBLISH', ARGV[a + 6], ARGV[a + 4])
            if string.sub(redis.call('GET', live) or '', 2, 1 + #time) == time then
                redis.call('DEL', live)
            end
            told = told + 1
        end
        extend(candles, coverage, tonumber(ARGV[2]), {{from, to}})
    end
    k, a = k + 3, a + 7
end
for _ = 1, tonumber(ARGV[5]) do
    redis.call('SET', KEYS[k], ARGV[a], 'PX', ARGV[a + 1])
    redis.call('PUBLISH', ARGV[a + 3], ARGV[a + 2])
    k, a = k + 1, a + 4
end
for _ = 1, tonumber(ARGV[6]) do
    redis.call('SET', KEYS[k], ARGV[a], 'PX', ARGV[a + 1])
    redis.call('PUBLISH', ARGV[a + 2], ARGV[a])
    k, a = k + 1, a + 3
end
return told
"""
)


class Names(NamedTuple):
    """A pair's names in Redis, made once: else they take a third of the time of a write."""

    candles: str
    coverage: str
    live: str
    closes: str
    changes: str


def _names(number: int, pair: Pair) -> Names:
    return Names(
        keys.candles(number, *pair),
        keys.coverage(number, *pair),
        keys.live_candle(number, *pair),
        keys.close_channel(number, *pair),
        keys.candle_channel(number, *pair),
    )


class Flusher:
    """Writes one exchange's stream under the `epoch` of a lease."""

    def __init__(self, redis: Redis, exchange_id: int, epoch: int):
        self._redis = redis
        self._exchange_id = exchange_id
        self._epoch = epoch
        self._names: dict[Pair, Names] = {}
        self._script = redis.register_script(FLUSH)

    def write(
        self,
        closes: Sequence[tuple[Pair, Close]],
        live: Mapping[Pair, Candle],
        tickers: Mapping[str, Ticker],
        now_ms: int,
    ) -> None:
        """Store and tell all of it, `now_ms` being the exchange's time.

        A close that was written before is left alone. Raises Fenced once another holder has the
        exchange, and RedisError.
        """
        number = self._exchange_id
        names: list[str] = [keys.epoch(number), keys.events(number)]
        values: list[str | int | bytes] = [self._epoch, CANDLES_KEPT, EVENTS_KEPT]
        values += (len(closes), len(live), len(tickers))
        for pair, close in closes:
            of_pair = self._names_of(pair)
            names += of_pair[:3]
            values += close.covered
            if close.candle is None:
                values += ("", "", "", "", "")
                continue
            values += (close.candle.timestamp, orjson.dumps(close.candle.values()))
            values.append(self._message(pair, close.candle, closed=True, healed=close.healed))
            values += of_pair[3:]
        for pair, candle in live.items():
            of_pair = self._names_of(pair)
            names.append(of_pair.live)
            lives_ms = candle.timestamp + 2 * pair.timeframe.ms - now_ms
            values += (orjson.dumps(candle.values()), lives_ms)
            values.append(self._message(pair, candle, closed=False, healed=False))
            values.append(of_pair.changes)
        for symbol, ticker in tickers.items():
            names.append(keys.ticker(number, symbol))
            values += (orjson.dumps(ticker.as_json()), 1000 * TICKER_TTL_SECONDS)
            values.append(keys.ticker_channel(number, symbol))
        with refusals():
            try:
                self._redis.evalsha(self._script.sha, len(names), *names, *values)
            except NoScriptError:  # the server is new, or its scripts were flushed
                self._redis.eval(FLUSH, len(names), *names, *values)

    def _names_of(self, pair: Pair) -> Names:
        if pair not in self._names:
            self._names[pair] = _names(self._exchange_id, pair)
        return self._names[pair]

    def _message(self, pair: Pair, candle: Candle, *, closed: bool, healed: bool) -> bytes:
        return orjson.dumps(
            {
                "exchangeId": self._exchange_id,
                "symbol": pair.symbol,
                "timeframe": pair.timeframe,
                "timestamp": candle.timestamp,
                "open": candle.open,
                "high": candle.high,
                "low": candle.low,
                "close": candle.close,
                "volume": candle.volume,
                "closed": closed,
                "healed": healed,
            }
        )
