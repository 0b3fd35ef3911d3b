"""OKX's REST: candles, newest first, and how that exchange refuses.

Shapes follow its v5 documents (July 2026) and what callers saw of it in September 2026.
"""

from collections.abc import Callable

from exchanges.sandbox.faults.rows import CandleRows
from exchanges.sandbox.market.bars import VOLUME_DECIMALS, Bar
from exchanges.sandbox.market.decimals import short
from exchanges.sandbox.market.listings import PERPETUAL, Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.market.symbol import SymbolMarket
from exchanges.sandbox.okx import errors
from exchanges.sandbox.okx.errors import bad_parameter, data, unknown_instrument
from exchanges.sandbox.okx.limits import EndpointLimits
from exchanges.sandbox.okx.listing import ROWS, Instruments, contracts
from exchanges.sandbox.okx.settings import NAME, OkxSettings
from exchanges.sandbox.okx.tickers import Tickers
from exchanges.sandbox.protocol import Endpoint
from exchanges.sandbox.server.calls import Call, Refusal, Reply, whole_number
from exchanges.sandbox.server.request_log import CandleRequest
from livermore.market.timeframe import Timeframe

CANDLE_ROWS = CandleRows(time=0, open=1, high=2, low=3, close=4, volume=5, ms=1, table="data")
PREFIX = "/api/v5"
USUAL_ROWS, MOST_ROWS = 100, 300
NEWEST_ROWS = 1_440  # of which alone the endpoint for the newest knows
BARS = {
    "1m": Timeframe.M1,
    "5m": Timeframe.M5,
    "15m": Timeframe.M15,
    "1H": Timeframe.H1,
    "4H": Timeframe.H4,
    "1Dutc": Timeframe.D1,
}
DAY_OF_HONG_KONG = "1D"  # begins at 16:00 UTC
_HONG_KONG_MS = 8 * 3_600_000
# The share of the usual limit that an endpoint has.
_SHARES = {"newest_candles": 2.0, "time": 0.5}
Bars = Callable[[int, int], list[Bar]]


