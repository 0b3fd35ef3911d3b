"""Coinbase Advanced Trade's REST: candles, and how that exchange refuses.

Shapes follow docs.cdp.coinbase.com (September 2026) where it says; the window's edge and the
claim to be cacheable for hours follow what callers observed.
"""

from collections.abc import Iterator

from exchanges.sandbox.coinbase.auth import authorised
from exchanges.sandbox.coinbase.errors import bad_argument, failure
from exchanges.sandbox.coinbase.listing import ROWS, Products
from exchanges.sandbox.coinbase.settings import NAME, CoinbaseSettings
from exchanges.sandbox.coinbase.tickers import Tickers, iso
from exchanges.sandbox.coinbase.track import Track
from exchanges.sandbox.faults.rows import CandleRows
from exchanges.sandbox.market.bars import VOLUME_DECIMALS, Bar
from exchanges.sandbox.market.decimals import short
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.protocol import Endpoint
from exchanges.sandbox.server.calls import Call, Refusal, Reply, as_json, whole_number
from exchanges.sandbox.server.limits import RateLimit
from exchanges.sandbox.server.request_log import CandleRequest
from livermore.market.timeframe import Timeframe

CANDLE_ROWS = CandleRows(
    "start", "open", "high", "low", "close", "volume", ms=1000, table="candles"
)
MAX_BUCKETS = 350
PREFIX = "/api/v3/brokerage"
GRANULARITIES = {
    "ONE_MINUTE": Timeframe.M1,
    "FIVE_MINUTE": Timeframe.M5,
    "FIFTEEN_MINUTE": Timeframe.M15,
    "ONE_HOUR": Timeframe.H1,
    "FOUR_HOUR": Timeframe.H4,
    "ONE_DAY": Timeframe.D1,
}
_CACHE = "public, max-age=14400"


class CoinbaseRest:
    """The REST side over a market; pure but for the limits' counters."""

    def __init__(self, market: Market, settings: CoinbaseSettings):
        self._market = market
        self._public = RateLimit(settings.coinbase_rate)
        self._private = RateLimit(settings.coinbase_private_rate)
        self._retry_after = settings.coinbase_retry_after
        self._products = Products(market)
        tickers = Tickers(market, self._products)
        self.endpoints = (*self._endpoints(tickers), *Track(market).endpoints())

    def _endpoints(self, tickers: Tickers) -> Iterator[Endpoint]:
        yield Endpoint("time", f"{PREFIX}/time", _time)
        yield Endpoint("book", f"{PREFIX}/market/product_book", tickers.book)
        for private, products in ((False, "/market/products"), (True, "/products")):
            path = f"{PREFIX}{products}"
            one = f"{path}/{{segment}}"
            yield Endpoint("products", path, self._products.many, listing=ROWS, private=private)
            yield Endpoint("product", one, self._products.one, private=private)
            yield Endpoint(
                "candles", f"{one}/candles", self.candles, candles=self.asked, private=private
            )
            yield Endpoint("ticker", f"{one}/ticker", tickers.ticker, private=private)

    def candles(self, call: Call) -> Reply:
        listing = self._products.listing(call.segment)
        timeframe = GRANULARITIES.get(call.params.get("granularity", ""))
        if timeframe is None:
            raise bad_argument("granularity is not supported")
        start_ms, end_ms = _seconds(call, "start") * 1000, _seconds(call, "end") * 1000
        limit = _seconds(call, "limit") if "limit" in call.params else MAX_BUCKETS
        if start_ms > end_ms:
            raise bad_argument("start must not be after end")
        first_ms, last_ms = timeframe.ceil(start_ms), timeframe.floor(end_ms)
        if (last_ms - first_ms) // timeframe.ms + 1 > MAX_BUCKETS or limit > MAX_BUCKETS:
            raise bad_argument("number of candles requested should be less than 350")
        symbol_market = self._market.of(listing.symbol)
        seen_ms = self._market.seen_ms(listing.symbol, call.now_ms)
        bars = symbol_market.bars_at(timeframe, first_ms, last_ms, seen_ms)
        # 0 is a limit that was not sent.
        traded = [bar for bar in reversed(bars) if bar.trades][: limit or MAX_BUCKETS]
        rows = [candle_json(bar, symbol_market.listing.decimals) for bar in traded]
        reply = as_json({"candles": rows})
        reply.headers["Cache-Control"] = _CACHE
        return reply

    def asked(self, call: Call) -> CandleRequest:
        """Read a candle request leniently, for the log."""
        get = call.params.get
        granularity = get("granularity")
        timeframe = GRANULARITIES.get(granularity or "", granularity)
        start, end = whole_number(get("start")), whole_number(get("end"))
        return CandleRequest(
            NAME,
            call.segment,
            timeframe and str(timeframe),
            None if start is None else start * 1000,
            None if end is None else end * 1000,
            whole_number(get("limit")),
            arrived_ms=call.now_ms,
        )

    def admit(self, endpoint: Endpoint, call: Call) -> dict[str, str]:
        if endpoint.private and not authorised(call):
            raise Refusal(failure(401, None, call.now_ms))
        limit = self._private if endpoint.private else self._public
        if not limit.spend(call.now_ms):
            raise Refusal(failure(429, self._retry_after, call.now_ms))
        return {}

    def failure(self, status: int, retry_after: int | None, now_ms: int) -> Reply:
        return failure(status, retry_after, now_ms)

    def reset(self) -> None:
        self._public.reset()
        self._private.reset()


def candle_json(bar: Bar, decimals: int) -> dict[str, str]:
    """Write one candle."""
    return {
        "start": str(bar.open_ms // 1000),
        "low": short(bar.low, decimals),
        "high": short(bar.high, decimals),
        "open": short(bar.open, decimals),
        "close": short(bar.close, decimals),
        "volume": short(bar.volume, VOLUME_DECIMALS),
    }


def _seconds(call: Call, name: str) -> int:
    value = whole_number(call.params.get(name))
    if value is None:
        raise bad_argument(f"{name} is required and must be a whole number")
    return value


def _time(call: Call) -> Reply:
    seconds, milliseconds = call.now_ms // 1000, call.now_ms
    return as_json(
        {"iso": iso(milliseconds), "epochSeconds": str(seconds), "epochMillis": str(milliseconds)}
    )
