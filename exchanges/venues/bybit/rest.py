"""Bybit's REST interface, v5 (bybit-exchange.github.io/docs/v5, "Market")."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from exchanges.errors import (
    BadPayload,
    Blocked,
    Excessive,
    LivermoreError,
    RateLimited,
    UnknownSymbol,
    Unreachable,
    shape_of,
    told,
)
from exchanges.rest.base import read_volumes
from exchanges.rest.pacing.budget import Lane
from exchanges.rest.reply import QuietBars, Values, number, whole
from exchanges.rest.windows import Window, WindowRest
from exchanges.symbols.listed import PERPETUAL, SPOT, ListedSymbol
from exchanges.venues.bybit.symbols import CATEGORIES, market_name, read_listing
from livermore.market.candle import check_time
from livermore.market.timeframe import Timeframe

INTERVALS = {
    Timeframe.M1: "1",
    Timeframe.M5: "5",
    Timeframe.M15: "15",
    Timeframe.H1: "60",
    Timeframe.H4: "240",
    Timeframe.D1: "D",
}
COLUMNS = 7
ROWS_PER_PAGE, MOST_PAGES = 1000, 40  # of the listing, which has less than a page of ours
LONGEST_CURSOR = 200
BAD_PARAMETER, RESTRICTED = 10001, 10009
UNKNOWN_SYMBOL, BUSY, TOO_FAST = {10029}, {10000, 10016}, {10006, 10018, 10429}
MAIN_HOST = "api.bybit.com"
# A ban is over after ten minutes at the least, and the exchange counts calls meanwhile.
BANNED, BAN_SECONDS = b"access too frequent", 630


class BybitRest(WindowRest):
    """Candles, listing and clock of Bybit's spot and linear perpetual markets.

    A market's name here is `spot BTCUSDT` or `linear BTCUSDT`. Whether there is a row of a minute
    without trades nobody has seen: a bar that has none is taken to be missing until it was looked
    for twice, so that neither way a hole stays unknown.
    """

    candles_per_call = 1000
    settle_ms = 2_000
    quiet_bars = QuietBars.FILLS
    lag_ms = 60_000
    newest_first = True
    gives_newest = True
    market_name = staticmethod(market_name)

    def list_symbols(self) -> list[ListedSymbol]:
        with self.client.together():
            spot, contracts = (self._instruments(CATEGORIES[kind]) for kind in (SPOT, PERPETUAL))
        return read_listing(spot + contracts)

    def _instruments(self, category: str) -> list[Any]:
        """Return the rows of all pages of a category, which is never without any."""
        rows: list[Any] = []
        params: dict[str, str | int] = {"category": category, "limit": ROWS_PER_PAGE}
        for _ in range(MOST_PAGES):
            result, page = self._list("instruments-info", params, long=True)
            rows += page
            cursor = result.get("nextPageCursor")
            if not cursor or not page:
                break
            if not isinstance(cursor, str) or len(cursor) > LONGEST_CURSOR:
                raise BadPayload(f"the listing names no next page: {shape_of(cursor)}")
            params["cursor"] = unquote(cursor)  # it is written for an address already
        else:
            raise Excessive(f"{self.client.host} listed more than {MOST_PAGES} pages")
        if not rows:
            raise BadPayload(f"the listing has nothing in the category {category}")
        return rows

    def list_volumes(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for kind, category in CATEGORIES.items():
            _, rows = self._list("tickers", {"category": category}, long=True)
            volumes = read_volumes(rows, lambda row: (row["symbol"], number(row["turnover24h"])))
            found |= {market_name(native, kind): volume for native, volume in volumes.items()}
        return found

    def server_time_ms(self) -> int:
        body = self.client.get("/v5/market/time", lane=Lane.HEAL)
        try:
            return check_time(whole(body["time"]))
        except (KeyError, TypeError, ValueError) as error:
            raise BadPayload(f"the time is not in Bybit's form: {shape_of(body)}") from error

    def _page(self, native: str, timeframe: Timeframe, window: Window, lane: Lane) -> list:
        category, _, symbol = native.partition(" ")
        params: dict[str, str | int] = {
            "category": category,  # without one it would be linear
            "symbol": symbol,
            "interval": INTERVALS[timeframe],
            "limit": window.limit,  # without one it would be 200
        }
        if window.start_ms is not None:
            params["start"] = window.start_ms
        if window.last_ms is not None:
            params["end"] = window.last_ms
        body = self._get_rows("/v5/market/kline", params, lane)
        return _rows_of(body, "candles")[1]

    def _list(
        self, name: str, params: Mapping[str, str | int], *, long: bool
    ) -> tuple[dict[str, Any], list[Any]]:
        return _rows_of(self.client.get(f"/v5/market/{name}", params, long=long), name)

    @staticmethod
    def _open_time(row: list) -> int:
        if type(row[0]) is not str:
            raise TypeError(f"not a time as a string, but {shape_of(row[0])}")
        return whole(row[0])

    @staticmethod
    def _values(row: list, timeframe: Timeframe) -> Values:
        if len(row) != COLUMNS:
            raise ValueError("not a row of Bybit's: its columns are off")
        return (
            number(row[1]),
            number(row[2]),
            number(row[3]),
            number(row[4]),
            number(row[5]),
            timeframe,
            None,  # of the four further columns it tells the first alone
        )


def _rows_of(body: Any, what: str) -> tuple[dict[str, Any], list[Any]]:
    """Return the result of an answer, and the rows in it."""
    result = body.get("result") if isinstance(body, dict) else None
    rows = result.get("list") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(rows, list):
        raise BadPayload(f"the {what} are not in Bybit's form: {shape_of(body)}")
    return result, rows


def read_error(status: int, body: Any) -> LivermoreError | None:
    """Return the error that Bybit's `{"retCode","retMsg"}` names, None if none of ours."""
    if not is_own_error(body):
        return None
    code, said = body["retCode"], told(body.get("retMsg"))
    if type(code) is not int:
        return BadPayload(f"the answer is not in Bybit's form: its code is {shape_of(code)}")
    if code == 0:
        return None
    if code in UNKNOWN_SYMBOL or (code == BAD_PARAMETER and "symbol" in said.lower()):
        return UnknownSymbol(f"the exchange does not know this symbol: {said}")
    if code in TOO_FAST:
        return RateLimited(f"the exchange says too many requests: {said}")
    if code in BUSY:
        return Unreachable(f"the exchange is busy: {said}")
    if code == RESTRICTED:
        return Blocked(
            f"the exchange refuses this address or region: {said}. Run from a place that the "
            "exchange serves, or choose another exchange"
        )
    if status == 200:
        return BadPayload(f"the exchange refused the request: code {code}, {said}")
    return None


def is_own_error(body: Any) -> bool:
    """Tell whether Bybit itself wrote the body of a refusal, and nobody in front of it."""
    return isinstance(body, dict) and "retCode" in body


def elsewhere(host: str) -> str:
    """Return where else candles of Bybit's are to be had than at `host`, "" for nowhere."""
    if host != MAIN_HOST:
        return ""
    return (
        "Where Bybit has a site of its own for a country its REST is at another host, such as "
        "https://api.bybit.eu: put that into the row"
    )


def read_ban(status: int, content: bytes) -> float | None:
    """Return for how long an address is banned that called too often, None where it is not.

    The exchange documents the words and no more of their form. A page of a country that is not
    served has the same status.
    """
    return BAN_SECONDS if status == 403 and BANNED in content.lower() else None
