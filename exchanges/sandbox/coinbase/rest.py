"""Coinbase Advanced Trade's REST: candles, and how that exchange refuses.

Shapes follow docs.cdp.coinbase.com (September 2026) where it says; the window's edge and the
claim to be cacheable for hours follow what callers observed.
"""

from collections.abc import Callable

from exchanges.sandbox.coinbase.auth import authorised
from exchanges.sandbox.coinbase.listing import Products, iso
from exchanges.sandbox.faults.rows import Columns
from exchanges.sandbox.market.decimals import short
from exchanges.sandbox.market.listings import COINBASE
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.market.symbol import VOLUME_DECIMALS, Bar
from exchanges.sandbox.server.calls import (
    Call,
    Endpoint,
    Protocol,
    Refusal,
    Reply,
    as_json,
    as_page,
    whole_number,
)
from exchanges.sandbox.server.limits import RateLimit
from exchanges.sandbox.server.request_log import CandleRequest
from livermore.market.timeframe import Timeframe

COLUMNS = Columns("start", "open", "high", "low", "close", "volume", ms=1000)
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
_CACHE = {"Cache-Control": "public, max-age=14400"}


class Coinbase:
    """The protocol over a market; pure but for the limits' counters."""

    def __init__(
        self, market: Market, public: RateLimit, private: RateLimit, retry_after: int | None
    ):
        self._market = market
        self._public, self._private = public, private
        self._retry_after = retry_after
        self._products = Products(market)
        self.protocol = Protocol(
            COINBASE, self._endpoints(), self._admit, failure, COLUMNS, "candles"
        )

    def _endpoints(self) -> tuple[Endpoint, ...]:
        products, endpoints = self._products, [Endpoint("time", f"{PREFIX}/time", _time)]
        answers: list[tuple[str, str, Callable[[Call], Reply]]] = [
            ("products", "", products.many),
            ("product", "/{product_id}", products.one),
            ("candles", "/{product_id}/candles", self.candles),
            ("ticker", "/{product_id}/ticker", products.ticker),
        ]
        for private, middle in ((False, "/market/products"), (True, "/products")):
            for name, rest, answer in answers:
                asked = self.asked if name == "candles" else None
                path = f"{PREFIX}{middle}{rest}"
                endpoints.append(Endpoint(name, path, answer, candles=asked, private=private))
        return tuple(endpoints)

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
        traded = [bar for bar in reversed(bars) if bar.trades][:limit]
        rows = [candle_json(bar, symbol_market.listing.decimals) for bar in traded]
        return as_json({"candles": rows}, **_CACHE)

    def asked(self, call: Call) -> CandleRequest:
        """Read a candle request leniently, for the log."""
        get = call.params.get
        granularity = get("granularity")
        timeframe = GRANULARITIES.get(granularity or "", granularity)
        start, end = whole_number(get("start")), whole_number(get("end"))
        return CandleRequest(
            COINBASE,
            call.segment,
            timeframe and str(timeframe),
            None if start is None else start * 1000,
            None if end is None else end * 1000,
            whole_number(get("limit")),
            arrived_ms=call.now_ms,
        )

    def _admit(self, endpoint: Endpoint, call: Call) -> dict[str, str]:
        if endpoint.private and not authorised(call):
            raise Refusal(failure(401, None, call.now_ms))
        limit = self._private if endpoint.private else self._public
        if not limit.spend(call.now_ms):
            raise Refusal(failure(429, self._retry_after, call.now_ms))
        return {}


def bad_argument(message: str) -> Refusal:
    return Refusal(as_json({"error": "INVALID_ARGUMENT", "message": message}, 400))


def failure(status: int, retry_after: int | None, now_ms: int) -> Reply:
    """Word an HTTP status as Coinbase does; 403 and 503 come from in front of it, as pages."""
    if status in (403, 502, 503, 504):
        return as_page(f"{status} error", status)
    if status == 401:
        return Reply(b"Unauthorized", 401, {"Content-Type": "text/plain; charset=utf-8"})
    names = {429: "RESOURCE_EXHAUSTED", 451: "PERMISSION_DENIED"}
    messages = {429: "Too many requests", 451: "Service unavailable in your location"}
    content = {
        "error": names.get(status, "INTERNAL"),
        "message": messages.get(status, "Internal error"),
    }
    reply = as_json(content, status)
    if retry_after is not None:
        reply.headers["Retry-After"] = str(retry_after)
    return reply


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
