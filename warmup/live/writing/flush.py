"""One write of a stream to Redis: closes, open candles and tickers in one round trip, fenced."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import orjson
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from exchanges.lock.fencing import refusals, stamp
from exchanges.redis.scripts import Call, Sent, load_script
from livermore.market import keys
from livermore.market.candle import Candle, Ticker
from livermore.market.columns import COLUMNS
from livermore.market.pair import Pair
from warmup.cache.candles import CANDLES_KEPT
from warmup.cache.encoding import PAIR_CONSTANTS
from warmup.cache.tickers import TICKER_TTL_SECONDS
from warmup.live.bars import LATE, Close
from warmup.live.writing.listeners import Listeners

EVENTS_KEPT = 100_000

FLUSH = load_script("warmup/live/writing/lua/flush.lua", PAIR_CONSTANTS)


MESSAGE = b'%b,"timestamp":%b,"open":%b,"high":%b,"low":%b,"close":%b,"volume":%b,%b}'
# With the four columns behind the volume, of a row that has them.
LONG_MESSAGE = MESSAGE.replace(
    b'"volume":%b', b",".join(b'"%b":%%b' % name.encode() for name in ("volume", *COLUMNS))
)
OPEN = b'"closed":false,"healed":false'
CLOSED = b'"closed":true,"healed":false'
HEALED = b'"closed":true,"healed":true'
LATE_CLOSE = b'"closed":true,"healed":true,"late":true'
AGAIN = b',"again":true'  # behind one of these
SHORT = 6  # numbers of a row without columns


class LostEvents(RedisError):
    """Redis lacks what was told last: it lost that, or is another server than before."""


@contextmanager
def _losses() -> Iterator[None]:
    try:
        yield
    except ResponseError as error:
        if not str(error).startswith("LOST "):
            raise
        raise LostEvents(str(error)) from error


class Batch(NamedTuple):
    """What is written together. `marks` are pairs that are streamed from now on.

    With each there is the time from when on its closes are to be told where that was never said.
    """

    closes: Sequence[tuple[Pair, Close]]
    live: Mapping[Pair, Candle]
    tickers: Mapping[str, Ticker]
    marks: Mapping[Pair, int]


class PairKeys(NamedTuple):
    """A pair's names in Redis, made once: else they take a third of the time of a write."""

    candles: str
    coverage: str
    live: str
    field: str
    head: bytes  # of a message


def _names(number: int, pair: Pair) -> PairKeys:
    return PairKeys(
        keys.candles(number, *pair),
        keys.coverage(number, *pair),
        keys.live_candle(number, *pair),
        keys.pair_field(*pair),
        orjson.dumps(
            {"exchangeId": number, "symbol": pair.symbol, "timeframe": pair.timeframe.value}
        )[:-1],
    )


class Flusher:
    """Writes one exchange's stream under the `epoch` of a lease."""

    def __init__(self, redis: Redis, exchange_id: int, epoch: int, listeners: Listeners):
        """Open candles to which nobody of `listeners` listens are not published."""
        self._redis = redis
        self._listeners = listeners
        self._exchange_id = exchange_id
        self._stamp = stamp(epoch)
        self._names: dict[Pair, PairKeys] = {}
        # A pair's field ends both.
        self._channels = [
            name(exchange_id, "", "").removesuffix(keys.pair_field("", ""))
            for name in (keys.close_channel, keys.candle_channel)
        ]

    def under(self, epoch: int) -> None:
        """Write under this epoch from now on."""
        self._stamp = stamp(epoch)

    def prepare(self, batch: Batch, now_ms: int) -> Call:
        """Return the keys and arguments that write and tell it, `now_ms` being the exchange's time.

        What was told before is not told again.
        """
        number = self._exchange_id
        closes, live, tickers, marks = batch
        names: list[str] = [keys.epoch(number), keys.events(number), keys.told(number)]
        values: list[str | int | bytes] = [self._stamp, CANDLES_KEPT, EVENTS_KEPT]
        values += (len(marks), len(closes), len(live), len(tickers), *self._channels)
        for pair, from_ms in marks.items():
            values += (self._names_of(pair).field, from_ms)
        known = self._names.get
        for pair, close in closes:
            of_pair = known(pair) or self._names_of(pair)
            names += of_pair[:3]
            values += (of_pair.field, close.how, *close.covered)
            if close.candle is None:
                values += ("", "", "")
                continue
            row = orjson.dumps(close.candle.row())
            values += (close.candle.timestamp, b"" if close.stored else row)
            values.append(_close_message(of_pair, row, close) if close.how else b"")
        for pair, candle in live.items():
            of_pair = known(pair) or self._names_of(pair)
            names.append(of_pair.live)
            lives_ms = candle.timestamp + 2 * pair.timeframe.ms - now_ms
            row = orjson.dumps(candle.row())
            message = _message(of_pair, row, OPEN) if self._listeners.has(pair) else b""
            values += (row, lives_ms, message, of_pair.field)
        for symbol, ticker in tickers.items():
            names.append(keys.ticker(number, symbol))
            values += (orjson.dumps(ticker.as_json()), 1000 * TICKER_TTL_SECONDS)
            values.append(keys.ticker_channel(number, symbol))
        names.append(keys.lock(number))
        return names, values

    def send(self, call: Call, known: str, first_id: tuple[int, int]) -> Sent:
        """Send what was prepared. Raises RedisError.

        `known` is the id of the newest event that was told, `first_id` comes before that of the
        first close: the n-th has n more.
        """
        names, values = call
        return FLUSH.send(self._redis, names, [*values, known, *first_id])

    def reply(self, batch: Batch, sent: Sent) -> tuple[set[Pair], dict[int, str]]:
        """Wait until it is written; return the pairs whose closes were left out, and other ids.

        They are those of which a key is of another type. Of closes by number there are the ids that
        are not as they were given: of what was told before, by a write whose reply was lost, the
        one that it got then, "" where that is not known. Raises Fenced once another holder has the
        exchange, LostEvents where Redis lacks the newest event, and RedisError.
        """
        with refusals(), _losses():
            aside, unheard, others = sent.reply()
        if unheard:
            live = list(batch.live)
            self._listeners.unheard(live[at] for at in unheard)
        ids = dict(zip(others[::2], (each.decode() for each in others[1::2]), strict=True))
        return {batch.closes[at][0] for at in aside}, ids

    def message_of(self, pair: Pair, close: Close) -> bytes:
        """Return what the event of a close says."""
        assert close.candle is not None
        return _close_message(self._names_of(pair), orjson.dumps(close.candle.row()), close)

    def _names_of(self, pair: Pair) -> PairKeys:
        if pair not in self._names:
            self._names[pair] = _names(self._exchange_id, pair)
        return self._names[pair]


def _close_message(names: PairKeys, row: bytes, close: Close) -> bytes:
    tail = LATE_CLOSE if close.how == LATE else HEALED if close.healed else CLOSED
    return _message(names, row, tail + AGAIN if close.again else tail)


def _message(names: PairKeys, row: bytes, tail: bytes) -> bytes:
    """Return what is told of a candle, of its row: a third of what JSON takes of a dictionary."""
    numbers = row[1:-1].split(b",")
    return (MESSAGE if len(numbers) == SHORT else LONG_MESSAGE) % (names.head, *numbers, tail)
