"""The aiohttp application: every protocol and the control paths on one port."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from exchanges.sandbox.faults.effects import ScenarioEffects
from exchanges.sandbox.faults.frames import FrameFaults
from exchanges.sandbox.protocol import Protocol, Streams
from exchanges.sandbox.server.control import Control
from exchanges.sandbox.server.handlers import Handlers
from exchanges.sandbox.server.sockets import Sockets
from exchanges.sandbox.server.state import SandboxState

STATE = web.AppKey("state", SandboxState)


def make_app(state: SandboxState) -> web.Application:
    """Build the application that serves `state`."""
    app = web.Application()
    app[STATE] = state
    effects = ScenarioEffects(state.scenarios, state.faults, state.clock, state.market)
    sockets = Sockets(state, effects)
    handlers = Handlers(state.clock, state.requests, state.faults, state.config.latency_ms)
    for protocol, rest in state.rest.items():
        for endpoint in rest.endpoints:
            app.router.add_get(endpoint.path, handlers.handler(protocol, rest, endpoint))
    for protocol in state.rest:
        streams = _streams(protocol, state)
        for path in protocol.ws_paths:
            app.router.add_get(path, sockets.handler(streams))
    Control(state).add_to(app.router)
    _run_with(app, state, sockets)
    return app


def _streams(protocol: Protocol, state: SandboxState) -> Streams:
    faults: FrameFaults[Any] = FrameFaults(
        state.scenarios, protocol.name, state.config.seed, protocol.early_close
    )
    settings, counts = state.config.of[protocol.name], state.streams[protocol.name]
    return protocol.streams(state.market, state.clock, settings, counts, faults)


def _run_with(app: web.Application, state: SandboxState, sockets: Sockets) -> None:
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
