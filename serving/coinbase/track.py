"""Coinbase's Track API, which lies below `/v2/` at the same host: currencies, rates, prices, time.

Docs: docs.cdp.coinbase.com/coinbase-app/track-apis. All of it is public; what else lies there, a
person's accounts, is not asked for.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from aiohttp import web
from multidict import MultiMapping

from serving.candles.answers import Answers
from serving.candles.unavailable import Unavailable
from serving.coinbase.errors import Refused, busy
from serving.coinbase.replies import as_json, own
from serving.directory import ServedExchange
from serving.fetching.passing import Passing
from serving.standing.cache_status import HIT

SPEAKS = "coinbase"
# For how long an answer holds: what there is for a minute, what it costs for a second.
LISTING_SECONDS, MOMENT_SECONDS, NO_SECONDS = 60.0, 1.0, 0.0
CURRENCY = re.compile("[A-Za-z0-9]{1,20}")
DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
PAIR = "[A-Za-z0-9]{1,20}-[A-Za-z0-9]{1,20}"


class PublicPath(NamedTuple):
    """Paths that may be asked for, with which parameters, and for how long an answer holds."""

    path: re.Pattern[str]
    forms: Mapping[str, re.Pattern[str]]
    holds_seconds: float


PUBLIC = (
    PublicPath(re.compile("currencies(/crypto)?"), {}, LISTING_SECONDS),
    PublicPath(re.compile("exchange-rates"), {"currency": CURRENCY}, MOMENT_SECONDS),
    PublicPath(re.compile(f"prices/{PAIR}/(buy|sell)"), {}, MOMENT_SECONDS),
    PublicPath(re.compile(f"prices/{PAIR}/spot"), {"date": DATE}, MOMENT_SECONDS),
)


class TrackApi:
    """Answers `/{exchange}/v2/…` for rows of Coinbase."""

    def __init__(self, answers: Answers, passing: Passing):
        self._answers = answers
        self._passing = passing

    async def answer(
        self, exchange: ServedExchange, path: str, query: MultiMapping[str]
    ) -> web.Response:
        """Return the answer to a GET of a path below `/v2/`."""
        try:
            if exchange.venue != SPEAKS:
                raise Refused(404, "not_found", f"{exchange.name} speaks another protocol")
            if path == "time":
                return await self._time(exchange)
            for public in PUBLIC:
                if public.path.fullmatch(path):
                    params = _read(query, public.forms)
                    return await self._pass_on(exchange, path, params, public.holds_seconds)
            raise Refused(404, "not_found", "Public data is served here, and no other path")
        except Refused as error:
            said = {"errors": [{"id": error.error, "message": str(error)}]}
            return as_json(said, error.status)
        except Unavailable as error:
            return busy(error)

    async def _time(self, exchange: ServedExchange) -> web.Response:
        """Tell the time as its runner does; where there is none, as the exchange does."""
        now_ms = await self._answers.cached.told_ms(exchange)
        if now_ms is None:
            return await self._pass_on(exchange, "time", {}, NO_SECONDS)
        moment = datetime.fromtimestamp(now_ms // 1000, UTC)
        data: dict[str, Any] = {"iso": f"{moment:%Y-%m-%dT%H:%M:%SZ}", "epoch": now_ms // 1000}
        return as_json({"data": data}, headers={"Cache-Status": HIT})

    async def _pass_on(
        self, exchange: ServedExchange, path: str, params: Mapping[str, str], seconds: float
    ) -> web.Response:
        how: dict[str, Any] = {"weight": 1, "holds_seconds": seconds, "at_host": True}
        return own(await self._passing.get(exchange, f"/v2/{path}", params, **how))


def _read(query: MultiMapping[str], forms: Mapping[str, re.Pattern[str]]) -> dict[str, str]:
    """Return the parameters that a path takes. Raises Refused for one in another form."""
    found = {name: query[name] for name in forms if query.get(name)}
    for name, value in found.items():
        if not forms[name].fullmatch(value):
            raise Refused(400, "invalid_request", f"Invalid {name} ({value[:50]})")
    return found
