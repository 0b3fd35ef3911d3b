"""Candles and tickers over WebSockets, in the protocol of klines."""

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any

import orjson

from exchanges.errors import BadPayload, clip, told
from exchanges.rest.reply import number
from exchanges.stream.base import StreamLimits, StreamSession, Topic, VenueStream
from exchanges.stream.events import CandleUpdate, Clock, Event, Refused, Shutdown
from livermore.market.candle import Candle, Ticker, check_time
from livermore.market.columns import known_columns, read_columns
from livermore.market.pair import Pair
from livermore.market.timeframe import LONGEST_FIRST, Timeframe

UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
TIMEFRAMES = {str(each): each for each in Timeframe}  # three times as fast as to call the enum
TICKERS = "!miniTicker@arr"
NUMBERS = itemgetter("o", "h", "l", "c", "v", "q", "V", "Q")
OWN_KIND = 1  # of a ticker, where the markets of two exchanges are told in one stream
USUAL_LENGTH = 200  # of all these texts


class KlineStream(VenueStream):
    """Candles of all six timeframes, and the tickers of all markets in one stream.

    `path` is that of the combined stream, behind the row's address.
    """

    marks_closed_bars = True
    path: str

    @property
    def url(self) -> str:
        return f"{self.ws_url}{self.path}"

    def topics(self, symbols: Iterable[str]) -> dict[Topic, list[Pair]]:
        found: dict[Topic, list[Pair]] = {TICKERS: []}
        for symbol in symbols:
            native = self._native_symbols[symbol].lower()  # in upper case it would stay silent
            for timeframe in LONGEST_FIRST:
                found[f"{native}@kline_{timeframe}"] = [Pair(symbol, timeframe)]
        return found

    def market_in(self, topic: Topic) -> str:
        return topic.partition("@")[0]

    def session(self, address: str = "") -> StreamSession:
        return KlineSession(self._symbols, self.limits)


