"""The aiohttp application: both protocols and the control paths on one port."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from exchanges.sandbox.binance.rest import Binance
from exchanges.sandbox.binance.stream import BinanceStreams
from exchanges.sandbox.coinbase.rest import Coinbase
from exchanges.sandbox.coinbase.stream import CoinbaseStreams
from exchanges.sandbox.faults.effects import ScenarioEffects
from exchanges.sandbox.faults.frames import FrameFaults
from exchanges.sandbox.market.listings import BINANCE, COINBASE
from exchanges.sandbox.server.control import Control
from exchanges.sandbox.server.handlers import Handlers
from exchanges.sandbox.server.sockets import Sockets
from exchanges.sandbox.server.state import SandboxState

STATE = web.AppKey("state", SandboxState)


def make_app(state: SandboxState) -> web.Application:
    """Build the application that serves `state`."""
    app = web.Application()
    app[STATE] = state
    config = state.config
    handlers = Handlers(state.clock, state.requests, state.faults, config.latency_ms)
    venues = (
        Binance(state.market, config, state.weights),
        Coinbase(state.market, state.public_rate, state.private_rate, config.coinbase_retry_after),
    )
    for protocol in (venue.protocol for venue in venues):
        for endpoint in protocol.endpoints:
            app.router.add_get(endpoint.path, handlers.handler(protocol, endpoint))
    _add_streams(app, state)
    Control(state).add_to(app.router)
    return app


def _add_streams(app: web.Application, state: SandboxState) -> None:
    sockets = Sockets(
        state, ScenarioEffects(state.scenarios, state.faults, state.clock, state.market)
    )
    shared = (state.market, state.clock, state.config)

    def faults(protocol: str) -> FrameFaults:
        return FrameFaults(state.scenarios, protocol, state.config.seed)

    binance = BinanceStreams(*shared, state.streams[BINANCE], faults(BINANCE))
    get = app.router.add_get
    get("/ws", sockets.handler(binance))
    get("/ws/{streams:.*}", sockets.handler(binance, _streams_in_path))
    get("/stream", sockets.handler(binance, _streams_in_query))
    coinbase = CoinbaseStreams(*shared, state.streams[COINBASE], faults(COINBASE))
    for path in ("/", "/coinbase"):
        get(path, sockets.handler(coinbase))

    async def serve(app: web.Application) -> AsyncIterator[None]:
        serving = asyncio.create_task(sockets.run())
        state.send_due_now = sockets.send_due_from_anywhere(asyncio.get_running_loop())
        yield
        state.send_due_now = lambda: None
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving

    async def cut_all(app: web.Application) -> None:
        sockets.cut_all()

    app.cleanup_ctx.append(serve)
    app.on_shutdown.append(cut_all)


def _streams_in_path(request: web.Request) -> list[str]:
    return [name for name in request.match_info["streams"].split("/") if name]


def _streams_in_query(request: web.Request) -> list[str]:
    return [name for name in request.query.get("streams", "").split("/") if name]
