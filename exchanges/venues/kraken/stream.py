"""Kraken's WebSocket, version 2 (docs.kraken.com, "Candles (OHLC)", "Ticker", "Ping").

A symbol has candles of one interval on a connection, so minutes are streamed, and longer bars made
of them. No frame says of a bar that it is closed; each trade makes one, and nothing else does.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import orjson

from exchanges.errors import BadPayload, clip, told
from exchanges.rest.reply import real
from exchanges.stream.base import StreamLimits, StreamSession, Topic, VenueStream
from exchanges.stream.events import Clock, Event, Refused
from exchanges.stream.unmarked import UnmarkedBars
from livermore.market.candle import Candle, Ticker, check_time
from livermore.market.pair import Pair
from livermore.market.timeframe import LONGEST_FIRST, Timeframe

UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
OHLC, TICKER = "ohlc", "ticker"
SNAPSHOT, UPDATE = "snapshot", "update"
SUBSCRIBE, UNSUBSCRIBE, PING, PONG = "subscribe", "unsubscribe", "ping", "pong"
QUIET_CHANNELS = ("status", "heartbeat")  # how it is, and that it is there: nothing to keep
INTERVAL = 1  # minutes
TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")
BEGINS, SYMBOL, TICKERS = b'"interval_begin":"', b'"symbol":"', b'{"channel":"ticker",'
MINUTE_LETTERS, LONGEST_TEXT, LONGEST_HEAD = len("2026-09-25T17:48"), 40, 40
MESSAGE_BYTES = 120  # of a message beside its symbols
LONGEST_LIFE_SECONDS = 7 * 86_400  # no limit of theirs is known


class KrakenStream(VenueStream):
    """Minutes and tickers; everything else is made of minutes. A topic is `channel:pair`."""

    marks_closed_bars = False
    concludes_bars = True
    rolls_up_from = Timeframe.M1
    limits = StreamLimits(
        topics_per_connection=300,
        topics_per_message=100,
        bytes_per_message=16_000,
        seconds_between_messages=1.0,
        seconds_between_connects=5.0,  # 150 in ten minutes, by those who count in front of it
        longest_life_seconds=LONGEST_LIFE_SECONDS,
        ping_seconds=2,  # its heartbeats don't tell the time, the answers do
    )

    @property
    def url(self) -> str:
        return self.ws_url

    def topics(self, symbols: Iterable[str]) -> dict[Topic, list[Pair]]:
        found: dict[Topic, list[Pair]] = {}
        for symbol in symbols:
            native = self._streamed_as[symbol]
            found[f"{OHLC}:{native}"] = [Pair(symbol, each) for each in LONGEST_FIRST]
            found[f"{TICKER}:{native}"] = []
        return found

    def market_in(self, topic: Topic) -> str:
        return topic.partition(":")[2]

    def session(self, address: str = "") -> StreamSession:
        return KrakenSession(self._symbols, self.limits)


class KrakenSession(StreamSession):
    """One connection; `symbols` maps native to canonical names.

    Each symbol of a message is answered for, and done or refused, by itself.
    """

    def __init__(self, symbols: Mapping[str, str], limits: StreamLimits):
        super().__init__()
        self._symbols = symbols
        self._limits = limits
        self._bars = UnmarkedBars()
        self._last_id = 0
        self._asked: dict[int, set[Topic]] = {}  # what is not answered yet, by message
        self._questions: set[int] = set()
        self._latest: dict[bytes, bytes] = {}  # the newest minute of a pair, as text

    # -- what is sent

    def subscribe(self, topics: Iterable[Topic]) -> list[str]:
        topics = list(topics)
        self.wanted.update(topics)
        return [self._message(SUBSCRIBE, batch) for batch in self.batches(topics)]

    def unsubscribe(self, topics: Iterable[Topic]) -> list[str]:
        topics = list(topics)
        self.forget(set(topics))
        for topic in topics:
            channel, _, native = topic.partition(":")
            if channel == OHLC and (symbol := self._symbols.get(native)):
                self._bars.pause(symbol)
        return [self._message(UNSUBSCRIBE, batch) for batch in self.batches(topics)]

    def question(self) -> str:
        """Return a ping: nothing tells what is subscribed, at least that somebody is there."""
        self._last_id += 1
        self._questions.add(self._last_id)
        return orjson.dumps({"method": PING, "req_id": self._last_id}).decode()

    def ping(self) -> str:
        return f'{{"method":"{PING}"}}'

    def batches(self, topics: Iterable[Topic]) -> list[list[Topic]]:
        batches: list[list[Topic]] = []
        size = 0
        for topic in sorted(topics, key=_channel_of):
            own_size = len(orjson.dumps(topic)) + 1
            is_full = not batches or (
                len(batches[-1]) >= self._limits.topics_per_message
                or size + own_size > self._limits.bytes_per_message
                or _channel_of(batches[-1][0]) != _channel_of(topic)
            )
            if is_full:
                batches.append([])
                size = MESSAGE_BYTES
            batches[-1].append(topic)
            size += own_size
        return batches

    def _message(self, method: str, topics: list[Topic]) -> str:
        self._last_id += 1
        self._asked[self._last_id] = set(topics)
        channel = _channel_of(topics[0])
        names = [topic.partition(":")[2] for topic in topics]
        params: dict[str, Any] = {"channel": channel, "symbol": names}
        if channel == OHLC:
            params["interval"] = INTERVAL
        if method == SUBSCRIBE:
            params["snapshot"] = True
        content = {"method": method, "params": params, "req_id": self._last_id}
        return orjson.dumps(content).decode()

    # -- what comes

    def go_on_from(self, before: StreamSession) -> None:
        if isinstance(before, KrakenSession):
            self._bars.go_on_from(before._bars)

    def lost_frame(self, frame: bytes) -> None:
        self._bars.lost(self._told_of(frame))

    def _told_of(self, frame: bytes) -> set[str] | None:
        """Return of which symbols a frame that is not understood has bars, None: of any."""
        try:
            message = orjson.loads(frame)
            if message["channel"] == TICKER:
                return set()
            names = [row["symbol"] for row in message["data"]]
            return {self._symbols[name] for name in names} or None
        except UNREADABLE:
            return None

    def superseded_by(self, frame: bytes) -> bytes | None:
        # Of tickers alone: the time would overtake bars that were replaced.
        if not frame.startswith(TICKERS) or frame.count(SYMBOL) != 1:
            return None
        return TICKER.encode() + _text_after(SYMBOL, frame)

    def may_close(self, frame: bytes) -> bool:
        # The first trade of a later minute closes the one before.
        if frame.find(b'"ohlc"', 0, LONGEST_HEAD) < 0:
            return False
        minute = _text_after(BEGINS, frame)[:MINUTE_LETTERS]
        name = _text_after(SYMBOL, frame)
        if name.decode("ascii", "replace") not in self._symbols:
            return False
        before = self._latest.get(name, minute)
        self._latest[name] = max(before, minute)
        return minute > before

    def parse(self, frame: bytes) -> list[Event]:
        try:
            message = orjson.loads(frame)
            if not isinstance(message, dict):  # who knows of what it was to tell
                raise TypeError("not an object")
            if "channel" in message:
                return self._read(message)
            if "method" in message or "error" in message:
                return self._answer(message)
            self.unknown += 1
            return []
        except UNREADABLE as error:
            raise BadPayload(f"a frame that can't be read ({clip(str(error))})", frame) from error

    def _read(self, message: Mapping[str, Any]) -> list[Event]:
        match message["channel"]:
            case "ohlc":
                return self._candles(message)
            case "ticker":
                return [event for row in message["data"] for event in self._ticker(row)]
            case "heartbeat":
                self.has_heartbeats = True
            case channel if channel not in QUIET_CHANNELS:
                self.unknown += 1
        return []

    def _candles(self, message: Mapping[str, Any]) -> list[Event]:
        is_snapshot = {SNAPSHOT: True, UPDATE: False}[message["type"]]
        rows: dict[str, list[Candle]] = {}
        for row in message["data"]:
            if row["interval"] == INTERVAL and (symbol := self._symbol(row["symbol"])):
                rows.setdefault(symbol, []).append(_candle(row))
        sent = message.get("timestamp")
        sent_ms = read_time_ms(sent) if sent is not None else None
        found: list[Event] = []
        for symbol, candles in rows.items():
            candles.sort(key=lambda each: each.timestamp)
            if is_snapshot:
                known_ms = candles[-1].timestamp if sent_ms is None else sent_ms
                found += self._bars.snapshot(symbol, candles, known_ms)
            else:
                found += [event for each in candles for event in self._bars.shown(symbol, each)]
        return found if sent_ms is None else [Clock(sent_ms), *found, *self._bars.time(sent_ms)]

    def _ticker(self, row: Mapping[str, Any]) -> list[Event]:
        symbol = self._symbol(row["symbol"])
        if symbol is None:
            return []
        sent_ms = read_time_ms(row["timestamp"])
        ticker = Ticker(
            symbol,
            real(row["last"]),
            real(row["change"]),
            real(row["change_pct"]),
            real(row["high"]),
            real(row["low"]),
            real(row["volume"]),
            sent_ms,
        )
        return [Clock(sent_ms), ticker]

    def _answer(self, message: Mapping[str, Any]) -> list[Event]:
        """Take an answer to one symbol of a message; whatever was refused says `subscribe`."""
        if message.get("method") == PONG:
            return self._take_pong(message)
        result = message.get("result") or {}
        native = message.get("symbol") or result.get("symbol")
        is_done = message["success"] is True
        if is_done and result["channel"] not in (OHLC, TICKER):
            self.unknown += 1
            return []
        topic = self._note_answer(message.get("req_id"), native, result.get("channel"))
        if is_done and message["method"] == SUBSCRIBE and topic in self.wanted:
            self.confirmed.add(topic)
        return [] if is_done else [Refused(told(message.get("error")))]

    def _take_pong(self, message: Mapping[str, Any]) -> list[Event]:
        request_id = message.get("req_id")
        if request_id in self._questions:
            self._questions.discard(request_id)
            self.answered += 1
        if message.get("time_out") is None:
            return []
        time_ms = read_time_ms(message["time_out"])
        return [Clock(time_ms), *self._bars.time(time_ms)]

    def _note_answer(self, request_id: Any, native: Any, channel: str | None) -> Topic | None:
        """Return what was answered; a message is, once each of its symbols or all of it is.

        Where an answer doesn't say to which message it belongs it is the oldest with that symbol.
        """
        ids = [request_id] if request_id in self._asked else list(self._asked)
        for asked_id in ids:
            waiting = self._asked[asked_id]
            named = {each for each in waiting if each.partition(":")[2] == native}
            if channel is not None:
                named = {each for each in named if _channel_of(each) == channel}
            if not named and native is not None:
                continue
            waiting -= named or set(waiting)  # without a name it is about all of them
            if not waiting:
                del self._asked[asked_id]
                self.answered += 1
            return next(iter(named), None)
        return None

    def _symbol(self, native: str) -> str | None:
        symbol = self._symbols.get(native)
        self.unknown += symbol is None
        return symbol


def _channel_of(topic: Topic) -> str:
    return topic.partition(":")[0]


def _text_after(key: bytes, frame: bytes) -> bytes:
    """Return the text that a key has where it comes last, nothing where it doesn't come."""
    at = frame.rfind(key)
    return frame[at + len(key) :][:LONGEST_TEXT].partition(b'"')[0] if at >= 0 else b""


def _candle(row: Mapping[str, Any]) -> Candle:
    return Candle(
        read_time_ms(row["interval_begin"]),  # `timestamp` is when it ends
        real(row["open"]),
        real(row["high"]),
        real(row["low"]),
        real(row["close"]),
        real(row["volume"]),
        Timeframe.M1,
    )


def read_time_ms(text: str) -> int:
    """Return a time in UTC, with up to nine digits of its second, in ms."""
    found = TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"not a time: {told(text)}")
    seconds = datetime.fromisoformat(f"{found[1]}+00:00").timestamp()
    return check_time(round(seconds * 1000) + int((found[2] or "").ljust(3, "0")[:3]))
