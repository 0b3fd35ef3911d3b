"""A Binance that does nothing but stream, in a process of its own.

    python -m benchmarks.programs.feeder PACE LEAD_SECONDS CLOSING

Its clock is LEAD_SECONDS before midnight UTC when it starts; CLOSING is the longest timeframe that
closes then, so `1h` makes it another full hour. PACE is `usual`, each topic once a second, evenly;
`burst`, the same, but what closes does so in one moment; or `flood`, as fast as it is read.
It prints its port; ended by TERM, how many closing frames it has sent.
"""

import sys
import threading
import time
from socket import create_server, socket

import orjson
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from benchmarks.programs.kline_frames import TICKERS, kline, mini_tickers, stamp
from livermore.command import SignalExit, ending_signals_raise
from livermore.market.timeframe import Timeframe

SLICES_A_SECOND = 50
MIDNIGHT_MS = 1_792_627_200_000  # 2026-10-22, a Thursday
RECEIVE_BYTES = 65_536


class Client:
    """One connection: it is answered by a thread of its own, and sent frames by the feeder's."""

    def __init__(self, connection: socket):
        self.topics: list[str] = []
        self.gone = False
        self._socket = connection
        self._sending = threading.Lock()
        self._protocol = ServerProtocol(max_size=None)
        self._made: tuple[object, list[bytes]] = (None, [])

    def serve(self) -> None:
        try:
            while data := self._socket.recv(RECEIVE_BYTES):
                self._protocol.receive_data(data)
                for event in self._protocol.events_received():
                    self._take(event)
                self._flush()
        except OSError:
            pass
        finally:
            self.gone = True

    def send(self, data: bytes) -> None:
        try:
            with self._sending:
                self._socket.sendall(data)
        except OSError:
            self.gone = True

    def slices(
        self, now_ms: int, closing: set[Timeframe], count: int, at_once: bool
    ) -> list[bytes]:
        """Return a frame of each topic, in so many parts; what closes is in the first `at_once`."""
        key = (now_ms // Timeframe.M1.ms, len(self.topics), frozenset(closing), count)
        if self._made[0] != key:
            closes, made = [], []
            for topic in list(self.topics):
                if topic != TICKERS:
                    closed = topic.rpartition("_")[2] in closing
                    (closes if closed and at_once else made).append(kline(topic, now_ms, closed))
            parts = [made[first::count] for first in range(count)]
            self._made = (key, [b"".join(closes), *map(b"".join, parts)])
        return self._made[1]

    def _take(self, event: Request | Frame) -> None:
        if isinstance(event, Request):
            self._protocol.send_response(self._protocol.accept(event))
        elif event.opcode is Opcode.TEXT:
            message = orjson.loads(event.data)
            known = [topic for topic in self.topics if topic not in message["params"]]
            added = message["params"] if message["method"] == "SUBSCRIBE" else []
            self._protocol.send_text(orjson.dumps({"result": None, "id": message["id"]}))
            self.topics = known + added

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            self.send(data)


class Feeder:
    """Sends to all of its clients by one clock, each topic once in a round."""

    def __init__(self, pace: str, lead_seconds: float, longest: Timeframe):
        self.closes = 0
        self._flood, self._at_once = pace == "flood", pace == "burst"
        midnight_ms = MIDNIGHT_MS + (0 if longest is Timeframe.D1 else longest.ms)
        self._ahead_ms = midnight_ms - int(1000 * (lead_seconds + time.monotonic()))
        self._last_ms = self._now_ms()
        self._tickers_at = 0.0
        self._clients: list[Client] = []

    def accept(self, server: socket) -> None:
        while True:
            client = Client(server.accept()[0])
            self._clients.append(client)
            threading.Thread(target=client.serve, daemon=True).start()

    def round(self) -> None:
        """Send every topic's frame, in a second or as fast as it is read."""
        now_ms, started = self._now_ms(), time.monotonic()
        closing = {each for each in Timeframe if each.floor(now_ms) != each.floor(self._last_ms)}
        self._last_ms = now_ms
        clients = [client for client in self._clients if not client.gone]
        count = 1 if self._flood else SLICES_A_SECOND
        parts = [client.slices(now_ms, closing, count, self._at_once) for client in clients]
        self.closes += sum(
            topic.rpartition("_")[2] in closing for client in clients for topic in client.topics
        )
        self._send_tickers(clients)
        for number in range(count + 1):  # the first are those that close at once
            for client, slices in zip(clients, parts, strict=True):
                if slices[number]:
                    client.send(stamp(slices[number], self._now_ms(), time.monotonic()))
            if not self._flood:
                time.sleep(max(0, started + number / count - time.monotonic()))
        if not any(client.topics for client in clients):
            time.sleep(0.01)

    def _send_tickers(self, clients: list[Client]) -> None:
        if time.monotonic() < self._tickers_at:
            return
        self._tickers_at = time.monotonic() + 1
        natives = {topic.partition("@")[0] for client in clients for topic in client.topics}
        for client in clients:
            if TICKERS in client.topics:
                frame = mini_tickers([name.upper() for name in natives if name])
                client.send(stamp(frame, self._now_ms(), 0))

    def _now_ms(self) -> int:
        return self._ahead_ms + int(1000 * time.monotonic())


def main(pace: str, lead_seconds: str, closing: str) -> None:
    feeder = Feeder(pace, float(lead_seconds), Timeframe(closing))
    try:
        with ending_signals_raise(), create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=feeder.accept, args=[server], daemon=True).start()
            print(server.getsockname()[1], flush=True)
            while True:
                feeder.round()
    except SignalExit:
        print(feeder.closes)


if __name__ == "__main__":
    main(*sys.argv[1:])
