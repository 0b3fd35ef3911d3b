"""Kraken's REST interface (docs.kraken.com, "Get OHLC Data").

An answer has the newest 720 closed rows and the open one, of those that open after `since`. There
is no other way to older ones, and no end to ask up to.
"""

import re
from collections.abc import Collection
from typing import Any

import orjson

from exchanges.errors import (
    BadPayload,
    LivermoreError,
    RateLimited,
    UnknownSymbol,
    Unreachable,
    shape_of,
    told,
)
from exchanges.rest.base import LOOKS, Known, VenueRest, read_volumes
from exchanges.rest.pacing.budget import Lane
from exchanges.rest.reply import NO_CANDLE, CandleReply, Candles, QuietBars, Values, number, whole
from exchanges.symbols.listed import ListedSymbol
from exchanges.venues.kraken.symbols import native_name, pairs_of, read_listing
from livermore.market.candle import LATEST_MS, check_time
from livermore.market.coverage import intersect
from livermore.market.timeframe import MINUTE_MS, Timeframe

COLUMNS, VOLUME = 8, 6  # open time in seconds, four prices, their average, volume, trades
UNKNOWN_PAIR = {"EQuery:Unknown asset pair", "EQuery:Invalid asset pair"}
TOO_FAST = {"EAPI:Rate limit exceeded", "EGeneral:Too many requests", "EService:Throttled"}
LOCKED_OUT, LOCKED_SECONDS = "EGeneral:Temporary lockout", 900.0
# Whatever else it says of itself passes, such as Unavailable and Busy.
BUSY = re.compile("EService:.*|EGeneral:Internal error.*")
CODE = re.compile("[EW][A-Za-z]+:")  # how one begins: who stands in front writes errors, too
WARNING = "W"  # how a code begins that comes beside a good answer
FEW_CODES = 3


