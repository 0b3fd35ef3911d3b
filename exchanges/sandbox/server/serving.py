"""Serving a sandbox on a socket, with the network that is to lie in between."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack

from aiohttp import web

from exchanges.sandbox.faults.network.ipv6 import dead_ipv6
from exchanges.sandbox.faults.network.proxy import Proxy
from exchanges.sandbox.faults.network.tls import tls_of_its_own
from exchanges.sandbox.server.app import make_app
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.state import SandboxState

_BACKLOG = 512
_GRACE_SECONDS = 0.5  # for replies under way when told to stop


async def serve(
    state: SandboxState,
    listening: socket.socket,
    stopping: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    runner = web.AppRunner(make_app(state), access_log=None, shutdown_timeout=_GRACE_SECONDS)
    await runner.setup()
    try:
        async with AsyncExitStack() as network:
            tls = await _build_network(state, listening, network)
            await web.SockSite(runner, listening, backlog=_BACKLOG, ssl_context=tls).start()
            ready()
            await stopping.wait()
    finally:
        await runner.cleanup()


async def _build_network(
    state: SandboxState, listening: socket.socket, network: AsyncExitStack
) -> ssl.SSLContext | None:
    """Set up what lies between clients and us; return what to encrypt with, None for nothing."""
    config, (host, port) = state.config, listening.getsockname()[:2]
    tls = tls_of_its_own(config.tls_ca) if config.tls_ca else None
    if config.dead_ipv6:
        network.enter_context(dead_ipv6(port))
    if config.proxy_port is not None:
        proxy = Proxy(state.scenarios, (host, port), config.proxy_login)
        serving = proxy.serving(config.host, config.proxy_port, tls)
        state.proxy_port = await network.enter_async_context(serving)
    return tls


def listen(config: SandboxConfig) -> socket.socket:
    """Bind and listen at once, so that a client may connect before the loop runs."""
    return socket.create_server((config.host, config.port), backlog=_BACKLOG)


def address(listening: socket.socket, config: SandboxConfig) -> str:
    host, port = listening.getsockname()[:2]
    return f"http{'s' if config.tls_ca else ''}://{host}:{port}"
