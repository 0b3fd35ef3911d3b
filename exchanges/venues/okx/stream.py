"""OKX's market channels (www.okx.com/docs-v5, "WebSocket", "Candlesticks" and "Tickers channel").

Candles are streamed at one address and tickers at another. A frame of candles has no time of its
own. The exchange tells nobody what is subscribed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from exchanges.errors import BadPayload, clip, told
from exchanges.rest.reply import number, whole
from exchanges.stream.base import StreamLimits, StreamSession, Topic, VenueStream
from exchanges.stream.events import CandleUpdate, Clock, Event, Refused, Shutdown
from exchanges.venues.okx.rest import BARS, COLUMNS, CONFIRMED, SPOT_VOLUME, SWAP_VOLUME
from exchanges.venues.okx.symbols import is_swap
from livermore.market.candle import Candle, Ticker, check_time
from livermore.market.pair import Pair
from livermore.market.timeframe import LONGEST_FIRST, Timeframe

UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
TICKERS = "tickers"
CHANNELS = {timeframe: f"candle{bar}" for timeframe, bar in BARS.items()}
TIMEFRAMES = {channel: timeframe for timeframe, channel in CHANNELS.items()}
PUBLIC, BUSINESS = "public", "business"
PING, PONG = "ping", b"pong"
CLOSED = {"0": False, "1": True}  # as the last column of a row says
TOO_FAST = {"50011", "60014"}
ENDS_SOON = {"64008"}  # the notice of an upgrade
OPEN_ROW, ROWS, NEXT_ROW, CANDLES = b'"0"]]}', b'"data":[["', b"],[", b'{"arg":{"channel":"candle'
TIME_DIGITS = 13
MESSAGE_BYTES = 100  # of a message beside its topics
LONGEST_LIFE_SECONDS = 7 * 86_400  # no limit of theirs is known


class OkxStream(VenueStream):
    """Candles of all six timeframes and tickers. A topic is `channel:instrument`."""

    marks_closed_bars = True
    limits = StreamLimits(
        topics_per_connection=200,
        topics_per_message=100,
        bytes_per_message=60_000,  # of 64 kB
        seconds_between_messages=0.5,
        seconds_between_connects=0.5,  # three a second
        longest_life_seconds=LONGEST_LIFE_SECONDS,
        ping_seconds=20,  # a connection that was sent nothing for 30 is cut
        messages_per_hour=450,  # of 480 that subscribe or unsubscribe
    )

    @property
    def url(self) -> str:
        return f"{self.ws_url}/{BUSINESS}"

    def address_of(self, topic: Topic) -> str:
        is_ticker = topic.partition(":")[0] == TICKERS
        return f"{self.ws_url}/{PUBLIC if is_ticker else BUSINESS}"

    def topics(self, symbols: Iterable[str]) -> dict[Topic, list[Pair]]:
        found: dict[Topic, list[Pair]] = {}
        for symbol in symbols:
            native = self._streamed_as[symbol]
            for timeframe in LONGEST_FIRST:
                found[f"{CHANNELS[timeframe]}:{native}"] = [Pair(symbol, timeframe)]
            found[f"{TICKERS}:{native}"] = []
        return found

    def market_in(self, topic: Topic) -> str:
        return topic.partition(":")[2]

    def session(self, address: str = "") -> StreamSession:
        return OkxSession(self._symbols, self.limits)


class OkxSession(StreamSession):
    """One connection; `symbols` maps native to canonical names.

    Each topic of a message has its own acknowledgement, with the message's id. One that can't be
    rejects the message whole.
    """

    closing_flag = b'"1"]'

    def __init__(self, symbols: Mapping[str, str], limits: StreamLimits):
        super().__init__()
        self._symbols = symbols
        self._limits = limits
        self._last_id = 0
        self._asked: dict[str, set[Topic]] = {}  # what is not acknowledged yet, by message
        self._questions = 0

    def subscribe(self, topics: Iterable[Topic]) -> list[str]:
        topics = list(topics)
        self.wanted.update(topics)
        return [self._message("subscribe", batch) for batch in self.batches(topics)]

    def unsubscribe(self, topics: Iterable[Topic]) -> list[str]:
        topics = list(topics)
        self.forget(set(topics))
        return [self._message("unsubscribe", batch) for batch in self.batches(topics)]

    def question(self) -> str:
        self._questions += 1  # nothing tells what is subscribed: at least that somebody is there
        return PING

    def ping(self) -> str:
        return PING

    def batches(self, topics: Iterable[Topic]) -> list[list[Topic]]:
        batches: list[list[Topic]] = []
        size = 0
        for topic in topics:
            own_size = len(orjson.dumps(_arg(topic))) + 1
            is_full = bool(batches) and len(batches[-1]) >= self._limits.topics_per_message
            if not batches or is_full or size + own_size > self._limits.bytes_per_message:
                batches.append([])
                size = MESSAGE_BYTES
            batches[-1].append(topic)
            size += own_size
        return batches

    def superseded_by(self, frame: bytes) -> bytes | None:
        # {"arg":{"channel":"candle1m","instId":"BTC-USDT"},"data":[["1789470120000",…,"0"]]}
        if not (frame.endswith(OPEN_ROW) and frame.startswith(CANDLES)):
            return None
        rows_at = frame.find(ROWS)
        if rows_at < 0 or frame.find(NEXT_ROW, rows_at) >= 0:
            return None
        return frame[: rows_at + len(ROWS) + TIME_DIGITS]

    def parse(self, frame: bytes) -> list[Event]:
        if frame == PONG:
            self.answered += bool(self._questions)
            self._questions = max(0, self._questions - 1)
            return []
        try:
            message = orjson.loads(frame)
            return self._answer(message) if "event" in message else self._read(message)
        except UNREADABLE as error:
            raise BadPayload(f"a frame that can't be read ({clip(str(error))})", frame) from error

    def _answer(self, message: Mapping[str, Any]) -> list[Event]:
        match message["event"]:
            case "subscribe" | "unsubscribe" as verb:
                self._acknowledge(_topic(message["arg"]), message.get("id"), verb == "subscribe")
            case "error":
                return self._refuse(message)
            case "notice" if message["code"] in ENDS_SOON:
                return [Shutdown()]
            case _:
                self.unknown += 1
        return []

    def _acknowledge(self, topic: Topic, message_id: Any, is_subscribed: bool) -> None:
        if is_subscribed and topic in self.wanted:
            self.confirmed.add(topic)
        ids = [str(message_id)] if str(message_id) in self._asked else list(self._asked)
        for asked_id in ids:
            waiting = self._asked[asked_id]
            if topic in waiting:
                waiting.discard(topic)
                if not waiting:
                    del self._asked[asked_id]
                    self.answered += 1
                return

    def _refuse(self, message: Mapping[str, Any]) -> list[Event]:
        """Return what is refused: the message of that id, or the oldest where it names none."""
        code, said = str(message["code"]), told(message.get("msg"))
        message_id = str(message.get("id"))
        asked_id = message_id if message_id in self._asked else next(iter(self._asked), None)
        if asked_id is not None:
            del self._asked[asked_id]
            self.answered += 1
        if code in TOO_FAST:  # on this connection: another one has its own hour
            return [Refused(f"too many requests, code {code}: {said}"), Shutdown()]
        return [Refused(f"code {told(code)}: {said}")]

    def _read(self, message: Mapping[str, Any]) -> list[Event]:
        channel, native = message["arg"]["channel"], message["arg"]["instId"]
        rows, symbol = message["data"], self._symbols.get(native)
        if symbol is None or not (channel == TICKERS or channel in TIMEFRAMES):
            self.unknown += 1
            return []
        if channel == TICKERS:
            return [event for row in rows for event in _ticker(symbol, native, row)]
        timeframe = TIMEFRAMES[channel]
        volume = SWAP_VOLUME if is_swap(native) else SPOT_VOLUME
        # REST's rows come newest first; a bar's end has to be told before the next one.
        in_order = sorted(rows, key=lambda row: whole(row[0]))
        return [_update(symbol, row, volume, timeframe) for row in in_order]

    def _message(self, verb: str, topics: list[Topic]) -> str:
        self._last_id += 1
        self._asked[str(self._last_id)] = set(topics)
        content = {"id": str(self._last_id), "op": verb, "args": [_arg(each) for each in topics]}
        return orjson.dumps(content).decode()


def _arg(topic: Topic) -> dict[str, str]:
    channel, _, native = topic.partition(":")
    return {"channel": channel, "instId": native}


def _topic(arg: Mapping[str, str]) -> Topic:
    return f"{arg['channel']}:{arg['instId']}"


def _update(symbol: str, row: list, volume: int, timeframe: Timeframe) -> CandleUpdate:
    if len(row) != COLUMNS:
        raise ValueError(f"not a row of {COLUMNS} columns")
    candle = Candle(
        whole(row[0]),
        number(row[1]),
        number(row[2]),
        number(row[3]),
        number(row[4]),
        number(row[volume]),
        timeframe,
    )
    return CandleUpdate(symbol, candle, closed=CLOSED[row[CONFIRMED]])


def _ticker(symbol: str, native: str, row: Mapping[str, Any]) -> list[Event]:
    sent_ms = check_time(whole(row["ts"]))
    price, opened = number(row["last"]), number(row["open24h"])
    change = price - opened
    ticker = Ticker(
        symbol,
        price,
        change,
        100 * change / opened,
        number(row["high24h"]),
        number(row["low24h"]),
        number(row["volCcy24h" if is_swap(native) else "vol24h"]),
        sent_ms,
    )
    return [Clock(sent_ms), ticker]
