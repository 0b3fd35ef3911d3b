"""Coinbase Advanced Trade's REST interface (docs.cdp.coinbase.com, "Get Public Candles")."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from exchanges.errors import (
    BadCredentials,
    BadPayload,
    Excessive,
    LivermoreError,
    Unauthorized,
    UnknownSymbol,
    clip,
    shape_of,
)
from exchanges.rest.base import LOOKS, Known, VenueRest, read_volumes
from exchanges.rest.pacing.budget import Lane
from exchanges.rest.reply import CandleReply, Candles, QuietBars, Values, number, whole
from exchanges.symbols.listed import ListedSymbol
from exchanges.venues.coinbase.symbols import kept, read_listing, without_rest
from exchanges.venues.coinbase.trades import MOST_TRADES, NewestTrades, read_trades
from livermore.market.candle import check_time
from livermore.market.coverage import Interval, subtract
from livermore.market.timeframe import Timeframe

logger = logging.getLogger(__name__)

PRODUCTS_PER_CALL = 500
MOST_PAGES = 40  # ten times what is listed
MOST_PRODUCTS = MOST_PAGES * PRODUCTS_PER_CALL
PRODUCTS_REMEMBERED = 50  # whose newest trades are kept, for all timeframes that end together
WAITED_FOR = (Lane.HEAL, Lane.LIVE, Lane.SERVE)  # where it counts to know the newest bars at once
VOLUME_FIELDS = ("product_id", "approximate_quote_24h_volume", "volume_24h", "price")
GRANULARITIES = {
    Timeframe.M1: "ONE_MINUTE",
    Timeframe.M5: "FIVE_MINUTE",
    Timeframe.M15: "FIFTEEN_MINUTE",
    Timeframe.H1: "ONE_HOUR",
    Timeframe.H4: "FOUR_HOUR",
    Timeframe.D1: "ONE_DAY",
}


class CoinbaseRest(VenueRest):
    """Candles, listing and clock of Coinbase.

    A period without trades has no row here, so an answer is judged by the window that was asked
    for and never by the number of its rows.
    """

    candles_per_call = 300  # 350 is where the exchange refuses; reports of the edge disagree
    settle_ms = 5_000
    quiet_bars = QuietBars.OMITS
    newest_first = True
    lag_ms = 600_000  # bars were seen to come up to seven minutes late

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self._trades: dict[str, NewestTrades] = {}  # by native name
        self._keeping = threading.Lock()

    @property
    def key_trouble(self) -> str | None:
        if (used := self._in_use.key) is None or not used.state.is_refused:
            return None
        key, secret = used.variables
        return (
            f"it does not take the key in {key} and {secret}, so all comes without one: correct "
            "what they hold, or clear the names in the account"
        )

    def list_symbols(self) -> list[ListedSymbol]:
        return read_listing(self._products(without_rest))

    def list_volumes(self) -> dict[str, float]:
        return read_volumes(self._products(_volume_fields), _volume)

    def _products(self, needed: Callable[[Any], Any]) -> list[Any]:
        """Return what is `needed` of each row of all pages, each product once.

        Those that can't be read come last. All pages together are no longer than one answer may be.
        """
        products: dict[str, Any] = {}
        odd: list[Any] = []
        with self.client.together():
            for _ in range(MOST_PAGES):
                page = self._page_of_products(len(products) + len(odd))
                seen, count = len(products), len(page)
                if seen + len(odd) + count > MOST_PRODUCTS:
                    break
                page.reverse()
                while page:  # a page's rows take far more than what is kept of them
                    row = needed(page.pop())
                    name = row.get("product_id") if isinstance(row, dict) else None
                    if isinstance(name, str):
                        products[name] = row
                    else:
                        odd.append(row)
                if count < PRODUCTS_PER_CALL or len(products) == seen:
                    return [*products.values(), *odd]
        raise Excessive(f"{self.client.host} listed more than {MOST_PRODUCTS:,} products")

    def server_time_ms(self) -> int:
        try:
            body = self.client.get("/time", lane=Lane.HEAL, signed=False)
        except Unauthorized as refusal:
            raise self._explained(refusal, "the exchange does not tell its time") from refusal
        try:
            return check_time(whole(body["epochMillis"]))
        except (KeyError, TypeError, ValueError) as error:
            raise BadPayload(f"the time is not in Coinbase's form: {shape_of(body)}") from error

    def _newest(
        self, native: str, timeframe: Timeframe, end_ms: int, count: int, lane: Lane
    ) -> Candles:
        reply = self._reply(timeframe)
        earliest = self._earliest(timeframe, end_ms)
        # The first window reaches over the open bar and one that closed a moment ago.
        page_end = end_ms + 2 * timeframe.ms
        closed: list[int] = []
        found = Candles()
        while len(found) < count and page_end > earliest:
            page_start = max(page_end - self.candles_per_call * timeframe.ms, earliest)
            window, known = (page_start, page_end), closed[:1] if page_end in closed[:1] else []
            self._add_page(reply, native, timeframe, window, known, LOOKS, lane)
            closed = [time for time in reply.times() if time < end_ms]
            # The oldest row again: what lies before it has a row behind it then.
            page_end = next((t for t in closed[:1] if page_start <= t < page_end), page_start)
            found = self._newest_of(reply, timeframe, end_ms, count)
        return found

    def _range(
        self,
        native: str,
        timeframe: Timeframe,
        start_ms: int,
        end_ms: int,
        known: Known,
        lane: Lane,
    ) -> Candles:
        return self._range_to(native, timeframe, (start_ms, end_ms), end_ms, known, lane)

    def _range_to(
        self,
        native: str,
        timeframe: Timeframe,
        stretch: Interval,
        reach_ms: int,
        known: Known,
        lane: Lane,
    ) -> Candles:
        reply, asked_ms = self._reply(timeframe), self.clock.now_ms()
        start_ms, end_ms = stretch
        looks = 1 if end_ms + self.lag_ms > asked_ms else LOOKS
        at, last_ms = self._widened(timeframe, start_ms, end_ms, known)
        while at < last_ms:
            room_ms = self.candles_per_call * timeframe.ms
            page_end = min(at + room_ms, max(last_ms, reach_ms))
            here = [time for time in known if time is not None and at <= time <= page_end]
            self._add_page(reply, native, timeframe, (at, page_end), here, looks, lane)
            # The newest row again: what lies behind it has rows on both sides then.
            newest = max((time for time in reply.times() if time <= page_end), default=at)
            at = newest if at < newest < page_end < last_ms else page_end
        found = self._result(reply, timeframe, start_ms, end_ms)
        if lane in WAITED_FOR:
            self._prove_newest(native, timeframe, found, asked_ms, lane)
        return found

    def _prove_newest(
        self, native: str, timeframe: Timeframe, found: Candles, asked_ms: int, lane: Lane
    ) -> None:
        """Let the newest trades prove what an answer, asked for at `asked_ms`, can't by itself."""
        unproven = subtract(found.asked, found.covered)
        ended_ms = unproven[-1][1] if unproven else 0
        if ended_ms + self.lag_ms <= asked_ms or found.contradicts or found.runs_ahead:
            return
        try:
            trades = self._newest_trades(native, ended_ms, lane)
        except LivermoreError as error:
            logger.debug("coinbase.no_trades host=%s error=%s", self.client.host, error)
        else:
            trades.prove(found, timeframe, asked_ms, self.lag_ms)

    def _newest_trades(self, native: str, until_ms: int, lane: Lane) -> NewestTrades:
        """Return a product's newest trades, all of those up to a time; asked for once for many."""
        kept = self._trades.get(native)
        if kept and kept.until_ms >= until_ms:
            return kept
        asked_ms = self.clock.now_ms()
        path = f"/products/{quote(native, safe='')}/ticker"
        body = self._get(path, {"limit": MOST_TRADES}, lane=lane)
        found = read_trades(body, native, asked_ms)
        with self._keeping:
            self._trades.pop(native, None)
            self._trades[native] = found
            if len(self._trades) > PRODUCTS_REMEMBERED:
                del self._trades[next(iter(self._trades))]
        return found

    def _widened(self, timeframe: Timeframe, start_ms: int, end_ms: int, known: Known) -> Interval:
        """Return the window to ask for: the stretch, with the rows beside it if one call has room.

        The bucket that opens at its end is part of it.
        """
        room_ms = self.candles_per_call * timeframe.ms
        before_ms, after_ms = known.before_ms or start_ms, known.after_ms or end_ms
        if end_ms - before_ms <= room_ms:
            start_ms = before_ms
        if after_ms - start_ms <= room_ms:
            end_ms = after_ms
        return start_ms, end_ms

    def _add_page(
        self,
        reply: CandleReply,
        native: str,
        timeframe: Timeframe,
        window: Interval,
        known: Sequence[int],
        looks: int,
        lane: Lane,
    ) -> None:
        """Take the rows that open from the window's start to its end, both inclusive.

        The exchange sends an empty list now and then: where rows are
        `known` to be there, or none was seen yet, it is asked again, `looks` times in all.
        """
        start_ms, end_ms = window
        params: dict[str, str | int] = {
            "start": start_ms // 1000,
            # Said to be inclusive, but nowhere promised: one bucket more is asked for, and the
            # window is still no wider than the exchange allows.
            "end": end_ms // 1000,
            "granularity": GRANULARITIES[timeframe],
        }
        path = f"/products/{quote(native, safe='')}/candles"
        for _ in range(looks):
            body = self._get_rows(path, params, lane)
            rows = body.get("candles") if isinstance(body, dict) else None
            if not isinstance(rows, list):
                raise BadPayload(f"the candles are not in Coinbase's form: {shape_of(body)}")
            complete = reply.add_page(rows, start_ms, end_ms, known)
            if complete and (rows or reply.times()):
                return

    def _get_rows(self, path: str, params: Mapping[str, str | int], lane: Lane) -> Any:
        return self._get(path, params, lane=lane, on_send=self._count)

    def _get(self, path: str, params: Mapping[str, str | int], **options: Any) -> Any:
        """Return what a path answers: signed while our key is taken, else as anybody is told."""
        key = self._in_use.key
        if key is None or key.state.is_refused:
            return self._get_openly(path, params, **options)
        try:
            answer = self.client.get(path, params, **options)
        except Unauthorized:
            answer = self._get_openly(path, params, **options)
            if key is self._in_use.key and key.state.refused():
                logger.warning(
                    "coinbase.key_refused host=%s variables=%s clock=%r",
                    *(self.client.host, ",".join(key.variables), self._clock_text()),
                )
            return answer
        except BadCredentials as error:
            raise BadCredentials(f"{error} ({self._key_text()})") from error
        key.state.taken()
        return answer

    def _get_openly(self, path: str, params: Mapping[str, str | int], **options: Any) -> Any:
        try:
            return self.client.get(f"/market{path}", params, signed=False, **options)
        except Unauthorized as refusal:
            raise self._explained(refusal, self._clock_text()) from refusal

    def _explained(self, refusal: Unauthorized, clock: str) -> Unauthorized:
        return Unauthorized(f"{refusal} ({self._key_text()}; {clock})")

    def _key_text(self) -> str:
        if (key := self._in_use.key) is None:
            return "no key is chosen for it that could be used, so no key was sent"
        return f"the key is in {key.variables[0]}, its secret in {key.variables[1]}"

    def _clock_text(self) -> str:
        """Return how far our clock is off: a token is valid for two minutes by theirs."""
        try:
            ahead_ms = 1000 * time.time() - self.clock.now_ms()
        except LivermoreError:
            return "the exchange does not tell its time"
        way = "ahead of" if ahead_ms > 0 else "behind"
        return f"this machine's clock is {abs(ahead_ms) / 1000:.1f} s {way} the exchange's"

    def _page_of_products(self, offset: int) -> list:
        page_of = {"limit": PRODUCTS_PER_CALL, "offset": offset}
        params: dict[str, str | int] = {"product_type": "SPOT", **page_of}
        body = self._get("/products", params, long=True)
        page = body.get("products") if isinstance(body, dict) else None
        if not isinstance(page, list):
            raise BadPayload(f"the listing is not in Coinbase's form: {shape_of(body)}")
        return page

    @staticmethod
    def _open_time(row: Mapping[str, str]) -> int:
        start = row["start"]
        if type(start) is not str:
            raise TypeError(f"not a time as a string, but {shape_of(start)}")
        return whole(start) * 1000

    @staticmethod
    def _values(row: Mapping[str, str], timeframe: Timeframe) -> Values:
        return (
            number(row["open"]),
            number(row["high"]),
            number(row["low"]),
            number(row["close"]),
            number(row["volume"]),
            timeframe,
            None,
        )


