"""Candles, listing, volumes and clock over REST, in the protocol of klines."""

import logging
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from exchanges.errors import BadPayload, Banned, Temporary, UnknownSymbol, clip, shape_of
from exchanges.klines.limits import read_limits
from exchanges.rest.base import VenueRest, read_volumes
from exchanges.rest.key import KeyInUse
from exchanges.rest.pacing.budget import Lane, Limits
from exchanges.rest.reply import Values, number
from exchanges.rest.windows import Window, WindowRest
from exchanges.symbols.listed import ListedSymbol
from livermore.market.candle import check_time
from livermore.market.columns import read_columns
from livermore.market.timeframe import Timeframe

if TYPE_CHECKING:
    from exchanges.rest.client import RestClient

logger = logging.getLogger(__name__)

COLUMNS = 12


class KlineRest(WindowRest):
    """One exchange that speaks it; a venue says how.

    `label` is whose form it is, for a person, `prefix` what is before the names of its paths.
    `limits_until_known` are kept to where none are published that make sense. What its listing and
    all of its tickers weigh, and how these are asked for, is `listing_weight`, `tickers_weight` and
    `tickers`. `lists_one`: its listing can be asked for one market, which says the limits too.
    """

    label: str
    prefix: str
    limits_until_known: Limits
    listing_weight: int
    tickers_weight: int
    tickers: Mapping[str, str] = {}
    lists_one = True

    def __init__(
        self,
        exchange_id: int,
        client: "RestClient",
        native_symbols: Mapping[str, str] | None = None,
        key: KeyInUse | None = None,
    ):
        super().__init__(exchange_id, client, native_symbols, key)
        client.pacer.ask_limits = self._learn_limits

    @staticmethod
    @abstractmethod
    def _listed(body: Any) -> list[ListedSymbol]:
        """Return what the answer of a listing says."""

    def list_symbols(self) -> list[ListedSymbol]:
        return self._listed(self._exchange_info({}, Lane.BACKFILL))

    def list_volumes(self) -> dict[str, float]:
        path, weight = f"{self.prefix}/ticker/24hr", self.tickers_weight
        rows = self.client.get(path, self.tickers, weight=weight, long=True)
        if not isinstance(rows, list):
            raise BadPayload(f"the tickers are not in {self.label}'s form: {shape_of(rows)}")
        return read_volumes(rows, lambda row: (row["symbol"], number(row["quoteVolume"])))

    def server_time_ms(self) -> int:
        body = self.client.get(f"{self.prefix}/time", lane=Lane.HEAL)
        try:
            return check_time(body["serverTime"])
        except (KeyError, TypeError, ValueError) as error:
            raise BadPayload(f"the time is not in {self.label}'s form: {shape_of(body)}") from error

    def _page(self, native: str, timeframe: Timeframe, window: Window, lane: Lane) -> list:
        if not self.client.pacer.limits_known():
            self._learn_limits(native)
        params: dict[str, str | int] = {"symbol": native, "interval": str(timeframe)}
        if window.start_ms is not None:
            params["startTime"] = window.start_ms
        if window.last_ms is not None:
            params["endTime"] = window.last_ms
        params["limit"] = limit = self._rows_asked(timeframe, window)
        path, weight = f"{self.prefix}/klines", self._weight(limit)
        rows = self.client.get(path, params, weight=weight, lane=lane, on_send=self._count)
        if not isinstance(rows, list):
            raise BadPayload(f"the candles are not in {self.label}'s form: {shape_of(rows)}")
        return rows

    def _rows_asked(self, timeframe: Timeframe, window: Window) -> int:
        """Return how many rows a call for a window asks for."""
        return window.limit

    def _weight(self, rows: int) -> int:
        """Return what a call for so many rows weighs."""
        return self.candle_weight

    def _learn_limits(self, native: str | None = None) -> None:
        """Ask for the limits, unless somebody does; whatever comes of it, candles go on."""
        if not self.client.pacer.should_ask_limits():
            return
        native = native or next(iter(self._native_symbols.values()), None)
        try:
            self._exchange_info(self._one(native), None)
        except BadPayload as error:
            self._assume_limits(str(error))
        except Banned:
            raise
        except (Temporary, UnknownSymbol) as error:
            logger.warning("limits.not_learnt host=%s error=%s", self.client.host, error)

    def ask_limits(self, native: str | None) -> Limits | None:
        """Return the limits that are published, None where they make no sense."""
        return read_limits(self._ask_listing(self._one(native), Lane.BACKFILL))

    def _one(self, native: str | None) -> Mapping[str, str]:
        """Return how to ask for one market: the answer for all is very long."""
        return {"symbol": native} if native and self.lists_one else {}

    def _ask_listing(self, params: Mapping[str, str], lane: Lane | None) -> Any:
        path, weight = f"{self.prefix}/exchangeInfo", self.listing_weight
        return self.client.get(path, params, weight=weight, lane=lane, long=True)

    def _exchange_info(self, params: Mapping[str, str], lane: Lane | None) -> Any:
        body = self._ask_listing(params, lane)
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
                *(self.client.host, self.limits_until_known.weight_per_minute, clip(seen)),
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
    """Return the limits that an exchange of this protocol publishes, None where there are none."""
    return cast(KlineRest, rest).ask_limits(native)
