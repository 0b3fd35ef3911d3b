"""Binance's spot REST: candles, and how that exchange refuses.

Shapes, codes and weights follow binance-spot-api-docs (rest-api.md and errors.md, July 2026).
Only the six timeframes of this project are served; any other interval is invalid here.
"""

from exchanges.sandbox.binance import archive
from exchanges.sandbox.binance.archive import BinanceArchive
from exchanges.sandbox.binance.errors import failure, worded
from exchanges.sandbox.binance.limits import ODD_LIMITS
from exchanges.sandbox.binance.listing import ROWS, ExchangeInfo, Listed
from exchanges.sandbox.binance.settings import NAME, BinanceSettings
from exchanges.sandbox.binance.tickers import Tickers
from exchanges.sandbox.faults.rows import CandleRows
from exchanges.sandbox.market.bars import VOLUME_DECIMALS, Bar
from exchanges.sandbox.market.listings import GONE, Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.protocol import Endpoint
from exchanges.sandbox.server.calls import JSON, Call, Refusal, Reply, as_json, whole_number
from exchanges.sandbox.server.limits import WeightLimit
from exchanges.sandbox.server.request_log import CandleRequest
from exchanges.venues.binance.server.errors import BAD_INTERVAL, BAD_SYMBOL, ApiError
from exchanges.venues.binance.server.parameters import Parameters
from livermore.market.timeframe import Timeframe

CANDLE_ROWS = CandleRows(time=0, open=1, high=2, low=3, close=4, volume=5, ms=1)
WEIGHT_HEADER = "X-MBX-USED-WEIGHT-1M"
DEFAULT_ROWS, MAX_ROWS = 500, 1000
PREFIX = "/api/v3"
_TIMEFRAMES = {str(timeframe): timeframe for timeframe in Timeframe}


class BinanceRest:
    """The REST side over a market; pure but for the limit's counter."""

    def __init__(self, market: Market, settings: BinanceSettings):
        self._market = market
        self._listed = Listed(market)
        self._limit = WeightLimit(
            settings.weight_limit, settings.strikes, settings.ban_ms, settings.longest_ban_ms
        )
        info = ExchangeInfo(market, self._listed, settings)
        tickers = Tickers(market, self._listed)
        bulk = BinanceArchive(market, self._listed)
        day, price, book = (worded(each) for each in (tickers.day, tickers.price, tickers.book))
        self.endpoints: tuple[Endpoint, ...] = (
            Endpoint("ping", f"{PREFIX}/ping", lambda call: as_json({})),
            Endpoint("time", f"{PREFIX}/time", lambda call: as_json({"serverTime": call.now_ms})),
            Endpoint(
                "exchangeInfo",
                f"{PREFIX}/exchangeInfo",
                worded(info.answer),
                lambda call: 20,
                listing=ROWS,
                odd_limits=ODD_LIMITS,
            ),
            Endpoint("klines", f"{PREFIX}/klines", worded(self.klines), lambda call: 2, self.asked),
            Endpoint("ticker24hr", f"{PREFIX}/ticker/24hr", day, tickers.day_weight),
            Endpoint("price", f"{PREFIX}/ticker/price", price, tickers.price_weight),
            Endpoint("book", f"{PREFIX}/ticker/bookTicker", book, tickers.price_weight),
            Endpoint(archive.NAME, archive.PATH, bulk.answer, about=bulk.about, spoilt=bulk.spoilt),
        )

    def klines(self, call: Call) -> Reply:
        sent = Parameters(call.params)
        native, interval = sent.symbol(), sent.interval()
        start_ms, end_ms = sent.start_time("startTime"), sent.time("endTime")
        limit = min(sent.count("limit", DEFAULT_ROWS), MAX_ROWS)
        sent.zone("timeZone")
        sent.finish()
        listing = self._listed.find(native)
        if listing is None or self._market.status(listing.symbol) == GONE:
            raise ApiError(*BAD_SYMBOL)
        if interval not in _TIMEFRAMES:
            raise ApiError(*BAD_INTERVAL)
        timeframe = _TIMEFRAMES[interval]
        seen_ms = self._market.seen_ms(listing.symbol, call.now_ms)
        first, last = window(timeframe, listing, start_ms, end_ms, limit, seen_ms)
        bars = self._market.of(listing.symbol).bars_at(timeframe, first, last, seen_ms)
        return Reply(
            rows_json(bars, listing.decimals, timeframe.ms), headers={"Content-Type": JSON}
        )

    def asked(self, call: Call) -> CandleRequest:
        """Read a candle request leniently, for the log."""
        get = call.params.get
        native = get("symbol")
        listing = self._listed.find(native)
        times = (
            whole_number(get("startTime")),
            whole_number(get("endTime")),
            whole_number(get("limit")),
        )
        symbol = listing.symbol if listing else native
        return CandleRequest(NAME, symbol, get("interval"), *times, arrived_ms=call.now_ms)

    def admit(self, endpoint: Endpoint, call: Call) -> dict[str, str]:
        if endpoint.is_elsewhere:
            return {}
        limit = self._limit
        status = limit.spend(endpoint.weight(call), call.now_ms)
        used = str(limit.used)
        headers = {"X-MBX-USED-WEIGHT": used, WEIGHT_HEADER: used}
        if status != 200:
            reply = failure(
                status, limit.retry_after_seconds(call.now_ms), call.now_ms, limit.limit
            )
            reply.headers.update(headers)
            raise Refusal(reply)
        return headers

    def failure(self, status: int, retry_after: int | None, now_ms: int) -> Reply:
        return failure(status, retry_after, now_ms)

    def reset(self) -> None:
        self._limit.reset()


def rows_json(bars: list[Bar], decimals: int, step_ms: int) -> bytes:
    """Write bars as kline rows.

    By hand, because a reply holds hundreds of exact decimals: one format per row costs a
    third of building lists for a JSON library.
    """
    tick, unit, worth = 10**decimals, 10**VOLUME_DECIMALS, 10**decimals
    price = f'"%d.%0{decimals}d{"0" * (8 - decimals)}"'
    units = '"%d.%08d"'
    row = f'[%d,{price},{price},{price},{price},{units},%d,{units},%d,{units},{units},"0"]'
    span, rows = step_ms - 1, []
    for open_ms, o, high, low, close, volume, trades, quote, _, taken, paid in bars:
        quote, paid = quote // worth, paid // worth
        rows.append(
            row % (
                open_ms, o // tick, o % tick, high // tick, high % tick,
                low // tick, low % tick, close // tick, close % tick,
                volume // unit, volume % unit, open_ms + span, quote // unit, quote % unit, trades,
                taken // unit, taken % unit, paid // unit, paid % unit,
            )
        )  # fmt: skip
    return f"[{','.join(rows)}]".encode()


def window(
    timeframe: Timeframe,
    listing: Listing,
    start_ms: int | None,
    end_ms: int | None,
    limit: int,
    now_ms: int,
) -> tuple[int, int]:
    """Return the first and last open time: the oldest `limit` from a start, else the newest."""
    oldest, newest = timeframe.floor(listing.listed_ms), timeframe.floor(now_ms)
    last = newest if end_ms is None else min(timeframe.floor(end_ms), newest)
    span = (limit - 1) * timeframe.ms
    if start_ms is None:
        return max(last - span, oldest), last
    first = max(timeframe.ceil(start_ms), oldest)
    return first, min(first + span, last)
