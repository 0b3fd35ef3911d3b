"""The toy's REST: `/now`, `/markets` and `/bars`, whose rows are texts of numbers."""

from typing import Any

from exchanges.errors import BadPayload, LivermoreError, UnknownSymbol, clip, shape_of
from exchanges.rest.base import Known, VenueRest, read_volumes
from exchanges.rest.pacing.budget import Lane
from exchanges.rest.reply import CandleReply, Candles, QuietBars, Values, number, whole
from exchanges.symbols.listed import PERPETUAL, SPOT, ListedSymbol
from livermore.market.candle import check_time
from livermore.market.timeframe import Timeframe
from tests.exchanges.venues.toy.symbols import market_name, read_listing


class ToyRest(VenueRest):
    """Candles, listing and clock of the toy."""

    candles_per_call = 60
    settle_ms = 1_000
    quiet_bars = QuietBars.FILLS
    lag_ms = 5_000

    def list_symbols(self) -> list[ListedSymbol]:
        return read_listing(self.client.get("/markets", long=True))

    def list_volumes(self) -> dict[str, float]:
        markets = self.client.get("/markets", long=True)["markets"]
        return read_volumes(markets, _volume)

    market_name = staticmethod(market_name)

    def server_time_ms(self) -> int:
        body = self.client.get("/now", lane=Lane.HEAL)
        try:
            return check_time(body["ms"])
        except (KeyError, TypeError, ValueError) as error:
            raise BadPayload(f"the time is not in the toy's form: {shape_of(body)}") from error

    def _newest(
        self, native: str, timeframe: Timeframe, end_ms: int, count: int, lane: Lane
    ) -> Candles:
        reply = self._reply(timeframe)
        self._ask(reply, native, timeframe, (end_ms - count * timeframe.ms, end_ms), Known(), lane)
        return self._newest_of(reply, timeframe, end_ms, count)

    def _range(
        self,
        native: str,
        timeframe: Timeframe,
        start_ms: int,
        end_ms: int,
        known: Known,
        lane: Lane,
    ) -> Candles:
        reply = self._reply(timeframe)
        window = known.before_ms or start_ms, known.after_ms or end_ms
        self._ask(reply, native, timeframe, window, known, lane)
        return self._result(reply, timeframe, start_ms, end_ms)

    def _ask(
        self,
        reply: CandleReply,
        native: str,
        timeframe: Timeframe,
        window: tuple[int, int],
        known: Known,
        lane: Lane,
    ) -> None:
        """Take the bars of a window, both ends inclusive, and of one bar more, page by page."""
        at, last_ms = window[0], window[1] + timeframe.ms
        while at <= last_ms:
            until = min(at + (self.candles_per_call - 1) * timeframe.ms, last_ms)
            params = {"market": native, "size": timeframe.ms // 1000, "from": at, "to": until}
            body = self._get_rows("/bars", params, lane)
            rows = body.get("bars") if isinstance(body, dict) else None
            if not isinstance(rows, list):
                raise BadPayload(f"the candles are not in the toy's form: {shape_of(body)}")
            here = [time for time in known if time is not None and at <= time <= until]
            reply.add_page(rows, at, until, here)
            at = until + timeframe.ms

    @staticmethod
    def _open_time(row: str) -> int:
        return whole(row.split()[0])

    @staticmethod
    def _values(row: str, timeframe: Timeframe) -> Values:
        _, opened, high, low, close, volume = row.split()
        return (*map(number, (opened, high, low, close, volume)), timeframe, None)


def _volume(row: Any) -> tuple[str, float]:
    kind = PERPETUAL if row["swap"] else SPOT
    return market_name(row["name"], kind), number(row["value"])


def read_error(status: int, body: Any) -> LivermoreError | None:
    """Return the error that the toy names."""
    if is_own_error(body) and body["wrong"] == "market":
        return UnknownSymbol(f"the exchange does not know this symbol: {clip(str(body))}")
    return None


def is_own_error(body: Any) -> bool:
    """Tell whether the toy itself wrote the body of a refusal."""
    return isinstance(body, dict) and "wrong" in body
