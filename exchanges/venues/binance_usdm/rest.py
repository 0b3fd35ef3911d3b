"""REST of Binance's USD-M futures: spot's protocol, but a call weighs by its rows."""

from typing import Any

from exchanges.errors import LivermoreError
from exchanges.klines.replies import error_of
from exchanges.klines.rest import KlineRest
from exchanges.rest.pacing.budget import Limits
from exchanges.rest.reply import QuietBars
from exchanges.rest.windows import Window
from exchanges.symbols.listed import ListedSymbol
from exchanges.venues.binance_usdm.symbols import read_listing
from livermore.market.timeframe import Timeframe

WORKERS = 30
LIGHT_ROWS, LIGHT_WEIGHT = 99, 1  # of a call for no more rows than that


class UsdmRest(KlineRest):
    """Candles, listing and clock of Binance's perpetuals.

    One call could bring 1,500 rows, for a weight of 10; for a weight of 2 it brings 499, which is
    the most for what is allowed in a minute. Whether a minute without a trade has a row nobody has
    seen: one that is not there counts as missing until it was asked for again.
    """

    label = "Binance"
    prefix = "/fapi/v1"
    limits_until_known = Limits(weight_per_minute=1200, requests_per_5_minutes=6000)
    listing_weight = 1
    tickers_weight = 40
    lists_one = False  # whatever is asked for, all is told
    candles_per_call = 499
    candle_weight = 2
    settle_ms = 3_000  # closing frames were seen two seconds after the end
    quiet_bars = QuietBars.FILLS
    lag_ms = 300_000  # as on spot

    @staticmethod
    def _listed(body: Any) -> list[ListedSymbol]:
        return read_listing(body)

    def _rows_asked(self, timeframe: Timeframe, window: Window) -> int:
        """Return how many rows the window has room for: more would weigh more."""
        start_ms, last_ms, limit = window
        if start_ms is None or last_ms is None:
            return limit
        room = (timeframe.floor(last_ms) - timeframe.ceil(start_ms)) // timeframe.ms + 1
        return max(1, min(limit, room))

    def _weight(self, rows: int) -> int:
        return LIGHT_WEIGHT if rows <= LIGHT_ROWS else self.candle_weight


def read_error(status: int, body: Any) -> LivermoreError | None:
    """Return the error that Binance's `{"code","msg"}` names, None if none of ours."""
    return error_of(status, body)
