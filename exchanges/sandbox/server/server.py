"""Run a sandbox: in the foreground until told to stop, or in a thread beside a test."""

import asyncio
import signal
import socket
from collections.abc import Callable
from threading import Event, Thread

from exchanges.sandbox.faults.faults import Faults
from exchanges.sandbox.faults.scenarios import Scenarios
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.request_log import RequestLog
from exchanges.sandbox.server.serving import address, listen, serve
from exchanges.sandbox.server.state import SandboxState
from exchanges.sandbox.server.stream_log import StreamCounts


class SandboxServer:
    """A sandbox on its own event loop in a daemon thread; several can live in one process.

    `start` returns once it accepts connections, and raises OSError where the port is taken.
    Also a context manager.
    """

    def __init__(self, config: SandboxConfig | None = None):
        self._state = SandboxState(config or SandboxConfig())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._serving = Event()
        self._thread: Thread | None = None
        self.url = ""

    def start(self) -> "SandboxServer":
        listening = listen(self._state.config)
        self.url = address(listening, self._state.config)
        self._loop = asyncio.new_event_loop()
        running = (self._loop, listening)
        self._thread = Thread(target=self._run, args=running, name="sandbox", daemon=True)
        self._thread.start()
        self._serving.wait()
        return self

    def stop(self) -> None:
        """Close every connection and wait for the thread; harmless when already stopped."""
        if self._loop and self._thread and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def __enter__(self) -> "SandboxServer":
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def market(self) -> Market:
        return self._state.market

    @property
    def clock(self) -> SandboxClock:
        return self._state.clock

    @property
    def faults(self) -> Faults:
        return self._state.faults

    @property
    def requests(self) -> RequestLog:
        return self._state.requests

    @property
    def scenarios(self) -> Scenarios:
        return self._state.scenarios

    @property
    def streams(self) -> dict[str, StreamCounts]:
        """What WebSocket clients did, by the protocol's name."""
        return self._state.streams

    def send_due(self) -> None:
        """Send what is due on the WebSockets now instead of within the next few milliseconds."""
        self._state.send_due_now()

    @property
    def proxy_port(self) -> int | None:
        """The port of its proxy, None where there is none."""
        return self._state.proxy_port

    @property
    def ws_url(self) -> str:
        """The address for all protocols' WebSockets, without a path."""
        return self.url.replace("http", "ws", 1)

    def reset(self) -> None:
        """Forget requests, used limits, bans, faults and scenarios."""
        self._state.reset()

    def _run(self, loop: asyncio.AbstractEventLoop, listening: socket.socket) -> None:
        asyncio.set_event_loop(loop)
        serving = serve(self._state, listening, self._stopping, self._serving.set)
        try:
            loop.run_until_complete(serving)
        finally:
            self._serving.set()  # or `start` would wait for ever
            loop.close()


def run_in_foreground(config: SandboxConfig, ready: Callable[[str, int | None], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called once, with the address and a proxy's port.

    Raises OSError where a port is taken.
    """
    listening = listen(config)
    state = SandboxState(config)

    async def main() -> None:
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        url = address(listening, config)
        await serve(state, listening, stopping, lambda: ready(url, state.proxy_port))

    asyncio.run(main())
