"""Kraken's REST: the newest 720 candles of a pair, and how that exchange refuses.

Shapes follow docs.kraken.com; what `since` does, the spellings and the empty bodies follow what
callers saw in September 2026.
"""

from datetime import UTC, datetime

from exchanges.sandbox.faults.rows import CandleRows
from exchanges.sandbox.kraken import errors
from exchanges.sandbox.kraken.errors import bad_arguments, result
from exchanges.sandbox.kraken.listing import ROWS, Pairs, key_of
from exchanges.sandbox.kraken.settings import NAME, KrakenSettings
from exchanges.sandbox.kraken.tickers import Tickers
from exchanges.sandbox.market.bars import VOLUME_DECIMALS, Bar
from exchanges.sandbox.market.decimals import fixed
from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.protocol import Endpoint
from exchanges.sandbox.server.calls import Call, Reply, whole_number
from exchanges.sandbox.server.limits import RateLimit
from exchanges.sandbox.server.request_log import CandleRequest
from livermore.market.timeframe import MINUTE_MS, Timeframe

CANDLE_ROWS = CandleRows(
    time=0, open=1, high=2, low=3, close=4, volume=6, ms=1000, table="result.*"
)
PREFIX = "/0/public"
CLOSED_ROWS = 720  # whatever is asked for; the open one comes after them
INTERVALS = {str(each.ms // MINUTE_MS): each for each in Timeframe}
USUAL_INTERVAL = "1"


class KrakenRest:
    """The REST side over a market; pure but for the limit's counter."""

    def __init__(self, market: Market, settings: KrakenSettings):
        self._market = market
        self._limit = RateLimit(settings.kraken_calls)
        self._pairs = Pairs(market)
        tickers = Tickers(market, self._pairs)
        self.endpoints: tuple[Endpoint, ...] = (
            Endpoint("time", f"{PREFIX}/Time", _time),
            Endpoint("status", f"{PREFIX}/SystemStatus", _status),
            Endpoint("pairs", f"{PREFIX}/AssetPairs", self._pairs.many, listing=ROWS),
            Endpoint("ticker", f"{PREFIX}/Ticker", tickers.many),
            Endpoint("candles", f"{PREFIX}/OHLC", self.candles, candles=self.asked),
        )

    def candles(self, call: Call) -> Reply:
        """Tell the newest rows, all of which open after `since`; each period has one."""
        name = call.params.get("pair", "")
        listing = self._pairs.named(name)
        timeframe = INTERVALS.get(call.params.get("interval", USUAL_INTERVAL))
        since = whole_number(call.params.get("since", "0"))
        if timeframe is None or since is None:
            raise bad_arguments()
        seen_ms = self._market.seen_ms(listing.symbol, call.now_ms)
        open_ms = timeframe.floor(seen_ms)
        first_ms = open_ms - CLOSED_ROWS * timeframe.ms
        bars = self._market.of(listing.symbol).bars_at(timeframe, first_ms, open_ms, seen_ms)
        rows = [row(bar, listing) for bar in bars if bar.open_ms > since * 1000]
        shown_as = name if "/" in name else key_of(listing)
        return result({shown_as: rows, "last": (open_ms - timeframe.ms) // 1000})

    def asked(self, call: Call) -> CandleRequest:
        """Read a candle request leniently, for the log."""
        name, interval = (call.params.get(each, "") for each in ("pair", "interval"))
        listing, since = self._pairs.find(name), whole_number(call.params.get("since"))
        timeframe = INTERVALS.get(interval or USUAL_INTERVAL)
        start_ms = None
        if timeframe and since is not None:
            start_ms = timeframe.floor(since * 1000) + timeframe.ms
        return CandleRequest(
            NAME,
            listing.symbol if listing else name,
            str(timeframe) if timeframe else interval,
            start_ms,
            None,
            None,
            arrived_ms=call.now_ms,
        )

    def admit(self, endpoint: Endpoint, call: Call) -> dict[str, str]:
        if not self._limit.spend(call.now_ms):
            raise errors.empty()
        return {}

    def failure(self, status: int, retry_after: int | None, now_ms: int) -> Reply:
        return errors.failure(status, retry_after, now_ms)

    def reset(self) -> None:
        self._limit.reset()


def row(bar: Bar, listing: Listing) -> list:
    """Write a bar; one without a trade stands at the close before it."""
    prices = [fixed(ticks, listing.decimals) for ticks in (bar.open, bar.high, bar.low, bar.close)]
    average = fixed(bar.quote // bar.volume, listing.decimals) if bar.trades else "0.0"
    volume = fixed(bar.volume, VOLUME_DECIMALS)
    return [bar.open_ms // 1000, *prices, average, volume, bar.trades]


def _time(call: Call) -> Reply:
    """Tell the time in whole seconds."""
    moment = datetime.fromtimestamp(call.now_ms // 1000, UTC)
    told = f"{moment:%a, %d %b %y %H:%M:%S +0000}"
    return result({"unixtime": call.now_ms // 1000, "rfc1123": told})


def _status(call: Call) -> Reply:
    moment = datetime.fromtimestamp(call.now_ms // 1000, UTC)
    return result({"status": "online", "timestamp": f"{moment:%Y-%m-%dT%H:%M:%SZ}"})
