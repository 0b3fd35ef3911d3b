"""Between a runner and its Redis: a wire that can lose what goes over it."""

import socket
import threading
import time
from contextlib import contextmanager, suppress

from exchanges.redis.client import make_client
from livermore.running.embedded_redis import socket_path
from tests.warmup.live.redis_away import OwnRedis
from tests.warmup.runners import wait_until

A_CLOSE = b'"closed":true'  # in what a runner writes, of a candle that it tells
WHOLE, DEAF, APART = "whole", "deaf", "apart"  # no reply arrives, nothing arrives


class RemoteRedis(OwnRedis):
    """A server of a test's own that is called over a wire, with the timeouts that Livermore has."""

    def __init__(self, folder):
        super().__init__(folder)
        self.wire = Wire(str(socket_path(self.folder)))

    def stop(self):
        super().stop()
        self.wire.cut()

    def __exit__(self, *error):
        super().__exit__(*error)
        self.wire.close()

    @contextmanager
    def client(self):
        with make_client(f"redis://127.0.0.1:{self.wire.port}/0") as client:
            yield client

    def part(self, seconds):
        """Lose the reply to the next close that is written, and then all that is sent either way.

        Returns when it is over and all connections are cut.
        """
        self.wire.go_deaf_at_a_close()
        for state in (DEAF, APART):
            wait_until(lambda: self.wire.state != WHOLE)
            self.wire.state = state
            ends_at = time.monotonic() + seconds / 2
            wait_until(lambda at=ends_at: time.monotonic() >= at, seconds)
        self.wire.state = WHOLE
        self.wire.cut()


class Wire:
    """Passes on bytes between connections to `port` and a server's socket; `lost` counts them."""

    def __init__(self, path):
        self._path = path
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listening.getsockname()[1]
        self._ends = set()
        self._waits_for_close = False
        self.state = WHOLE
        self.lost = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def go_deaf_at_a_close(self):
        self._waits_for_close = True

    def cut(self):
        """End all connections."""
        for end in list(self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._listening.close()
        self.cut()

    def _accept(self):
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client):
        with client, socket.socket(socket.AF_UNIX) as server:
            self._ends |= {client, server}
            try:
                server.connect(self._path)
                replies = threading.Thread(
                    target=self._pass_on, args=[server, client, (DEAF, APART)], daemon=True
                )
                replies.start()
                self._pass_on(client, server, (APART,))
                replies.join()
            except OSError:  # the server is away
                pass
            finally:
                self._ends -= {client, server}

    def _pass_on(self, sender, receiver, lost_in):
        with suppress(OSError):
            while data := sender.recv(65_536):
                if self._waits_for_close and A_CLOSE in data:
                    self._waits_for_close, self.state = False, DEAF
                if self.state in lost_in:
                    self.lost += len(data)
                else:
                    receiver.sendall(data)
        for end in (sender, receiver):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