class KrakenRest(VenueRest):
    """Candles, listing and clock of Kraken."""

    candles_per_call = depth_rows = 720
    settle_ms = 5_000
    quiet_bars = QuietBars.FILLS
    lag_ms = 60_000
    time_step_ms = 1000

    def list_symbols(self) -> list[ListedSymbol]:
        return read_listing(self._pairs())

    def list_volumes(self) -> dict[str, float]:
        with self.client.together():
            names = pairs_of(self._pairs())
            tickers = pairs_of(self.client.get("/0/public/Ticker", long=True))
        rows = ((names.get(key), ticker) for key, ticker in tickers.items())
        return read_volumes(rows, _volume)

    def _pairs(self) -> Any:
        return self.client.get("/0/public/AssetPairs", long=True)

    def server_time_ms(self) -> int:
        body = self.client.get("/0/public/Time", lane=Lane.HEAL)
        try:
            return check_time(whole(body["result"]["unixtime"]) * 1000)
        except (KeyError, TypeError, ValueError) as error:
            raise BadPayload(f"the time is not in Kraken's form: {shape_of(body)}") from error

    def _newest(
        self, native: str, timeframe: Timeframe, end_ms: int, count: int, lane: Lane
    ) -> Candles:
        reply, earliest_ms = self._reply(timeframe), self._earliest(timeframe, end_ms)
        start_ms = max(end_ms - count * timeframe.ms, earliest_ms)
        told_ms = self._add_page(reply, native, timeframe, start_ms, (), LOOKS, lane)
        closed = [time for time in reply.times() if time < end_ms]
        if len(closed) < count and (start_ms > earliest_ms or closed[:1] > [earliest_ms]):
            # All there is, from the oldest one on: what is before that is not there.
            known = closed[:1]
            told_ms = self._add_page(reply, native, timeframe, earliest_ms, known, LOOKS, lane)
        found = self._newest_of(reply, timeframe, end_ms, count)
        if gone := intersect(found.asked, ((0, told_ms),)):
            runs_ahead, found = found.runs_ahead, self._result(reply, timeframe, told_ms, end_ms)
            found.too_old, found.runs_ahead = gone, runs_ahead
        if end_ms < self._closed_ms(timeframe):
            found.open_candle = found.open_ms = None  # it was not asked for, and comes each time
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
        reply = self._reply(timeframe)
        looks = 1 if end_ms + self.lag_ms > self.clock.now_ms() else LOOKS
        beside = [time for time in known if time is not None]
        first_ms = known.before_ms or start_ms
        told_ms = self._add_page(reply, native, timeframe, first_ms, beside, looks, lane)
        found = self._result(reply, timeframe, max(start_ms, told_ms), end_ms)
        if told_ms > start_ms:  # it has gone since we thought that it was told
            found.too_old = ((start_ms, min(told_ms, end_ms)),)
        return found

    def _add_page(
        self,
        reply: CandleReply,
        native: str,
        timeframe: Timeframe,
        start_ms: int,
        known: Collection[int],
        looks: int,
        lane: Lane,
    ) -> int:
        """Take all rows from a time on, up to now; return when the oldest row that is told opened.

        0 where no older one was left out. Where there are no rows it is asked again, `looks` times.
        """
        params: dict[str, str | int] = {
            "pair": native,
            "interval": timeframe.ms // MINUTE_MS,
            "since": max(0, start_ms // 1000 - 1),  # exclusive
        }
        rows: list[Any] = []
        while not rows and looks:
            rows, looks = _rows_of(self._get_rows("/0/public/OHLC", params, lane)), looks - 1
        told_ms = self._time_of(rows[0]) if len(rows) >= self.depth_rows else 0
        while rows and 0 < self._time_of(rows[0]) < start_ms:  # as if `since` were taken otherwise
            rows = rows[1:]
        # Of what is before the first row of a full answer it proves nothing.
        known = [time for time in known if time >= told_ms]
        reply.add_page(rows, max(start_ms, told_ms), LATEST_MS, known)
        return told_ms

    def _time_of(self, row: Any) -> int:
        """Return when a row opened, 0 where it doesn't say."""
        try:
            return self._open_time(row)
        except NO_CANDLE:
            return 0

    @staticmethod
    def _open_time(row: list) -> int:
        return whole(row[0]) * 1000

    @staticmethod
    def _values(row: list, timeframe: Timeframe) -> Values:
        if len(row) != COLUMNS:
            raise ValueError(f"not a row of {COLUMNS} columns")
        # It tells trades too, but neither quote volume nor who took: none of these columns then.
        return (
            number(row[1]),
            number(row[2]),
            number(row[3]),
            number(row[4]),
            number(row[VOLUME]),
            timeframe,
            None,
        )


def _rows_of(body: Any) -> list[Any]:
    """Return the rows of an answer, which go by one of the names of their pair."""
    result = body.get("result") if isinstance(body, dict) else None
    told_under = result.values() if isinstance(result, dict) else ()
    found = [each for each in told_under if isinstance(each, list)]
    if len(found) != 1:
        raise BadPayload(f"the candles are not in Kraken's form: {shape_of(body)}")
    return found[0]


def _volume(row: Any) -> tuple[str, float]:
    """Return a pair and what was traded of it in 24 hours, in the quote currency."""
    listed, ticker = row
    return native_name(listed), number(ticker["v"][1]) * number(ticker["p"][1])


def read_error(status: int, body: Any) -> LivermoreError | None:
    """Return the error that Kraken's `{"error": [...]}` names, None where it names none.

    Who calls too fast may get nothing at all, with a status that says that all is well.
    """
    if body is None and status == 200:
        return RateLimited("the exchange answers nothing, as to who sends too many requests")
    codes = _codes(body)
    if not codes:
        return None if status != 200 or _is_without_error(body) else _refused(shape_of(body))
    said = told(", ".join(codes[:FEW_CODES]))
    if UNKNOWN_PAIR & set(codes):
        return UnknownSymbol(f"the exchange does not know this symbol: {said}")
    if TOO_FAST & set(codes):
        return RateLimited(f"the exchange says too many requests: {said}")
    if any(BUSY.fullmatch(code) for code in codes):
        return Unreachable(f"the exchange is busy: {said}")
    return _refused(said)


def _refused(said: str) -> BadPayload:
    return BadPayload(f"the exchange refused the request: {said}")


def _is_without_error(body: Any) -> bool:
    """Tell whether an answer says of nothing that it is wrong, or but warns."""
    error = body.get("error") if isinstance(body, dict) else None
    is_list = isinstance(error, list) and all(isinstance(each, str) for each in error)
    return error is None or is_list


def read_ban(status: int, content: bytes) -> float | None:
    """Return for how long an answer says that this address is locked out, None where it is not."""
    if LOCKED_OUT.encode() not in content:
        return None
    try:
        return LOCKED_SECONDS if LOCKED_OUT in _codes(orjson.loads(content)) else None
    except orjson.JSONDecodeError:
        return None


def is_own_error(body: Any) -> bool:
    """Tell whether Kraken itself wrote a body, and that it is no good answer."""
    return bool(_codes(body))


def _codes(body: Any) -> list[str]:
    """Return what an answer says to be wrong, without warnings."""
    codes = body.get("error") if isinstance(body, dict) else None
    if isinstance(codes, str) and CODE.match(codes):
        codes = [codes]
    if not isinstance(codes, list):
        return []
    return [each for each in codes if isinstance(each, str) and not each.startswith(WARNING)]
