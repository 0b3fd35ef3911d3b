"""Binance's spot REST interface (github.com/binance/binance-spot-api-docs, rest-api.md)."""

import logging
import re
from collections.abc import Mapping
from typing import Any

from exchanges.candle_reply import CandleReply, Candles, Values, number
from exchanges.errors import (
    BadCredentials,
    BadPayload,
    LivermoreError,
    UnknownSymbol,
    Unreachable,
    clip,
)
from exchanges.listing import ListedSymbol
from exchanges.pacing import Lane, Limits
from exchanges.rest_client import RestClient
from exchanges.venue_rest import LONGEST_LOOK_BACK, VenueRest
from exchanges.venues.binance.symbols import LISTING_WEIGHT, read_limits, read_listing
from livermore.market.candle import LATEST_MS, check_time
from livermore.market.timeframe import Timeframe

logger = logging.getLogger(__name__)

# What Binance.US published before August 2026, the least of the family.
LIMITS_UNTIL_KNOWN = Limits(weight_per_minute=1200, requests_per_5_minutes=5000)
COLUMNS = 12
WORKERS = 24
UNKNOWN_SYMBOL, BUSY, BAD_KEY = {"-1121"}, {"-1001", "-1007", "-1008"}, {"-2014", "-2015"}


class BinanceRest(VenueRest):
    """Candles, listing and clock of a Binance exchange."""

    candles_per_call = 1000
    candle_weight = 2  # binance.com's; Binance.US may count 1
    settle_ms = 2_000
    lag_ms = 60_000  # every period has a row, traded or not, which comes from their database

    def __init__(
        self, exchange_id: int, client: RestClient, native_symbols: Mapping[str, str] | None = None
    ):
        super().__init__(exchange_id, client, native_symbols)
        client.pacer.ask_limits = self._learn_limits

    def list_symbols(self) -> list[ListedSymbol]:
        return read_listing(self._exchange_info({}, Lane.BACKFILL))

    def server_time_ms(self) -> int:
        body = self.client.get("/api/v3/time", lane=Lane.HEAL)
        try:
            return check_time(body["serverTime"])
        except (KeyError, TypeError, ValueError) as error:
            raise BadPayload("the time is not in Binance's form", str(body)) from error

    def _newest(
        self, native: str, timeframe: Timeframe, end_ms: int, count: int, lane: Lane
    ) -> Candles:
        reply = CandleReply(timeframe, _open_time, _values)
        earliest = end_ms - LONGEST_LOOK_BACK * timeframe.ms
        reaches_now = end_ms == self._closed_ms(timeframe)
        last_ms = None if reaches_now else end_ms - 1
        closed: list[int] = []
        history_ends = False
        while len(closed) < count and not history_ends:
            # Two more than wanted: the open bar, and one that closed a moment ago.
            limit = min(count - len(closed) + 2, self.candles_per_call)
            window = {} if last_ms is None else {"endTime": last_ms}
            rows = self._klines(native, timeframe, lane, limit=limit, **window)
            reply.add_page(rows, 0, LATEST_MS if last_ms is None else last_ms)
            closed = [time for time in reply.times() if time < end_ms]
            if not rows and last_ms is None:
                break  # what is listed has an open bar at least: this is no answer
            # A page may be short for reasons of theirs: history ends where one is empty.
            history_ends = not rows or bool(closed and closed[0] <= earliest)
            seen, last_ms = last_ms, (closed[0] if closed else end_ms) - 1
            if last_ms == seen:
                break
        if len(closed) >= count:
            start_ms = closed[-count]
        elif history_ends:
            start_ms = earliest
        else:
            start_ms = closed[0] if closed else end_ms
        return self._closed_result(reply, timeframe, start_ms, end_ms, reaches_now)

    def _range(
        self, native: str, timeframe: Timeframe, start_ms: int, end_ms: int, lane: Lane
    ) -> Candles:
        reply = CandleReply(timeframe, _open_time, _values)
        reaches_now = end_ms == self._closed_ms(timeframe)
        at = start_ms
        # Up to two bars more: the one after the last shows that it is closed.
        beyond = 2 if reaches_now else 0
        while at < end_ms:
            page_end = min(end_ms, at + (self.candles_per_call - beyond) * timeframe.ms)
            last_ms = page_end - 1 + beyond * timeframe.ms
            window = {"startTime": at, "endTime": last_ms, "limit": self.candles_per_call}
            rows = self._klines(native, timeframe, lane, **window)
            if not rows:  # an outage of theirs leaves holes, but is this one?
                rows = self._klines(native, timeframe, lane, **window)
            reply.add_page(rows, at, last_ms)
            newest = max((time for time in reply.times() if time >= at), default=page_end)
            # After a short page go on behind its last row, whatever made it short.
            at = min(newest + timeframe.ms, page_end) if newest < page_end else page_end
        return self._closed_result(reply, timeframe, start_ms, end_ms, reaches_now)

    def _closed_result(
        self,
        reply: CandleReply,
        timeframe: Timeframe,
        start_ms: int,
        end_ms: int,
        reaches_now: bool,
    ) -> Candles:
        """Return the result without its newest row where that one may be the open bar.

        Every period has a row, so whatever any clock says a bar is closed when the next has begun.
        """
        times = reply.times()
        if reaches_now and times:
            end_ms = max(start_ms, min(end_ms, times[-1]))
        return self._result(reply, timeframe, start_ms, end_ms)

    def _klines(self, native: str, timeframe: Timeframe, lane: Lane, **window: int) -> list:
        if not self.client.pacer.limits_known():
            self._learn_limits(native)
        params = {"symbol": native, "interval": str(timeframe), **window}
        rows = self._get_rows("/api/v3/klines", params, lane)
        if not isinstance(rows, list):
            raise BadPayload("the candles are not in Binance's form", str(rows))
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
        except (Unreachable, UnknownSymbol) as error:
            logger.warning("limits.not_learnt host=%s error=%s", self.client.host, error)

    def _exchange_info(self, params: Mapping[str, str], lane: Lane | None) -> Any:
        body = self.client.get("/api/v3/exchangeInfo", params, weight=LISTING_WEIGHT, lane=lane)
        if limits := read_limits(body):
            self.client.pacer.set_limits(limits)
        else:
            found = body.get("rateLimits", "nothing") if isinstance(body, dict) else body
            self._assume_limits(str(found))
        return body

    def _assume_limits(self, seen: str) -> None:
        if self.client.pacer.assume_limits():
            logger.warning(
                "limits.not_understood host=%s kept=%d/min seen=%s",
                *(self.client.host, LIMITS_UNTIL_KNOWN.weight_per_minute, clip(seen)),
            )


def read_error(status: int, body: Any) -> LivermoreError | None:
    """Return the error that Binance's `{"code","msg"}` names, None if none of ours."""
    body = body if isinstance(body, dict) else {}
    code, said = str(body.get("code")), body.get("msg")
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

    Binance.US is another exchange, with other books, and has no such hosts.
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


def _open_time(row: list) -> int:
    return row[0]


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
    )
