"""The aiohttp application: both protocols and the control paths on one port."""

from aiohttp import web

from exchanges.sandbox.binance import Binance
from exchanges.sandbox.coinbase import Coinbase
from exchanges.sandbox.control import Control
from exchanges.sandbox.frontdoor import FrontDoor
from exchanges.sandbox.state import SandboxState

STATE = web.AppKey("state", SandboxState)


def make_app(state: SandboxState) -> web.Application:
    """Build the application that serves `state`."""
    app = web.Application()
    app[STATE] = state
    config = state.config
    door = FrontDoor(state.clock, state.requests, state.faults, config.latency_ms)
    venues = (
        Binance(state.market, config, state.weights),
        Coinbase(state.market, state.public_rate, state.private_rate, config.coinbase_retry_after),
    )
    for protocol in (venue.protocol for venue in venues):
        for endpoint in protocol.endpoints:
            app.router.add_get(endpoint.path, door.handler(protocol, endpoint))
    Control(state).add_to(app.router)
    return app
