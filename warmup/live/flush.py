"""One write of a stream to Redis: closes, open candles and tickers in one round trip, fenced."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson
from redis import Redis

from exchanges.lock.fencing import refusals, stamp
from exchanges.redis.scripts import load_script
from livermore.market import keys
from livermore.market.candle import Candle, Ticker
from livermore.market.pair import Pair
from warmup.cache.candles import CANDLES_KEPT
from warmup.cache.encoding import PAIR_CONSTANTS
from warmup.cache.tickers import TICKER_TTL_SECONDS
from warmup.live.bars import LATE, Close

EVENTS_KEPT = 100_000

FLUSH = load_script("warmup/live/lua/flush.lua", PAIR_CONSTANTS)


class PairKeys(NamedTuple):
    """A pair's names in Redis, made once: else they take a third of the time of a write."""

    candles: str
    coverage: str
    live: str
    field: str
    closes: str
    changes: str


def _names(number: int, pair: Pair) -> PairKeys:
    return PairKeys(
        keys.candles(number, *pair),
        keys.coverage(number, *pair),
        keys.live_candle(number, *pair),
        keys.pair_field(*pair),
        keys.close_channel(number, *pair),
        keys.candle_channel(number, *pair),
    )


class Flusher:
    """Writes one exchange's stream under the `epoch` of a lease."""

    def __init__(self, redis: Redis, exchange_id: int, epoch: int):
        self._redis = redis
        self._exchange_id = exchange_id
        self._stamp = stamp(epoch)
        self._names: dict[Pair, PairKeys] = {}

    def write(
        self,
        closes: Sequence[tuple[Pair, Close]],
        live: Mapping[Pair, Candle],
        tickers: Mapping[str, Ticker],
        now_ms: int,
        marks: Mapping[Pair, int],
    ) -> set[Pair]:
        """Store and tell all of it, `now_ms` being the exchange's time.

        What was told before is not told again. `marks` are pairs that are streamed from now on,
        with the time from when on their closes are to be told where that was never said. Returns
        the pairs whose closes were left out, as a key of theirs is of another type. Raises Fenced
        once another holder has the exchange, and RedisError.
        """
        number = self._exchange_id
        names: list[str] = [keys.epoch(number), keys.events(number), keys.told(number)]
        values: list[str | int | bytes] = [self._stamp, CANDLES_KEPT, EVENTS_KEPT]
        values += (len(marks), len(closes), len(live), len(tickers))
        for pair, from_ms in marks.items():
            values += (self._names_of(pair).field, from_ms)
        for pair, close in closes:
            of_pair = self._names_of(pair)
            names += of_pair[:3]
            values += (of_pair.field, close.how, *close.covered)
            if close.candle is None:
                values += ("", "", "", "", "")
                continue
            member = b"" if close.stored else orjson.dumps(close.candle.values())
            values += (close.candle.timestamp, member)
            values.append(self._message(pair, close.candle, close) if close.how else b"")
            values += of_pair[4:]
        for pair, candle in live.items():
            of_pair = self._names_of(pair)
            names.append(of_pair.live)
            lives_ms = candle.timestamp + 2 * pair.timeframe.ms - now_ms
            values += (orjson.dumps(candle.values()), lives_ms)
            values.append(self._message(pair, candle))
            values.append(of_pair.changes)
        for symbol, ticker in tickers.items():
            names.append(keys.ticker(number, symbol))
            values += (orjson.dumps(ticker.as_json()), 1000 * TICKER_TTL_SECONDS)
            values.append(keys.ticker_channel(number, symbol))
        names.append(keys.lock(number))
        with refusals():
            aside = FLUSH(self._redis, names, values)
        return {closes[at][0] for at in aside}

    def _names_of(self, pair: Pair) -> PairKeys:
        if pair not in self._names:
            self._names[pair] = _names(self._exchange_id, pair)
        return self._names[pair]

    def _message(self, pair: Pair, candle: Candle, close: Close | None = None) -> bytes:
        message = {
            "exchangeId": self._exchange_id,
            "symbol": pair.symbol,
            "timeframe": pair.timeframe,
            "timestamp": candle.timestamp,
            "open": candle.open,
            "high": candle.high,
            "low": candle.low,
            "close": candle.close,
            "volume": candle.volume,
            "closed": close is not None,
            "healed": close is not None and close.healed,
        }
        if close and close.how == LATE:
            message["late"] = True
        return orjson.dumps(message)
