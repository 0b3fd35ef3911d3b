"""Coinbase Advanced Trade's market channels (docs.cdp.coinbase.com, "WebSocket channels")."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from exchanges.errors import BadPayload, clip, told
from exchanges.rest.reply import LONGEST_NUMBER, number, whole
from exchanges.stream.base import StreamLimits, StreamSession, Topic, VenueStream
from exchanges.stream.events import CandleUpdate, Clock, Event, Lost, Refused
from exchanges.venues.coinbase.minutes import MinuteBuilder
from exchanges.venues.coinbase.texts import UNREADABLE, decimal, read_time_ms
from livermore.market.candle import Candle, Ticker, check_time
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe

HEARTBEATS = "heartbeats"  # without it a channel whose products are quiet is closed
CANDLES, TRADES, TICKERS = "candles", "market_trades", "ticker_batch"
MOST_LOST = 1_000_000  # frames of one connection; a larger gap is none
PRODUCT, TIME = b'"product_id":"', b'"time":"'
LONGEST_HEAD = 200  # bytes of a frame in which its channel is named
# The channel has five minutes only. From trades come the minutes, from both the longer ones.
FED_BY_CANDLES = (Timeframe.D1, Timeframe.H4, Timeframe.H1, Timeframe.M15, Timeframe.M5)


class CoinbaseStream(VenueStream):
    """Five-minute candles, trades and tickers; everything else is made of them.

    A topic is `channel:product`.
    """

    marks_closed_bars = False
    rolls_up_from = Timeframe.M5
    limits = StreamLimits(
        topics_per_connection=300,
        topics_per_message=100,
        bytes_per_message=16_000,
        seconds_between_messages=0.22,  # 8 a second
        seconds_between_connects=1.0,  # 8 a second
        longest_life_seconds=23 * 3600,
        by_address=True,
    )

    @property
    def url(self) -> str:
        return self.ws_url

    def topics(self, symbols: Iterable[str]) -> dict[Topic, list[Pair]]:
        found: dict[Topic, list[Pair]] = {}
        for symbol in symbols:
            product = self._streamed_as[symbol]  # a name of two symbols is asked for once
            longer = [Pair(symbol, each) for each in FED_BY_CANDLES]
            found.setdefault(f"{CANDLES}:{product}", []).extend(longer)
            found.setdefault(f"{TRADES}:{product}", []).append(Pair(symbol, Timeframe.M1))
            found[f"{TICKERS}:{product}"] = []
        return found

    def market_in(self, topic: Topic) -> str:
        return topic.partition(":")[2]

    def session(self, address: str = "") -> StreamSession:
        return CoinbaseSession(self._symbols, self.limits)


class CoinbaseSession(StreamSession):
    """One connection; `symbols` maps products to canonical names.

    Frames are numbered from 0 over all channels: a number left out is a frame that was lost.
    """

    def __init__(self, symbols: Mapping[str, str], limits: StreamLimits):
        super().__init__()
        self._symbols = symbols
        self._limits = limits
        self._began = False
        self._next_number: int | None = None
        self._minutes: dict[str, MinuteBuilder] = {}
        self._latest: dict[bytes, bytes] = {}  # the minute of a product's last trade, as text
        self._readers = {
            "subscriptions": self._acknowledge,
            HEARTBEATS: lambda event, sent_ms: [],
            CANDLES: self._candles,
            TRADES: self._trades,
            "ticker": self._tickers,
            TICKERS: self._tickers,
        }

    def subscribe(self, topics: Iterable[Topic]) -> list[str]:
        topics = list(topics)
        first = [] if self._began else [self.question()]
        self._began = True
        self.wanted.update(topics)
        return first + self._messages("subscribe", topics)

    def unsubscribe(self, topics: Iterable[Topic]) -> list[str]:
        topics = list(topics)
        self.forget(set(topics))
        for topic in topics:
            channel, _, product = topic.partition(":")
            if channel == TRADES:
                self._minutes.pop(product, None)
        return self._messages("unsubscribe", topics)

    def question(self) -> str:
        return _message("subscribe", HEARTBEATS)  # each answer tells all that is subscribed

    def batches(self, topics: Iterable[Topic]) -> list[list[Topic]]:
        by_channel: dict[str, list[Topic]] = {}
        for topic in topics:
            by_channel.setdefault(topic.partition(":")[0], []).append(topic)
        size = self._limits.topics_per_message
        return [
            found[at : at + size]
            for found in by_channel.values()
            for at in range(0, len(found), size)
        ]

    def may_close(self, frame: bytes) -> bool:
        # The first trade of a later minute closes the one before.
        if frame.find(TRADES.encode(), 0, LONGEST_HEAD) < 0:
            return False
        product = _text_at(frame.find(PRODUCT), PRODUCT, frame)
        times = (_text_at(found, TIME, frame) for found in (frame.find(TIME), frame.rfind(TIME)))
        minute = max(times)[: len("2026-01-22T14:50")]
        if product.decode("ascii", "replace") not in self._symbols:
            return False
        before = self._latest.get(product, minute)
        self._latest[product] = max(before, minute)
        return minute > before

    def parse(self, frame: bytes) -> list[Event]:
        try:
            return self._read(orjson.loads(frame))
        except UNREADABLE as error:
            raise BadPayload(f"a frame that can't be read ({clip(str(error))})", frame) from error

    def _read(self, message: Mapping[str, Any]) -> list[Event]:
        if message.get("type") == "error":
            self.answered += 1
            return [Refused(told(message.get("message")))]
        found: list[Event] = self._count(message["sequence_num"])
        reader = self._readers.get(message["channel"])
        if reader is None:
            self.unknown += 1
            return found
        time_ms = check_time(read_time_ms(message["timestamp"]))
        found.append(Clock(time_ms))
        for event in message["events"]:
            found += reader(event, time_ms)
        return found

    def _count(self, given: Any) -> list[Event]:
        number_, expected = whole(given), self._next_number
        self._next_number = number_ + 1
        if expected is None or number_ == expected:
            return []
        lost = number_ - expected
        return [Lost(lost if 0 < lost <= MOST_LOST else None)]

    def _acknowledge(self, event: Mapping[str, Any], sent_ms: int) -> list[Event]:
        confirmed = {
            f"{channel}:{product}"
            for channel, products in event["subscriptions"].items()
            for product in products
        }
        self.answered += 1
        self.has_heartbeats = HEARTBEATS in event["subscriptions"]
        self.confirmed = confirmed & self.wanted
        return []

    def _candles(self, event: Mapping[str, Any], sent_ms: int) -> list[Event]:
        if event["type"] == "snapshot":
            return []  # up to a hundred bars with holes among them: nothing to build on
        found: list[Event] = []
        for row in event["candles"]:
            if symbol := self._symbol(row["product_id"]):
                candle = Candle(
                    whole(row["start"]) * 1000,
                    number(row["open"]),
                    number(row["high"]),
                    number(row["low"]),
                    number(row["close"]),
                    number(row["volume"]),
                    Timeframe.M5,
                )
                found.append(CandleUpdate(symbol, candle, closed=False))
        return found

    def _trades(self, event: Mapping[str, Any], sent_ms: int) -> list[Event]:
        found: list[Event] = []
        for row in sorted(event["trades"], key=lambda row: whole(row["trade_id"])):
            product = row["product_id"]
            if symbol := self._symbol(product):
                builder = self._minutes.setdefault(product, MinuteBuilder(symbol))
                found += builder.add(
                    whole(row["trade_id"]),
                    check_time(read_time_ms(row["time"])),
                    number(row["price"]),
                    decimal(row["size"]),
                )
        return found

    def _tickers(self, event: Mapping[str, Any], sent_ms: int) -> list[Event]:
        found: list[Event] = []
        for row in event["tickers"]:
            if symbol := self._symbol(row["product_id"]):
                price = number(row["price"])
                percent = number(row["price_percent_chg_24_h"])
                ticker = Ticker(
                    symbol,
                    price,
                    price - price / (1 + percent / 100),
                    percent,
                    number(row["high_24_h"]),
                    number(row["low_24_h"]),
                    number(row["volume_24_h"]),
                    sent_ms,
                )
                found.append(ticker)
        return found

    def _symbol(self, product: str) -> str | None:
        """Return the symbol under which the frame is labelled, which may be an alias's target."""
        symbol = self._symbols.get(product)
        self.unknown += symbol is None
        return symbol

    def _messages(self, verb: str, topics: list[Topic]) -> list[str]:
        return [
            _message(verb, batch[0].partition(":")[0], [topic.partition(":")[2] for topic in batch])
            for batch in self.batches(topics)
        ]


def _message(verb: str, channel: str, products: list[str] | None = None) -> str:
    message: dict[str, Any] = {"type": verb, "channel": channel}
    if products is not None:
        message["product_ids"] = products
    return orjson.dumps(message).decode()


def _text_at(found: int, key: bytes, frame: bytes) -> bytes:
    """Return the text after `key`, which was found there; nothing where it is too long."""
    begins = found + len(key)
    ends = frame.find(b'"', begins, begins + LONGEST_NUMBER)
    return frame[begins:ends] if 0 <= found < ends else b""
