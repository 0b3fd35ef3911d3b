"""The toy's stream: a line of text for each thing that it says, and for each that is asked."""

from collections.abc import Iterable, Mapping

from exchanges.errors import BadPayload, clip
from exchanges.rest.reply import number, whole
from exchanges.stream.base import StreamLimits, StreamSession, Topic, VenueStream
from exchanges.stream.events import CandleUpdate, Clock, Event, Refused
from livermore.market.candle import Candle, Ticker, check_time
from livermore.market.pair import Pair
from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from tests.exchanges.venues.toy.symbols import market_name

TIMEFRAMES = {str(each.ms // 1000): each for each in Timeframe}
MOST_TOPICS = 10
PRICE = "/price"  # of a market, at an address of its own


class ToyStream(VenueStream):
    """Bars of all timeframes at one address, tickers at another: `market` and `market/price`."""

    marks_closed_bars = True
    market_name = staticmethod(market_name)
    limits = StreamLimits(
        topics_per_connection=100,
        topics_per_message=MOST_TOPICS,
        bytes_per_message=1000,
        seconds_between_messages=0.01,
        seconds_between_connects=0.01,
        longest_life_seconds=3600,
        ping_seconds=0.5,
    )

    @property
    def url(self) -> str:
        return f"{self.ws_url}/feed"

    def topics(self, symbols: Iterable[str]) -> dict[Topic, list[Pair]]:
        found: dict[Topic, list[Pair]] = {}
        for symbol in symbols:
            native = self._streamed_as[symbol]
            found[native] = [Pair(symbol, each) for each in LONGEST_FIRST]
            found[native + PRICE] = []
        return found

    def address_of(self, topic: Topic) -> str:
        return f"{self.ws_url}/prices" if topic.endswith(PRICE) else self.url

    def market_in(self, topic: Topic) -> str:
        return topic.removesuffix(PRICE)

    def session(self, address: str = "") -> StreamSession:
        return ToySession(self._symbols)


class ToySession(StreamSession):
    """One connection; `symbols` maps names of markets to canonical ones."""

    def __init__(self, symbols: Mapping[str, str]):
        super().__init__()
        self._symbols = symbols

    def batches(self, topics: Iterable[Topic]) -> list[list[Topic]]:
        topics = list(topics)
        return [topics[at : at + MOST_TOPICS] for at in range(0, len(topics), MOST_TOPICS)]

    def subscribe(self, topics: Iterable[Topic]) -> list[str]:
        topics = list(topics)
        self.wanted.update(topics)
        return [f"more {' '.join(batch)}" for batch in self.batches(topics)]

    def unsubscribe(self, topics: Iterable[Topic]) -> list[str]:
        topics = list(topics)
        self.forget(set(topics))
        return [f"less {' '.join(batch)}" for batch in self.batches(topics)]

    def question(self) -> str:
        return "which"

    def ping(self) -> str:
        return "ping"

    def parse(self, frame: bytes) -> list[Event]:
        try:
            kind, *words = frame.decode().split()
            return self._read(kind, words)
        except (ValueError, TypeError, LookupError, ArithmeticError) as error:
            raise BadPayload(f"a frame that can't be read ({clip(str(error))})", frame) from error

    def _read(self, kind: str, words: list[str]) -> list[Event]:
        if kind == "pong":
            return []
        if kind == "all":
            self.answered += 1
            self.confirmed = self.wanted.intersection(words)
            return []
        if kind == "no":
            self.answered += 1
            return [Refused(" ".join(words))]
        market, sent, *rest = words
        found: list[Event] = [Clock(check_time(whole(sent)))]
        if symbol := self._symbols.get(market):
            read = {"bar": _bar, "price": _price}[kind]
            found.append(read(symbol, whole(sent), rest))
        return found


def _bar(symbol: str, sent_ms: int, words: list[str]) -> CandleUpdate:
    size, opened_ms, *numbers, state = words
    timeframe = TIMEFRAMES[size]
    candle = Candle(whole(opened_ms), *map(number, numbers), timeframe)
    return CandleUpdate(symbol, candle, closed={"done": True, "open": False}[state])


def _price(symbol: str, sent_ms: int, words: list[str]) -> Ticker:
    price, opened, high, low, volume = map(number, words)
    change = price - opened
    return Ticker(symbol, price, change, 100 * change / opened, high, low, volume, sent_ms)
