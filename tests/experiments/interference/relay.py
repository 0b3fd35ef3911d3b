"""Between a runner and the sandbox: passes on what both say, and adds frames of its own."""

import threading
from contextlib import contextmanager, suppress

import websockets.sync.client
import websockets.sync.server
from websockets.exceptions import ConnectionClosed

FRAMES_BETWEEN = 5
QUIET = {"ping_interval": None, "compression": None, "close_timeout": 0.2}


class Relay:
    """Adds one of `frames` after every few of the sandbox's, each once; `sent` are those."""

    def __init__(self, sandbox, frames):
        self._sandbox = sandbox
        self._left = list(frames)
        self.sent = []
        self._lock = threading.Lock()
        self.url = ""

    @property
    def done(self):
        return not self._left

    def serve(self, client):
        """Serve one connection until either side ends it."""
        address = self._sandbox.ws_url + client.request.path
        with (
            suppress(ConnectionClosed, OSError),
            websockets.sync.client.connect(address, **QUIET) as upstream,
        ):
            threading.Thread(target=_pass_on, args=[client, upstream], daemon=True).start()
            for number, frame in enumerate(upstream):
                client.send(frame)
                if number % FRAMES_BETWEEN == FRAMES_BETWEEN - 1:
                    self._add(client)

    def _add(self, client):
        with self._lock:
            if self._left:
                client.send(self._left[0].text, text=True)
                self.sent.append(self._left.pop(0))


def _pass_on(client, upstream):
    with suppress(ConnectionClosed, OSError):
        for message in client:
            upstream.send(message)
    upstream.close()


@contextmanager
def relayed(sandbox, frames):
    """Serve a relay; its `url` takes the place of the sandbox's."""
    relay = Relay(sandbox, frames)
    with websockets.sync.server.serve(relay.serve, "127.0.0.1", 0, **QUIET) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        relay.url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        yield relay
