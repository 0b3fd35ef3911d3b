"""Closed candles of a pair, with ten columns, as JSON or as Arrow."""

from typing import Any

import orjson
from aiohttp import web

from livermore.market.columns import COLUMNS as MORE_COLUMNS
from livermore.market.derived import AnyTimeframe
from serving.candles.answer import NEWEST_CLOSE, CandleAnswer, OlderThanKept
from serving.candles.answers import Answers
from serving.candles.selection import Wanted
from serving.candles.unavailable import Unavailable
from serving.directory import ServedExchange
from serving.native import arrow
from serving.native import operations as asked
from serving.native.errors import BadRequest
from serving.native.operations import ARROW
from serving.native.parameters import Sent
from serving.native.schemas import COLUMNS
from serving.standing.origins import HEADER

UNKNOWN = [None] * len(MORE_COLUMNS)
NOT_TOLD = b"%s]" % (b",null" * len(MORE_COLUMNS))
COMMAS = len(COLUMNS) - 1  # of a row with all columns


class NativeCandles:
    """Answers `/v1/candles`."""

    def __init__(self, answers: Answers):
        self._answers = answers

    async def answer(
        self, exchange: ServedExchange, symbol: str, sent: Sent, form: str
    ) -> web.Response:
        """Return all candles that are asked for, or what there is for who takes that.

        Raises BadRequest, Unavailable.
        """
        timeframe, limit = sent[asked.TIMEFRAME], sent[asked.LIMIT]
        start_ms, end_ms, wait_ms = sent[asked.START], sent[asked.END], sent[asked.WAIT]
        with_open, takes_part = sent[asked.OPEN], sent[asked.PARTIAL]
        if start_ms is not None and end_ms is not None and start_ms >= end_ms:
            raise BadRequest("start has to be before end, which is not included itself")
        if wait_ms is not None:
            await self._answers.cached.wait(exchange, symbol, timeframe, wait_ms)
        now_ms = await self._answers.cached.time_of(exchange, symbol, timeframe)
        open_ms = timeframe.floor(now_ms)
        until_ms = open_ms if end_ms is None else min(end_ms, open_ms)
        tries = [Wanted(start_ms, until_ms - 1, limit)]
        if with_open:  # of the newest bars it is none of those that are counted
            is_newest = start_ms is None and (end_ms is None or end_ms > open_ms)
            last_ms = None if end_ms is None else end_ms - 1
            tries.insert(0, Wanted(start_ms, last_ms, limit + is_newest))
        try:
            answer = await self._first_of(tries, exchange, symbol, timeframe)
        except Unavailable as error:
            if not takes_part or not error.missing:
                raise
            reaches_open = with_open and (end_ms is None or end_ms > open_ms)
            answer = await self._answers.known(exchange, symbol, timeframe, tries[-1], reaches_open)
        answer.first = max(answer.first, answer.last - limit)
        said = {
            "exchange": exchange.name,
            "symbol": symbol,
            **_said(answer, timeframe),
            # What has closed since then is not asked for; and a runner may have corrected it.
            "time": min(now_ms, answer.now_ms),
            "next": _next_ms(answer, timeframe, tries[-1]),
        }
        if with_open:
            said["open"] = answer.open_row and ten(answer.open_row)
        body = _as_arrow(answer, said) if form == ARROW else _as_json(answer, said)
        headers = answer.headers | {"Vary": "Accept"}
        return web.Response(body=body, content_type=form, headers=headers)

    async def _first_of(
        self, tries: list[Wanted], exchange: ServedExchange, symbol: str, timeframe: AnyTimeframe
    ) -> CandleAnswer:
        """Return the answer to the first of some requests that there is one to.

        Where there is none the exchange is asked. While a bar that has just ended is awaited the
        open one is not told, and one more of the others is asked for than may be kept.
        """
        for wanted in tries:
            try:
                return await self._answers.candles(exchange, symbol, timeframe, wanted)
            except OlderThanKept as error:
                missing = error.missing
            except Unavailable as error:  # for want of the open one, without which there are others
                if error.missing or wanted is tries[-1]:
                    raise
        return await self._answers.older.get(exchange, symbol, timeframe, tries[0], missing)


def ten(row: list[Any]) -> list[Any]:
    """Return a row with all columns, None for those that are not known."""
    return row if len(row) == len(COLUMNS) else row + UNKNOWN


def _as_json(answer: CandleAnswer, said: dict[str, Any]) -> bytes:
    """Return an answer with its rows as they are stored: they are not parsed."""
    rows = [
        each if each.count(b",") == COMMAS else each.removesuffix(b"]") + NOT_TOLD
        for each in answer.window.rows.texts(answer.first, answer.last)
    ]
    begin = orjson.dumps(said | {"columns": COLUMNS}).removesuffix(b"}")
    return b'%s,"candles":[%s]}' % (begin, b",".join(rows))


def _as_arrow(answer: CandleAnswer, said: dict[str, Any]) -> bytes:
    rows = [ten(row) for row in answer.window.rows[answer.first : answer.last]]
    return arrow.stream(arrow.library(), rows, said)


def _said(answer: CandleAnswer, timeframe: AnyTimeframe) -> dict[str, Any]:
    """Return what the candles stand on."""
    newest_close = answer.headers.get(NEWEST_CLOSE)
    return {
        "timeframe": str(timeframe),
        "complete": not answer.missing,
        "missing": answer.missing,
        "newestClose": int(newest_close) if newest_close else None,
        "source": answer.headers.get(HEADER),
    }


def _next_ms(answer: CandleAnswer, timeframe: AnyTimeframe, wanted: Wanted) -> int | None:
    """Return where the bars begin that the limit left out, None where it left out none."""
    if wanted.start_ms is None or wanted.end_ms is None:
        return None
    if answer.until_ms is not None:
        next_ms = answer.until_ms
    elif answer.last - answer.first < wanted.limit:
        return None
    else:
        next_ms = answer.window.times[answer.last - 1] + timeframe.ms
    return next_ms if next_ms <= wanted.end_ms else None