class OkxRest:
    """The REST side over a market; pure but for the limits' counters."""

    def __init__(self, market: Market, settings: OkxSettings):
        self._market = market
        self._calls = settings.okx_calls
        self._limits = EndpointLimits()
        self._instruments = Instruments(market)
        tickers = Tickers(market, self._instruments)
        public, prices = f"{PREFIX}/public", f"{PREFIX}/market"
        self.endpoints: tuple[Endpoint, ...] = (
            Endpoint("time", f"{public}/time", lambda call: data([{"ts": str(call.now_ms)}])),
            Endpoint("instruments", f"{public}/instruments", self._instruments.many, listing=ROWS),
            Endpoint(
                "candles", f"{prices}/history-candles", self.candles, candles=self.asked
            ),
            Endpoint(
                "newest_candles", f"{prices}/candles", self.newest_candles, candles=self.asked
            ),
            Endpoint("tickers", f"{prices}/tickers", tickers.many),
            Endpoint("ticker", f"{prices}/ticker", tickers.one),
        )  # fmt: skip

    def candles(self, call: Call) -> Reply:
        return self._candles(call, None)

    def newest_candles(self, call: Call) -> Reply:
        return self._candles(call, NEWEST_ROWS)

    def _candles(self, call: Call, newest_rows: int | None) -> Reply:
        listing = self._instruments.find(call.params.get("instId", ""))
        bar = call.params.get("bar", "1m")
        if bar not in (*BARS, DAY_OF_HONG_KONG):
            raise bad_parameter("bar")
        after_ms, before_ms = _number(call, "after"), _number(call, "before")
        limit = _number(call, "limit")
        if listing is None:
            raise unknown_instrument()
        rows = min(USUAL_ROWS if limit is None else limit, MOST_ROWS)
        seen_ms = self._market.seen_ms(listing.symbol, call.now_ms)
        last_ms = seen_ms if after_ms is None else min(after_ms - 1, seen_ms)
        first_ms = 0 if before_ms is None else before_ms + 1
        timeframe, off_ms = BARS.get(bar, Timeframe.D1), _off_ms(bar)
        newest = timeframe.floor(last_ms + off_ms) - off_ms
        oldest = timeframe.ceil(first_ms + off_ms) - off_ms
        oldest = max(oldest, newest - (rows - 1) * timeframe.ms)
        if newest_rows:
            edge = timeframe.floor(seen_ms + off_ms) - off_ms - (newest_rows - 1) * timeframe.ms
            oldest = max(oldest, edge)
        symbol_market = self._market.of(listing.symbol)
        bars = _bars(symbol_market, timeframe, off_ms, (oldest, newest), seen_ms)
        told = [row(each, listing, each.open_ms + timeframe.ms <= call.now_ms) for each in bars]
        return data(told[::-1])

    def asked(self, call: Call) -> CandleRequest:
        """Read a candle request leniently, for the log: both ends inclusive."""
        get = call.params.get
        native, bar = get("instId", ""), get("bar", "1m")
        listing = self._instruments.find(native)
        before, after = whole_number(get("before")), whole_number(get("after"))
        return CandleRequest(
            NAME,
            listing.symbol if listing else native,
            str(BARS.get(bar, bar)),
            None if before is None else before + 1,
            None if after is None else after - 1,
            whole_number(get("limit")),
            arrived_ms=call.now_ms,
        )

    def admit(self, endpoint: Endpoint, call: Call) -> dict[str, str]:
        most = max(1, int(self._calls * _SHARES.get(endpoint.name, 1.0)))
        which = f"{endpoint.name} {call.params.get('instType', '')}"
        if not self._limits.spend(which, most, call.now_ms):
            raise Refusal(errors.failure(429, None, call.now_ms))
        return {}

    def failure(self, status: int, retry_after: int | None, now_ms: int) -> Reply:
        return errors.failure(status, retry_after, now_ms)

    def reset(self) -> None:
        self._limits.reset()


def row(bar: Bar, listing: Listing, is_closed: bool) -> list[str]:
    """Write a bar; of a swap the volume is in contracts, then in the base, then in the quote."""
    prices = [short(ticks, listing.decimals) for ticks in (bar.open, bar.high, bar.low, bar.close)]
    base = short(bar.volume, VOLUME_DECIMALS)
    quote = short(bar.quote // 10**listing.decimals, VOLUME_DECIMALS)
    volumes = [base, quote, quote]
    if listing.kind == PERPETUAL:
        volumes = [contracts(listing, bar.volume), base, quote]
    return [str(bar.open_ms), *prices, *volumes, "1" if is_closed else "0"]


def _bars(
    symbol_market: SymbolMarket,
    timeframe: Timeframe,
    off_ms: int,
    window: tuple[int, int],
    now_ms: int,
) -> list[Bar]:
    """Return the bars that open within a window, both ends inclusive, as they are seen now."""
    oldest, newest = window
    if not off_ms:
        return symbol_market.bars_at(timeframe, oldest, newest, now_ms)
    listed_ms = symbol_market.listing.listed_ms
    times = range(max(oldest, listed_ms - timeframe.ms), newest + 1, timeframe.ms)
    spans = [(each, max(each, listed_ms), min(each + timeframe.ms, now_ms + 1)) for each in times]
    return [bar for span in spans if (bar := symbol_market.span(*span))]


def _off_ms(bar: str) -> int:
    return _HONG_KONG_MS if bar == DAY_OF_HONG_KONG else 0


def _number(call: Call, name: str) -> int | None:
    """Return a number that a call has. Raises Refusal for what is none."""
    if name not in call.params:
        return None
    value = whole_number(call.params[name])
    if value is None or (name == "limit" and not value):
        raise bad_parameter(name)
    return value
