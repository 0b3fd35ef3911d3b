"""The sandbox's own paths: what was asked, what is true, what shall go wrong."""

from dataclasses import asdict

import orjson
from aiohttp import web

from exchanges.sandbox.faults.faults import Faults
from exchanges.sandbox.faults.scenarios import Scenarios
from exchanges.sandbox.server.state import SandboxState
from livermore.market.timeframe import parse_timeframe


class Control:
    """Handlers under `/sandbox/`; they aren't counted and no fault touches them."""

    def __init__(self, state: SandboxState):
        self._state = state

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_get("/sandbox/requests", self.requests)
        router.add_post("/sandbox/reset", self.reset)
        router.add_get("/sandbox/faults", self.faults)
        router.add_post("/sandbox/faults", self.set_faults)
        router.add_get("/sandbox/scenarios", self.scenarios)
        router.add_post("/sandbox/scenarios", self.set_scenarios)
        router.add_get("/sandbox/streams", self.streams)
        router.add_get("/sandbox/truth", self.truth)
        router.add_get("/sandbox/clock", self.clock)
        router.add_post("/sandbox/prices", self.draw)

    async def requests(self, request: web.Request) -> web.Response:
        return _json(self._state.requests.as_json())

    async def reset(self, request: web.Request) -> web.Response:
        self._state.reset()
        return _json({})

    async def faults(self, request: web.Request) -> web.Response:
        return _json([asdict(fault) for fault in self._state.faults.active])

    async def set_faults(self, request: web.Request) -> web.Response:
        """Take a list, which replaces the faults in force, or one object, which joins them."""
        return await _put(request, self._state.faults) or await self.faults(request)

    async def scenarios(self, request: web.Request) -> web.Response:
        return _json([scenario.as_json() for scenario in self._state.scenarios.in_force])

    async def set_scenarios(self, request: web.Request) -> web.Response:
        """Take a list, which replaces the scenarios in force, or one object, which joins them."""
        return await _put(request, self._state.scenarios) or await self.scenarios(request)

    async def streams(self, request: web.Request) -> web.Response:
        return _json({name: counts.as_json() for name, counts in self._state.streams.items()})

    async def truth(self, request: web.Request) -> web.Response:
        """Answer the candles that open in [start, end) and are closed now.

        Times in milliseconds; `traded=1` leaves out candles without a trade, `columns=1` tells
        quote volume, trades and what takers bought behind the six numbers of each.
        """
        query, market = request.query, self._state.market
        try:
            timeframe = parse_timeframe(query["timeframe"])
            start_ms = int(query["start"])
            end_ms = min(int(query["end"]), timeframe.floor(self._state.clock.now_ms()))
            found = market.closed_rows if query.get("columns") == "1" else market.closed_candles
            candles = found(
                query["symbol"],
                timeframe,
                start_ms,
                end_ms,
                traded_only=query.get("traded") == "1",
            )
        except KeyError as error:
            return _json({"error": f"missing or unknown: {error.args[0]}"}, 400)
        except ValueError as error:
            return _json({"error": str(error)}, 400)
        return _json(candles)

    async def draw(self, request: web.Request) -> web.Response:
        """Draw prices of a symbol: `{"symbol", "from", "closes"}`, a close for each minute."""
        try:
            content = orjson.loads(await request.read())
            symbol, from_ms = content["symbol"], int(content["from"])
            self._state.market.draw(symbol, from_ms, map(float, content["closes"]))
        except KeyError as error:
            return _json({"error": f"missing or unknown: {error.args[0]}"}, 400)
        except (TypeError, ValueError) as error:
            return _json({"error": str(error)}, 400)
        return _json({})

    async def clock(self, request: web.Request) -> web.Response:
        clock = self._state.clock
        content = {"now_ms": clock.now_ms(), "speed": clock.speed, "skew_ms": clock.skew_ms}
        return _json(content)


async def _put(request: web.Request, into: Faults | Scenarios) -> web.Response | None:
    """Put what a request carries in force; return the answer that refuses it, or None."""
    try:
        content = orjson.loads(await request.read())
        if isinstance(content, dict):
            into.add(**content)
        else:
            into.replace(content)
    except (TypeError, ValueError) as error:
        return _json({"error": str(error)}, 400)
    return None


def _json(content: object, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS),
        status=status,
        content_type="application/json",
    )