class KlineSession(StreamSession):
    """One connection to the combined stream; `symbols` maps native to canonical names.

    A row of tickers that says it is of another kind of market (`st`) than the first is left out.
    """

    closing_flag = b'"x":true'

    def __init__(self, symbols: Mapping[str, str], limits: StreamLimits):
        super().__init__()
        self._symbols = symbols
        self._limits = limits
        self._last_id = 0
        self._clock = Clock(0)
        self._asked: dict[object, tuple[str, list[Topic]]] = {}
        self._readers: dict[str, Callable[[Any], list[Event]]] = {
            "kline": self._kline,
            "24hrTicker": self._ticker,
            "24hrMiniTicker": self._ticker,
            "serverShutdown": lambda data: [Shutdown()],
        }

    def subscribe(self, topics: Iterable[Topic]) -> list[str]:
        topics = list(topics)
        self.wanted.update(topics)
        return self._messages("SUBSCRIBE", topics)

    def unsubscribe(self, topics: Iterable[Topic]) -> list[str]:
        topics = list(topics)
        self.forget(set(topics))
        return self._messages("UNSUBSCRIBE", topics)

    def question(self) -> str:
        return self._message("LIST_SUBSCRIPTIONS", [])

    def superseded_by(self, frame: bytes) -> bytes | None:
        # {"stream":"btcusdt@kline_1m","data":{…,"k":{"t":1633998240000,…,"x":false,…
        # The flag is near the end: looked for from there it costs a third.
        if frame.rfind(b'"x":false') < 0 or not frame.startswith(b'{"stream":"'):
            return None
        name_ends = frame.find(b'"', 11)
        opened = frame.find(b'"t":', name_ends)
        return frame[11:name_ends] + frame[opened + 4 : opened + 17]

    def parse(self, frame: bytes) -> list[Event]:
        try:
            message = orjson.loads(frame)
            data = message["data"] if "stream" in message else message
            return self._read_all(data) if type(data) is list else self._read(data)
        except UNREADABLE as error:
            raise BadPayload(f"a frame that can't be read ({clip(str(error))})", frame) from error

    def _read_all(self, rows: list[Any]) -> list[Event]:
        """Return what the rows say; one that can't be read is counted and spoils no other."""
        events: list[Event] = []
        failure: Exception | None = None
        for row in rows:
            try:
                events += self._read(row)
            except UNREADABLE as error:
                self.unknown += 1
                failure = error
        if failure and not events:
            raise failure
        return events

    def _read(self, data: Any) -> list[Event]:
        kind = data.get("e")  # a book ticker has none
        if kind is None:
            if "id" in data or "error" in data:
                return self._answer(data)
        elif reader := self._readers.get(kind):
            return reader(data)
        self.unknown += kind is not None or "b" not in data
        return []

    def _answer(self, data: Mapping[str, Any]) -> list[Event]:
        verb, topics = self._asked.pop(data.get("id"), ("", []))
        self.answered += 1
        error = data.get("error") or (data if "code" in data else None)
        if error:
            return [Refused(f"code {told(error.get('code'))}: {told(error.get('msg'))}")]
        if verb == "SUBSCRIBE":
            self.confirmed.update(self.wanted.intersection(topics))
        elif verb == "LIST_SUBSCRIPTIONS" and isinstance(data.get("result"), list):
            self.confirmed = self.wanted.intersection(data["result"])
        return []

    def _kline(self, data: Mapping[str, Any]) -> list[Event]:
        clock = self._sent(data["E"])
        symbol = self._symbols.get(data["s"])
        bar = data["k"]
        timeframe = TIMEFRAMES.get(bar["i"])
        if symbol is None or timeframe is None:
            return [clock]
        candle = _usual_candle(bar, timeframe) or _candle(bar, timeframe)
        closed = bar["x"]
        if type(closed) is not bool:
            raise TypeError("the flag of a closed bar is neither true nor false")
        # A frame that was sent before the bar's end does not know how it ends, whatever it says.
        closed = closed and clock.time_ms >= candle.close_time_ms
        return [clock, CandleUpdate(symbol, candle, closed)]

    def _sent(self, time_ms: Any) -> Clock:
        """Return when a frame was sent: of those that were at once, the same."""
        if type(time_ms) is not int or time_ms != self._clock.time_ms:
            self._clock = Clock(check_time(time_ms))
        return self._clock

    def _ticker(self, data: Mapping[str, Any]) -> list[Event]:
        clock = self._sent(data["E"])
        symbol = self._symbols.get(data["s"])
        if symbol is None or data.get("st", OWN_KIND) != OWN_KIND:
            return [clock]
        price, opened = number(data["c"]), number(data["o"])
        change = number(data["p"]) if "p" in data else price - opened
        ticker = Ticker(
            symbol,
            price,
            change,
            number(data["P"]) if "P" in data else 100 * change / opened,
            number(data["h"]),
            number(data["l"]),
            number(data["v"]),
            clock.time_ms,
        )
        return [clock, ticker]

    def batches(self, topics: Iterable[Topic]) -> list[list[Topic]]:
        batches: list[list[Topic]] = []
        for topic in topics:
            if not batches or not self._fits([*batches[-1], topic]):
                batches.append([])
            batches[-1].append(topic)
        return batches

    def _messages(self, verb: str, topics: list[Topic]) -> list[str]:
        return [self._message(verb, batch) for batch in self.batches(topics)]

    def _fits(self, topics: list[Topic]) -> bool:
        size = sum(len(topic.encode()) + 3 for topic in topics) + 60  # quotes, commas, the rest
        limits = self._limits
        return len(topics) <= limits.topics_per_message and size <= limits.bytes_per_message

    def _message(self, verb: str, topics: list[Topic]) -> str:
        self._last_id += 1
        self._asked[self._last_id] = (verb, topics)
        params = {"params": topics} if topics else {}
        return orjson.dumps({"method": verb, **params, "id": self._last_id}).decode()


def _usual_candle(bar: Mapping[str, Any], timeframe: Timeframe) -> Candle | None:
    """Return a bar all of whose texts are as usual, None for another one.

    Each frame comes here: that they are looked at together halves what it takes.
    """
    try:
        texts = NUMBERS(bar)
        together = " ".join(texts)
        if len(together) > USUAL_LENGTH or "_" in together:
            return None
        opened, high, low, close, volume, quote, taken, paid = map(float, texts)
        columns = known_columns(quote, bar["n"], taken, paid)
        return Candle(bar["t"], opened, high, low, close, volume, timeframe, columns)
    except (LookupError, TypeError, ValueError):
        return None


def _candle(bar: Mapping[str, Any], timeframe: Timeframe) -> Candle:
    """Return a bar; a column that isn't told, or is no number, costs no bar."""
    return Candle(
        bar["t"],
        number(bar["o"]),
        number(bar["h"]),
        number(bar["l"]),
        number(bar["c"]),
        number(bar["v"]),
        timeframe,
        read_columns([bar.get(name) for name in ("q", "n", "V", "Q")]),
    )
