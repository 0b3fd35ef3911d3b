"""What is streamed, in the words of Binance's protocol, on its way to those who listen."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from exchanges.redis.unreadable import warn_once
from livermore.market.candle import Ticker
from serving.binance import streams
from serving.candles.clocks import Clocks
from serving.directory import Directory, numbered
from serving.streams.feed import ALL
from serving.streams.hub import Topic
from serving.streams.order import Told

logger = logging.getLogger(__name__)

TICKERS = {streams.TICKER: streams.ticker, streams.MINI_TICKER: streams.mini_ticker}


class Payloads:
    """Writes what was told as clients are to get it."""

    def __init__(self, directory: Directory, clocks: Clocks):
        self._directory = directory
        self._clocks = clocks

    def of(self, told: Iterable[Told]) -> Iterator[tuple[Topic, bytes]]:
        """Yield the payload of each; what can't be read has none."""
        for topic, message in told:
            if topic.symbol:
                if payload := self._readable(topic, message):
                    yield topic, payload
                continue
            each = [self._readable(topic, one) for one in message[ALL]]
            if readable := [payload for payload in each if payload]:
                yield topic, b"[%s]" % b",".join(readable)

    def _readable(self, topic: Topic, message: Mapping[str, Any]) -> bytes | None:
        try:
            return self._payload(topic, message)
        except (LookupError, TypeError, ValueError) as error:  # somebody else wrote it
            warn_once(logger, f"{topic.kind} {topic.symbol}", error)
            return None

    def _payload(self, topic: Topic, message: Mapping[str, Any]) -> bytes:
        now_ms = self._clocks.now_ms(topic.exchange_id)
        word = self._word(topic.exchange_id, topic.symbol or message["symbol"])
        if topic.kind == streams.KLINE:
            return streams.kline(message, word, now_ms, bool(message.get("closed")))
        return TICKERS[topic.kind](Ticker.from_json(message), word, now_ms)

    def _word(self, exchange_id: int, symbol: str) -> str:
        """Return a symbol as clients know it."""
        exchange = numbered(self._directory, exchange_id)
        found = exchange and exchange.symbols.get(symbol)
        return found.word if found else symbol