def _volume_fields(row: Any) -> Any:
    """Return what `_volume` needs of a row; a text that can be none is cut."""
    return (
        {name: kept(row[name]) for name in VOLUME_FIELDS if name in row}
        if isinstance(row, dict)
        else row
    )


def _volume(row: Mapping[str, Any]) -> tuple[str, float]:
    """Return a product's 24 hours in its quote currency: as it says, else by its last price."""
    if row.get("approximate_quote_24h_volume"):
        return row["product_id"], number(row["approximate_quote_24h_volume"])
    return row["product_id"], number(row["volume_24h"]) * number(row["price"])


def read_error(status: int, body: Any) -> LivermoreError | None:
    """Return the error that Coinbase's `{"error","message"}` names, None if none of ours."""
    kind, said = map(body.get, ("error", "message")) if is_own_error(body) else ("", "")
    said = clip(str(said or ""))
    if status == 404 and kind == "NOT_FOUND":
        return UnknownSymbol(f"the exchange does not know this symbol: {said}")
    if status == 401 or (status == 403 and "scope" in said):
        return BadCredentials(f"the exchange does not accept the key: {said or 'Unauthorized'}")
    return None


def is_own_error(body: Any) -> bool:
    """Tell whether Coinbase itself wrote the body of a refusal, and nobody in front of it.

    What lies beside its brokerage at the same host writes a list of `errors`.
    """
    return isinstance(body, dict) and ("error" in body or "errors" in body)
