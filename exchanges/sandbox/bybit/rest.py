"""Bybit's public REST (v5): candles of spot and of linear contracts, newest first.

Shapes and limits follow bybit-exchange.github.io/docs/v5 (July 2026). Only the six timeframes of
this project are served; any other interval is invalid here. There are no inverse contracts and
no options, though their categories are known.
"""

from exchanges.sandbox.bybit.errors import banned, envelope, failure, refused
from exchanges.sandbox.bybit.limits import CallLimit
from exchanges.sandbox.bybit.listing import LINEAR, ROWS, Instruments, Listed, category_of
from exchanges.sandbox.bybit.settings import NAME, BybitSettings
from exchanges.sandbox.bybit.tickers import Tickers
from exchanges.sandbox.faults.rows import CandleRows
from exchanges.sandbox.market.bars import VOLUME_DECIMALS, Bar
from exchanges.sandbox.market.decimals import short
from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.protocol import Endpoint
from exchanges.sandbox.server.calls import Call, Refusal, Reply, as_json, whole_number
from exchanges.sandbox.server.request_log import CandleRequest
from livermore.market.timeframe import Timeframe

CANDLE_ROWS = CandleRows(
    time=0, open=1, high=2, low=3, close=4, volume=5, ms=1, table="result.list"
)
PREFIX = "/v5/market"
USUAL_ROWS, MOST_ROWS = 200, 1000
INTERVALS = {
    "1": Timeframe.M1,
    "5": Timeframe.M5,
    "15": Timeframe.M15,
    "60": Timeframe.H1,
    "240": Timeframe.H4,
    "D": Timeframe.D1,
}
_PERIODS_A_ROW = 20  # looked through where bars without a trade are left out


class BybitRest:
    """The REST side over a market; pure but for the limit's counter."""

    def __init__(self, market: Market, settings: BybitSettings):
        self._market = market
        self._fills = bool(settings.bybit_fills)
        self._listed = listed = Listed(market)
        self._limit = CallLimit(settings.bybit_calls, settings.bybit_ban_ms)
        tickers = Tickers(market, listed)
        instruments = Instruments(listed)
        self.endpoints: tuple[Endpoint, ...] = (
            Endpoint("time", f"{PREFIX}/time", _time),
            Endpoint("instruments", f"{PREFIX}/instruments-info", instruments.answer, listing=ROWS),
            Endpoint("kline", f"{PREFIX}/kline", self.kline, candles=self.asked),
            Endpoint("tickers", f"{PREFIX}/tickers", tickers.answer),
        )

    def kline(self, call: Call) -> Reply:
        category, native = category_of(call, LINEAR), call.params.get("symbol")
        timeframe = INTERVALS.get(call.params.get("interval", ""))
        if timeframe is None:
            raise refused("Invalid period!", call.now_ms)
        listing = self._listed.find(category, native)
        if listing is None or self._listed.is_gone(listing):
            raise refused("Not supported symbols", call.now_ms)
        bars = self._bars(listing, timeframe, call)
        rows = [_row(bar, listing.decimals) for bar in reversed(bars)]
        told = {"symbol": native, "category": category, "list": rows}
        return as_json(envelope(told, call.now_ms))

    def _bars(self, listing: Listing, timeframe: Timeframe, call: Call) -> list[Bar]:
        """Return the newest bars that open in the window, both ends of which are inclusive.

        Without an end it is the oldest ones from a start on.
        """
        start_ms, end_ms = _number(call, "start"), _number(call, "end")
        limit = _number(call, "limit") or USUAL_ROWS
        if limit > MOST_ROWS:
            raise refused("params error: limit invalid", call.now_ms)
        seen_ms = self._market.seen_ms(listing.symbol, call.now_ms)
        newest_ms = timeframe.floor(seen_ms)
        if start_ms is not None and end_ms is None:
            end_ms = timeframe.ceil(start_ms) + (limit - 1) * timeframe.ms
        last_ms = newest_ms if end_ms is None else min(timeframe.floor(end_ms), newest_ms)
        periods = limit - 1 if self._fills else limit * _PERIODS_A_ROW
        first_ms = max(last_ms - periods * timeframe.ms, timeframe.floor(listing.listed_ms))
        if start_ms is not None:
            first_ms = max(first_ms, timeframe.ceil(start_ms))
        bars = self._market.of(listing.symbol).bars_at(timeframe, first_ms, last_ms, seen_ms)
        return [bar for bar in bars if self._fills or bar.trades][-limit:]

    def asked(self, call: Call) -> CandleRequest:
        """Read a candle request leniently, for the log."""
        get = call.params.get
        native, interval = get("symbol"), get("interval")
        listing = self._listed.find(get("category", LINEAR), native)
        timeframe = INTERVALS.get(interval or "", interval)
        times = (whole_number(get("start")), whole_number(get("end")), whole_number(get("limit")))
        return CandleRequest(
            NAME,
            listing.symbol if listing else native,
            timeframe and str(timeframe),
            *times,
            arrived_ms=call.now_ms,
        )

    def admit(self, endpoint: Endpoint, call: Call) -> dict[str, str]:
        if not self._limit.spend(call.now_ms):
            raise Refusal(banned())
        return {}

    def failure(self, status: int, retry_after: int | None, now_ms: int) -> Reply:
        return failure(status, retry_after, now_ms)

    def reset(self) -> None:
        self._limit.reset()


def _row(bar: Bar, decimals: int) -> list[str]:
    prices = (short(price, decimals) for price in (bar.open, bar.high, bar.low, bar.close))
    turnover = bar.quote // 10**decimals
    amounts = (short(amount, VOLUME_DECIMALS) for amount in (bar.volume, turnover))
    return [str(bar.open_ms), *prices, *amounts]


def _number(call: Call, name: str) -> int | None:
    if name not in call.params:
        return None
    value = whole_number(call.params[name])
    if value is None:
        raise refused(f"params error: {name} invalid", call.now_ms)
    return value


def _time(call: Call) -> Reply:
    seconds, nanoseconds = str(call.now_ms // 1000), f"{call.now_ms}000000"
    told = {"timeSecond": seconds, "timeNano": nanoseconds}
    return as_json(envelope(told, call.now_ms))
