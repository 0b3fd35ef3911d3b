"""The REST of Binance's USD-M futures: candles by a weight that grows with their number."""

from exchanges.sandbox.binance.archive import NAME as ARCHIVE
from exchanges.sandbox.binance.rest import WEIGHT_HEADER, rows_json, window
from exchanges.sandbox.binance_usdm.archive import PATH, UsdmArchive
from exchanges.sandbox.binance_usdm.errors import (
    BAD_INTERVAL,
    BAD_SYMBOL,
    failure,
    invalid,
    limited,
    missing,
    refused,
)
from exchanges.sandbox.binance_usdm.listing import ROWS, ExchangeInfo, Listed
from exchanges.sandbox.binance_usdm.settings import NAME, UsdmSettings
from exchanges.sandbox.binance_usdm.tickers import Tickers
from exchanges.sandbox.market.bars import Bar
from exchanges.sandbox.market.listings import GONE, Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.protocol import Endpoint
from exchanges.sandbox.server.calls import JSON, Call, Refusal, Reply, as_json, whole_number
from exchanges.sandbox.server.limits import WeightLimit
from exchanges.sandbox.server.request_log import CandleRequest
from livermore.market.timeframe import Timeframe

PREFIX = "/fapi/v1"
DEFAULT_ROWS, MAX_ROWS = 500, 1500
WEIGHTS = ((100, 1), (500, 2), (1001, 5))  # of a call for fewer rows than that
MOST_WEIGHT = 10
LOOK_BACK = 20  # times as many bars as rows, where bars without a trade have none
_TIMEFRAMES = {str(timeframe): timeframe for timeframe in Timeframe}


class UsdmRest:
    """The REST side over a market; pure but for the limit's counter."""

    def __init__(self, market: Market, settings: UsdmSettings):
        self._market = market
        self._listed = Listed(market)
        self._fills = bool(settings.usdm_fills)
        self._limit = WeightLimit(
            settings.usdm_weight_limit,
            settings.usdm_strikes,
            settings.usdm_ban_ms,
            settings.usdm_longest_ban_ms,
        )
        info = ExchangeInfo(market, self._listed, settings.usdm_weight_limit)
        tickers = Tickers(market, self._listed)
        bulk = UsdmArchive(market, self._listed)
        self.endpoints: tuple[Endpoint, ...] = (
            Endpoint("ping", f"{PREFIX}/ping", lambda call: as_json({})),
            Endpoint("time", f"{PREFIX}/time", lambda call: as_json({"serverTime": call.now_ms})),
            Endpoint("exchangeInfo", f"{PREFIX}/exchangeInfo", info.answer, listing=ROWS),
            Endpoint("klines", f"{PREFIX}/klines", self.klines, klines_weight, self.asked),
            Endpoint("ticker24hr", f"{PREFIX}/ticker/24hr", tickers.day, tickers.day_weight),
            Endpoint(ARCHIVE, PATH, bulk.answer, about=bulk.about, spoilt=bulk.spoilt),
        )

    def klines(self, call: Call) -> Reply:
        sent = call.params
        for name in ("symbol", "interval"):
            if not sent.get(name):
                raise Refusal(missing(name))
        limit = rows_asked(call)
        if limit is None or not 1 <= limit <= MAX_ROWS:
            raise Refusal(invalid("limit"))
        listing = self._listed.find(sent["symbol"])
        if listing is None or self._market.status(listing.symbol) == GONE:
            raise Refusal(refused(*BAD_SYMBOL))
        if sent["interval"] not in _TIMEFRAMES:
            raise Refusal(refused(*BAD_INTERVAL))
        timeframe = _TIMEFRAMES[sent["interval"]]
        bars = self._bars(listing, timeframe, call, limit)
        return Reply(
            rows_json(bars, listing.decimals, timeframe.ms), headers={"Content-Type": JSON}
        )

    def _bars(self, listing: Listing, timeframe: Timeframe, call: Call, limit: int) -> list[Bar]:
        get = call.params.get
        start_ms, end_ms = whole_number(get("startTime")), whole_number(get("endTime"))
        seen_ms = self._market.seen_ms(listing.symbol, call.now_ms)
        count = limit if self._fills else LOOK_BACK * limit
        first, last = window(timeframe, listing, start_ms, end_ms, count, seen_ms)
        bars = self._market.of(listing.symbol).bars_at(timeframe, first, last, seen_ms)
        if not self._fills:
            bars = [bar for bar in bars if bar.trades]
        return bars[-limit:] if start_ms is None else bars[:limit]

    def asked(self, call: Call) -> CandleRequest:
        """Read a candle request leniently, for the log."""
        get = call.params.get
        listing = self._listed.find(get("symbol"))
        times = (
            whole_number(get("startTime")),
            whole_number(get("endTime")),
            whole_number(get("limit")),
        )
        symbol = listing.symbol if listing else get("symbol")
        return CandleRequest(NAME, symbol, get("interval"), *times, arrived_ms=call.now_ms)

    def admit(self, endpoint: Endpoint, call: Call) -> dict[str, str]:
        if endpoint.is_elsewhere:
            return {}
        limit = self._limit
        status = limit.spend(endpoint.weight(call), call.now_ms)
        headers = {WEIGHT_HEADER: str(limit.used)}
        if status != 200:
            reply = limited(status, limit.banned_until_ms, limit.limit)
            reply.headers.update(headers)
            raise Refusal(reply)
        return headers

    def failure(self, status: int, retry_after: int | None, now_ms: int) -> Reply:
        return failure(status, retry_after, now_ms)

    def reset(self) -> None:
        self._limit.reset()


def rows_asked(call: Call) -> int | None:
    """Return how many rows a call asks for, None where that is no number."""
    sent = call.params.get("limit")
    return DEFAULT_ROWS if sent is None else whole_number(sent)


def klines_weight(call: Call) -> int:
    """Return what a call for candles weighs, which is due even if it is then refused."""
    asked = rows_asked(call) or 0
    return next((weight for fewer, weight in WEIGHTS if asked < fewer), MOST_WEIGHT)
