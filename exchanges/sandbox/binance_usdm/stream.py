"""The WebSockets of Binance's USD-M futures, which know three routes.

Candles and tickers come on `/market`. Whoever asks for them on another is connected and
acknowledged, and gets nothing.
"""

from exchanges.sandbox.binance.stream import BinanceStreams
from exchanges.sandbox.binance_usdm.publisher import UsdmPublisher
from exchanges.sandbox.binance_usdm.settings import NAME, UsdmSettings
from exchanges.sandbox.faults.frames import FrameFaults
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.calls import Call
from exchanges.sandbox.server.connection import Connection
from exchanges.sandbox.server.stream_log import StreamCounts

ROUTE, OTHER_ROUTES = "/market", ("/public", "/private")
PATHS = tuple(
    f"{route}{path}"
    for route in (ROUTE, *OTHER_ROUTES)
    for path in ("/ws", "/ws/{segment:.*}", "/stream")
)


class UsdmStreams(BinanceStreams):
    """The streaming side of the protocol over a market, without its sockets."""

    name = NAME
    publisher = UsdmPublisher
    combined_path = f"{ROUTE}/stream"

    def __init__(
        self,
        market: Market,
        clock: SandboxClock,
        settings: UsdmSettings,
        counts: StreamCounts,
        faults: FrameFaults,
    ):
        super().__init__(market, clock, settings.of_streams, counts, faults)
        self._misled: set[Connection] = set()  # on a route that has none of what they want

    def open(self, connection: Connection, call: Call) -> None:
        if call.path.startswith(OTHER_ROUTES):
            self._misled.add(connection)
        super().open(connection, call)

    def leave(self, connection: Connection) -> None:
        super().leave(connection)
        self._misled.discard(connection)

    def announce_end(self, connection: Connection, now: float) -> None:
        """Say nothing: that an end is told before is not documented here."""

    def _join(self, connection: Connection, name: str) -> None:
        if connection not in self._misled:
            super()._join(connection, name)
