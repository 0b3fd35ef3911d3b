"""Bybit's public streams, v5 (bybit-exchange.github.io/docs/v5, "WebSocket Public")."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from exchanges.errors import BadPayload, clip, told
from exchanges.rest.reply import number
from exchanges.stream.base import StreamLimits, StreamSession, Topic, VenueStream
from exchanges.stream.events import CandleUpdate, Clock, Event, Refused
from exchanges.symbols.listed import SPOT, kind_of
from exchanges.venues.bybit.rest import INTERVALS
from exchanges.venues.bybit.symbols import CATEGORIES, KINDS, market_name
from livermore.market.candle import Candle, Ticker, check_time
from livermore.market.pair import Pair
from livermore.market.timeframe import LONGEST_FIRST, Timeframe

UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
KLINE, TICKERS = "kline", "tickers"
TIMEFRAMES = {interval: timeframe for timeframe, interval in INTERVALS.items()}
TICKER_FIELDS = ("lastPrice", "prevPrice24h", "highPrice24h", "lowPrice24h", "volume24h")
SNAPSHOT, DELTA = "snapshot", "delta"
SUBSCRIBE, UNSUBSCRIBE, PING, PONG = "subscribe", "unsubscribe", "ping", "pong"
ALREADY = "already subscribed"
OPEN, START, TOPIC = b'"confirm":false', b'"start":', b'"topic":"'
KLINE_TOPIC, TICKER_TOPIC, SNAPSHOT_TYPE = b"kline.", b"tickers.", b'"type":"snapshot"'
TICKER_KEYS = tuple(f'"{name}"'.encode() for name in TICKER_FIELDS)
START_DIGITS, LONGEST_TOPIC = 13, 200


class BybitStream(VenueStream):
    """Candles of all six timeframes and tickers, each category on connections of its own.

    A topic is the exchange's with the category before it: `linear kline.1.BTCUSDT`.
    """

    marks_closed_bars = True
    market_name = staticmethod(market_name)
    limits = StreamLimits(
        # Their names may have 21,000 characters together: 70 each.
        topics_per_connection=300,
        topics_per_message=10,  # of spot; of linear nothing is said
        bytes_per_message=4000,
        seconds_between_messages=0.2,
        seconds_between_connects=1.0,  # 500 in five minutes
        longest_life_seconds=23 * 3600,  # none is told
        ping_seconds=20.0,
    )

    @property
    def url(self) -> str:
        return self._address(CATEGORIES[SPOT])

    def address_of(self, topic: Topic) -> str:
        return self._address(topic.partition(" ")[0])

    def _address(self, category: str) -> str:
        return f"{self.ws_url}/{category}"

    def topics(self, symbols: Iterable[str]) -> dict[Topic, list[Pair]]:
        found: dict[Topic, list[Pair]] = {}
        for symbol in symbols:
            native, category = self._native_symbols[symbol], CATEGORIES[kind_of(symbol)]
            for timeframe in LONGEST_FIRST:
                topic = f"{category} {KLINE}.{INTERVALS[timeframe]}.{native}"
                found[topic] = [Pair(symbol, timeframe)]
            found[f"{category} {TICKERS}.{native}"] = []
        return found

    def market_in(self, topic: Topic) -> str:
        category, _, name = topic.partition(" ")
        return f"{category} {name.rpartition('.')[2]}"

    def session(self, address: str = "") -> StreamSession:
        category = (address or self.url).rpartition("/")[2]
        return BybitSession(self._symbols, self.limits, category)


class BybitSession(StreamSession):
    """One connection to a category; `symbols` maps market names to canonical ones."""

    closing_flag = b'"confirm":true'

    def __init__(self, symbols: Mapping[str, str], limits: StreamLimits, category: str):
        super().__init__()
        self._symbols = symbols
        self._limits = limits
        self._category = category
        self._last_id = 0
        self._asked: dict[str, tuple[str, list[Topic]]] = {}  # by our name of a message
        self._pings: deque[bool] = deque(maxlen=100)  # those on their way: whether they ask
        self._tickers: dict[str, dict[str, Any]] = {}  # by native symbol: the whole so far
        self._clock = Clock(0)

    def subscribe(self, topics: Iterable[Topic]) -> list[str]:
        topics = list(topics)
        self.wanted.update(topics)
        return self._messages(SUBSCRIBE, topics)

    def unsubscribe(self, topics: Iterable[Topic]) -> list[str]:
        topics = list(topics)
        self.forget(set(topics))
        return self._messages(UNSUBSCRIBE, topics)

    def question(self) -> str:
        """Return a ping: nothing tells what is subscribed, and the answer shows who is there."""
        return self._ping(asks=True)

    def ping(self) -> str:
        return self._ping(asks=False)

    def _ping(self, *, asks: bool) -> str:
        self._pings.append(asks)
        return orjson.dumps({"op": PING}).decode()

    def batches(self, topics: Iterable[Topic]) -> list[list[Topic]]:
        topics, size = list(topics), self._limits.topics_per_message
        return [topics[at : at + size] for at in range(0, len(topics), size)]

    def superseded_by(self, frame: bytes) -> bytes | None:
        # {"topic":"kline.1.BTCUSDT",…"data":[{"start":1790409720000,…,"confirm":false,…
        topic = _topic_in(frame)
        if topic.startswith(KLINE_TOPIC):
            # A frame may hold the bar behind a closed one as well.
            if frame.count(START) != 1 or OPEN not in frame:
                return None
            begins = frame.find(START) + len(START)
            return topic + frame[begins : begins + START_DIGITS]
        if topic.startswith(TICKER_TOPIC) and self._is_whole(frame):
            return topic
        return None

    def _is_whole(self, frame: bytes) -> bool:
        """Tell of a ticker's frame whether the next one tells all that it does of what we keep."""
        if self._category == CATEGORIES[SPOT]:
            return SNAPSHOT_TYPE in frame
        return SNAPSHOT_TYPE not in frame and not any(map(frame.__contains__, TICKER_KEYS))

    def parse(self, frame: bytes) -> list[Event]:
        try:
            message = orjson.loads(frame)
            if "topic" in message:
                return self._read(message)
            if "op" in message:
                return self._answer(message)
        except UNREADABLE as error:
            raise BadPayload(f"a frame that can't be read ({clip(str(error))})", frame) from error
        self.unknown += 1
        return []

    def _read(self, message: Mapping[str, Any]) -> list[Event]:
        kind, _, name = message["topic"].partition(".")
        clock = self._sent(message["ts"])
        if kind == KLINE:
            interval, _, native = name.partition(".")
            return [clock, *self._candles(message["data"], interval, native, clock.time_ms)]
        if kind == TICKERS:
            return [clock, *self._ticker(message, name, clock.time_ms)]
        self.unknown += 1
        return [clock]

    def _sent(self, time_ms: Any) -> Clock:
        """Return when a frame was sent: of those that were at once, the same."""
        if type(time_ms) is not int or time_ms != self._clock.time_ms:
            self._clock = Clock(check_time(time_ms))
        return self._clock

    def _candles(
        self, rows: list[Any], interval: str, native: str, sent_ms: int
    ) -> Iterable[Event]:
        """Return the bars of a frame in the order of their times: the closed one comes first."""
        symbol, timeframe = self._symbol(native), TIMEFRAMES.get(interval)
        if symbol is None or timeframe is None:
            return []
        found = [_candle(row, interval, timeframe, sent_ms) for row in rows]
        found.sort(key=lambda bar: bar[0].timestamp)
        return [CandleUpdate(symbol, candle, closed) for candle, closed in found]

    def _ticker(self, message: Mapping[str, Any], native: str, sent_ms: int) -> list[Event]:
        """Return the whole ticker after a frame, which may tell only what of it has changed."""
        symbol, told = self._symbol(native), message["data"]
        if symbol is None:
            return []
        new = {name: told[name] for name in TICKER_FIELDS if name in told}
        if message["type"] == SNAPSHOT:
            self._tickers[native] = new
        elif native not in self._tickers or not new:
            return []  # it can't be told from a part alone, or nothing of it has changed
        whole = self._tickers[native] = self._tickers[native] | new
        price, before, high, low, volume = (number(whole[name]) for name in TICKER_FIELDS)
        change = price - before
        ticker = Ticker(symbol, price, change, 100 * change / before, high, low, volume, sent_ms)
        return [ticker]

    def _symbol(self, native: str) -> str | None:
        symbol = self._symbols.get(market_name(native, KINDS[self._category]))
        self.unknown += symbol is None
        return symbol

    def _answer(self, message: Mapping[str, Any]) -> list[Event]:
        """Learn what was done of a message: one that is refused is done nothing of."""
        said = told(message.get("ret_msg"))
        if message["op"] in (PING, PONG) or said == PONG:
            self.answered += bool(self._pings and self._pings.popleft())
            return []
        verb, topics = self._asked_by(message)
        self.answered += 1
        if message["success"] is not True:
            if ALREADY in said:
                self.confirmed |= {each for each in topics if _name_in(said, each)} & self.wanted
            return [Refused(said)]
        if verb == SUBSCRIBE:
            self.confirmed.update(self.wanted.intersection(topics))
        return []

    def _asked_by(self, message: Mapping[str, Any]) -> tuple[str, list[Topic]]:
        """Return what an answer is about; a refusal need not name its message."""
        name = message.get("req_id")
        if isinstance(name, str) and name in self._asked:
            return self._asked.pop(name)
        if self._asked and (message["success"] is not True or len(self._asked) == 1):
            return self._asked.pop(next(iter(self._asked)))
        return "", []

    def _messages(self, verb: str, topics: list[Topic]) -> list[str]:
        return [self._message(verb, batch) for batch in self.batches(topics)]

    def _message(self, verb: str, topics: list[Topic]) -> str:
        self._last_id += 1
        name = str(self._last_id)
        self._asked[name] = verb, topics
        names = [topic.partition(" ")[2] for topic in topics]
        return orjson.dumps({"req_id": name, "op": verb, "args": names}).decode()


def _candle(
    row: Mapping[str, Any], interval: str, timeframe: Timeframe, sent_ms: int
) -> tuple[Candle, bool]:
    """Return a bar and whether it is closed."""
    candle = Candle(
        row["start"],
        number(row["open"]),
        number(row["high"]),
        number(row["low"]),
        number(row["close"]),
        number(row["volume"]),
        timeframe,
        None,  # of the four further columns it tells the first alone
    )
    closed = row["confirm"]
    if row["interval"] != interval or type(closed) is not bool:
        raise TypeError("not a bar of its topic, or its flag is neither true nor false")
    # A frame that was sent before the bar's end does not know how it ends, whatever it says.
    return candle, closed and sent_ms >= candle.close_time_ms


def _topic_in(frame: bytes) -> bytes:
    """Return the topic that a frame begins with or holds; nothing where it has none."""
    found = frame.find(TOPIC)
    if found < 0:
        return b""
    begins = found + len(TOPIC)
    return frame[begins : frame.find(b'"', begins, begins + LONGEST_TOPIC)]


def _name_in(said: str, topic: Topic) -> bool:
    """Tell whether what is said names a topic, as the last thing or the only one."""
    return said.endswith(topic.partition(" ")[2])
