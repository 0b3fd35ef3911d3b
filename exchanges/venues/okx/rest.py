"""OKX's REST interface (www.okx.com/docs-v5, "Get Candlesticks history" and "Get instruments").

Candles come of `history-candles` alone: the endpoint of the newest ones answers without a row, and
without an error, before its window of 1,440.
"""

from typing import Any

from exchanges.errors import (
    BadPayload,
    LivermoreError,
    RateLimited,
    UnknownSymbol,
    Unreachable,
    clip,
    shape_of,
    told,
)
from exchanges.rest.base import read_volumes
from exchanges.rest.pacing.budget import Lane
from exchanges.rest.reply import QuietBars, Values, number, whole
from exchanges.rest.windows import Window, WindowRest
from exchanges.symbols.listed import ListedSymbol
from exchanges.venues.okx.symbols import KINDS, is_swap, read_listing, rows_of
from livermore.market.candle import check_time
from livermore.market.timeframe import Timeframe

HISTORY = "/api/v5/market/history-candles"
BARS = {
    Timeframe.M1: "1m",
    Timeframe.M5: "5m",
    Timeframe.M15: "15m",
    Timeframe.H1: "1H",
    Timeframe.H4: "4H",
    Timeframe.D1: "1Dutc",  # a plain 1D begins at midnight in Hong Kong
}
COLUMNS = 9  # ts, open, high, low, close, and:
SPOT_VOLUME, SWAP_VOLUME, CONFIRMED = 5, 6, 8  # of a swap the one at 5 is in contracts
GOOD = "0"
UNKNOWN_INSTRUMENT = {"51001"}
TOO_FAST = {"50011", "50040", "50061"}
BUSY = {"50001", "50004", "50013", "50026"}


class OkxRest(WindowRest):
    """Candles, listing and clock of OKX."""

    candles_per_call = 300
    settle_ms = 2_000
    quiet_bars = QuietBars.FILLS
    newest_first = gives_newest = True
    lag_ms = 60_000  # other clients keep a minute away from now, as rows were late once

    def list_symbols(self) -> list[ListedSymbol]:
        return read_listing(self._of_all_kinds("/api/v5/public/instruments"))

    def list_volumes(self) -> dict[str, float]:
        return read_volumes(self._of_all_kinds("/api/v5/market/tickers"), _volume)

    def _of_all_kinds(self, path: str) -> list[Any]:
        """Return the rows that a path tells of each kind of instrument."""
        with self.client.together():
            return [
                row
                for kind in KINDS
                for row in rows_of(self.client.get(path, {"instType": kind}, long=True))
            ]

    def server_time_ms(self) -> int:
        body = self.client.get("/api/v5/public/time", lane=Lane.HEAL)
        try:
            return check_time(whole(rows_of(body)[0]["ts"]))
        except (LookupError, TypeError, ValueError) as error:
            raise BadPayload(f"the time is not in OKX's form: {shape_of(body)}") from error

    def _page(self, native: str, timeframe: Timeframe, window: Window, lane: Lane) -> list[Any]:
        params: dict[str, str | int] = {"instId": native, "bar": BARS[timeframe]}
        if window.last_ms is not None:
            params["after"] = window.last_ms + 1  # what is older than that, which is exclusive
        if window.start_ms is not None:
            params["before"] = window.start_ms - 1  # what is newer
        params["limit"] = window.limit
        rows = rows_of(self._get_rows(HISTORY, params, lane))
        rows = self._without_unfinished(rows, timeframe)
        return [_in_base(row) for row in rows] if is_swap(native) else rows

    def _without_unfinished(self, rows: list[Any], timeframe: Timeframe) -> list[Any]:
        """Leave out what ended a moment ago and is told to be open: its last trades may lack."""
        ended_ms = self.clock.now_ms() - timeframe.ms
        young_ms = range(ended_ms - self.lag_ms + 1, ended_ms + 1)
        return [row for row in rows if not _is_unfinished(row, young_ms)]

    @staticmethod
    def _open_time(row: list) -> int:
        return whole(row[0])

    @staticmethod
    def _values(row: list, timeframe: Timeframe) -> Values:
        if len(row) != COLUMNS:
            raise ValueError(f"not a row of {COLUMNS} columns")
        if not number(row[SWAP_VOLUME]) >= 0:  # nothing else looks at it
            raise ValueError(f"a volume is {told(row[SWAP_VOLUME])}")
        # It tells quote volume too, but no trades, so none of the columns that go together.
        return (
            number(row[1]),
            number(row[2]),
            number(row[3]),
            number(row[4]),
            number(row[SPOT_VOLUME]),
            timeframe,
            None,
        )


def _in_base(row: Any) -> Any:
    """Return a row of a swap with its volume in the base where spot has it, and the contracts."""
    if not isinstance(row, list) or len(row) != COLUMNS:
        return row  # which its reader tells
    return [*row[:SPOT_VOLUME], row[SWAP_VOLUME], row[SPOT_VOLUME], *row[SWAP_VOLUME + 1 :]]


def _is_unfinished(row: Any, young_ms: range) -> bool:
    """Tell whether a row that opened within `young_ms` is said not to be closed."""
    try:
        return row[CONFIRMED] == "0" and whole(row[0]) in young_ms
    except (LookupError, TypeError, ValueError):
        return False  # which its reader tells


def _volume(row: Any) -> tuple[str, float]:
    """Return an instrument and what was traded of it in 24 hours, in the quote currency."""
    native, volume = row["instId"], number(row["volCcy24h"])
    return native, volume * number(row["last"]) if is_swap(native) else volume


def read_error(status: int, body: Any) -> LivermoreError | None:
    """Return the error that OKX's `{"code","msg"}` names, None if none of ours."""
    if not is_own_error(body):
        return None
    code, said = told(body["code"]), clip(str(body.get("msg") or ""))
    said = f"{code} {said}".strip()
    if code in UNKNOWN_INSTRUMENT:
        return UnknownSymbol(f"the exchange does not know this symbol: {said}")
    if code in TOO_FAST:
        return RateLimited(f"the exchange says too many requests: {said}")
    if code in BUSY:
        return Unreachable(f"the exchange is busy: {said}")
    return BadPayload(f"the exchange refused the request: {said}") if status == 200 else None


def is_own_error(body: Any) -> bool:
    """Tell whether OKX itself wrote a body, and that it is no good answer."""
    return isinstance(body, dict) and "code" in body and told(body["code"]) != GOOD


def elsewhere(host: str) -> str:
    """Return where else OKX is reached than at `host`, by region."""
    return (
        "OKX has other hosts for some regions: https://eea.okx.com with "
        "wss://wseea.okx.com:8443/ws/v5, and https://us.okx.com with wss://wsus.okx.com:8443/ws/v5"
    )
