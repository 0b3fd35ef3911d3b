"""Binance's spot REST interface (github.com/binance/binance-spot-api-docs, rest-api.md)."""

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from exchanges.errors import (
    BadCredentials,
    BadPayload,
    Banned,
    LivermoreError,
    Temporary,
    UnknownSymbol,
    Unreachable,
    clip,
    shape_of,
)
from exchanges.rest.base import VenueRest, read_volumes
from exchanges.rest.key import KeyInUse
from exchanges.rest.pacing.budget import Lane, Limits
from exchanges.rest.reply import QuietBars, Values, number
from exchanges.rest.windows import Window, WindowRest
from exchanges.symbols.listed import ListedSymbol
from exchanges.venues.binance.symbols import LISTING_WEIGHT, read_limits, read_listing
from livermore.market.candle import check_time
from livermore.market.columns import read_columns
from livermore.market.timeframe import Timeframe

if TYPE_CHECKING:
    from exchanges.rest.client import RestClient

logger = logging.getLogger(__name__)

# What Binance.US published before August 2026, the least of the family.
LIMITS_UNTIL_KNOWN = Limits(weight_per_minute=1200, requests_per_5_minutes=5000)
COLUMNS = 12
WORKERS = 30  # an answer is 40 ms away, and a call takes a millisecond of ours
TICKERS_WEIGHT = 80  # of all symbols; Binance.US may count 40
UNKNOWN_SYMBOL, BUSY, BAD_KEY = {"-1121"}, {"-1001", "-1007", "-1008"}, {"-2014", "-2015"}


class BinanceRest(WindowRest):
    """Candles, listing and clock of a Binance exchange."""

    candles_per_call = 1000
    candle_weight = 2  # binance.com's; Binance.US may count 1
    settle_ms = 2_000
    quiet_bars = QuietBars.FILLS
    lag_ms = 300_000  # rows come from their database; one was seen to lack for a minute

    def __init__(
        self,
        exchange_id: int,
        client: "RestClient",
        native_symbols: Mapping[str, str] | None = None,
        key: KeyInUse | None = None,
    ):
        super().__init__(exchange_id, client, native_symbols, key)
        client.pacer.ask_limits = self._learn_limits

    def list_symbols(self) -> list[ListedSymbol]:
        return read_listing(self._exchange_info({}, Lane.BACKFILL))

    def list_volumes(self) -> dict[str, float]:
        params = {"type": "MINI"}
        rows = self.client.get("/api/v3/ticker/24hr", params, weight=TICKERS_WEIGHT, long=True)
        if not isinstance(rows, list):
            raise BadPayload(f"the tickers are not in Binance's form: {shape_of(rows)}")
        return read_volumes(rows, lambda row: (row["symbol"], number(row["quoteVolume"])))

    def server_time_ms(self) -> int:
        body = self.client.get("/api/v3/time", lane=Lane.HEAL)
        try:
            return check_time(body["serverTime"])
        except (KeyError, TypeError, ValueError) as error:
            raise BadPayload(f"the time is not in Binance's form: {shape_of(body)}") from error

    def _page(self, native: str, timeframe: Timeframe, window: Window, lane: Lane) -> list:
        if not self.client.pacer.limits_known():
            self._learn_limits(native)
        params: dict[str, str | int] = {"symbol": native, "interval": str(timeframe)}
        if window.start_ms is not None:
            params["startTime"] = window.start_ms
        if window.last_ms is not None:
            params["endTime"] = window.last_ms
        params["limit"] = window.limit
        rows = self._get_rows("/api/v3/klines", params, lane)
        if not isinstance(rows, list):
            raise BadPayload(f"the candles are not in Binance's form: {shape_of(rows)}")
        return rows

    def _learn_limits(self, native: str | None = None) -> None:
        """Ask for the limits, unless somebody does; whatever comes of it, candles go on."""
        if not self.client.pacer.should_ask_limits():
            return
        native = native or next(iter(self._native_symbols.values()), None)
        params = {"symbol": native} if native else {}  # without one the reply is very long
        try:
            self._exchange_info(params, None)
        except BadPayload as error:
            self._assume_limits(str(error))
        except Banned:
            raise
        except (Temporary, UnknownSymbol) as error:
            logger.warning("limits.not_learnt host=%s error=%s", self.client.host, error)

    def _exchange_info(self, params: Mapping[str, str], lane: Lane | None) -> Any:
        body = self.client.get(
            "/api/v3/exchangeInfo", params, weight=LISTING_WEIGHT, lane=lane, long=True
        )
        if limits := read_limits(body):
            self.client.pacer.set_limits(limits)
        else:
            found = body.get("rateLimits") if isinstance(body, dict) else body
            self._assume_limits(shape_of(found))
        return body

    def _assume_limits(self, seen: str) -> None:
        if self.client.pacer.assume_limits():
            logger.warning(
                "limits.not_understood host=%s kept=%d/min seen=%s",
                *(self.client.host, LIMITS_UNTIL_KNOWN.weight_per_minute, clip(seen)),
            )

    @staticmethod
    def _open_time(row: list) -> int:
        return row[0]

    @staticmethod
    def _values(row: list, timeframe: Timeframe) -> Values:
        if len(row) != COLUMNS or row[6] != row[0] + timeframe.ms - 1:
            raise ValueError(f"not a {timeframe} row: its columns or its close time are off")
        return (
            number(row[1]),
            number(row[2]),
            number(row[3]),
            number(row[4]),
            number(row[5]),
            timeframe,
            read_columns(row[7:11]),
        )


def ask_limits(rest: VenueRest, native: str | None) -> Limits | None:
    """Return the limits that the exchange publishes, None where they make no sense."""
    params = {"symbol": native} if native else {}
    return read_limits(rest.client.get("/api/v3/exchangeInfo", params, weight=LISTING_WEIGHT))


def read_error(status: int, body: Any) -> LivermoreError | None:
    """Return the error that Binance's `{"code","msg"}` names, None if none of ours."""
    body = body if isinstance(body, dict) else {}
    code = str(body.get("code"))
    said = clip(str(body.get("msg") or "")) if is_own_error(body) else f"HTTP {status}"
    if code in UNKNOWN_SYMBOL:
        return UnknownSymbol(f"the exchange does not know this symbol: {said}")
    if code in BUSY:
        return Unreachable(f"the exchange is busy: {said}")
    if code in BAD_KEY or status == 401:
        return BadCredentials(f"the exchange does not accept the key: {said}")
    return None


def is_own_error(body: Any) -> bool:
    """Tell whether Binance itself wrote the body of a refusal, and nobody in front of it."""
    return isinstance(body, dict) and "code" in body


def elsewhere(host: str) -> str:
    """Return where else Binance's candles are to be had from than at `host`, "" for nowhere.

    Binance.US is another exchange, with other markets, and has no such hosts.
    """
    if host.endswith((".binance.us", ".binance.vision")):
        return ""
    return (
        "Binance publishes hosts for market data alone, which need no key: put "
        "https://data-api.binance.vision and wss://data-stream.binance.vision into the row"
    )


def used_weight(headers: Mapping[str, str]) -> int | None:
    """Return what this address has used in the exchange's minute, by its own count."""
    text = headers.get("X-MBX-USED-WEIGHT-1M", "")
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None
