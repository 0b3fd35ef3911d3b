"""Bots that listen: to raw WebSockets in Binance's protocol, and to server-sent events."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing

import requests
import websocket

from livermore.market.columns import COLUMNS
from tests.experiments.bots.bot import SECONDS_BETWEEN_TRIES, Bot, Place, numbers
from tests.experiments.bots.checks import EventChecks, StreamChecks
from tests.experiments.bots.truth import Row

SILENT_SECONDS = 2.0  # without a frame: nobody streams, or nothing was traded
ENDED_IN_ORDER = (1001, 1006, 1013)
FIELDS = ("timestamp", "open", "high", "low", "close", "volume", *COLUMNS)
SETTLED_MS = 180_000  # what ended before that was told, or never will be


class SocketBot(Bot):
    """Listens to klines of some pairs on one socket, and connects anew where that ends."""

    def __init__(
        self, place: Place, name: str, exchange: str, pairs: Sequence[Sequence[str]],
        token: str = "",
    ):  # fmt: skip
        super().__init__(place, name, exchange, token)
        self._pairs = {
            f"{symbol.replace('-', '').lower()}@kline_{interval}": self.pair(symbol, interval)
            for symbol, interval in pairs
        }

    def turn(self) -> None:
        address = f"{self.root}/{self.exchange}/stream?streams={'/'.join(self._pairs)}"
        try:
            socket = websocket.create_connection(address.replace("http", "ws", 1), timeout=20)
        except websocket.WebSocketBadStatusException as error:
            headers = error.resp_headers or {}
            text = (error.resp_body or b"").decode(errors="replace")
            self.found.answered(error.status_code, text, headers.get("retry-after"))
        except (OSError, websocket.WebSocketException) as error:
            self.found.cut(error)
        else:
            self._listen(socket)
        self.pause(SECONDS_BETWEEN_TRIES)

    def _listen(self, socket: websocket.WebSocket) -> None:
        checks = {name: StreamChecks(pair, self.place.truth) for name, pair in self._pairs.items()}
        socket.settimeout(SILENT_SECONDS)
        with closing(socket):
            try:
                while not self.place.ending.is_set():
                    try:
                        frame = socket.recv_data_frame(True)[1]
                    except websocket.WebSocketTimeoutException:
                        self.found.failing()
                        continue
                    if frame.opcode == websocket.ABNF.OPCODE_CLOSE:
                        self._ended(frame.data)
                        break
                    if frame.opcode == websocket.ABNF.OPCODE_TEXT:
                        self._take(json.loads(frame.data), checks)
            except (OSError, websocket.WebSocketException) as error:
                self.found.cut(error)
        for name, check in checks.items():
            pair = self._pairs[name]
            self.found.closes += check.closes
            self.found.skipped += [(pair.symbol, pair.interval, each) for each in check.skipped]

    def _ended(self, data: bytes) -> None:
        code, why = int.from_bytes(data[:2], "big"), data[2:].decode(errors="replace")
        self.found.failing()
        if code not in ENDED_IN_ORDER:
            self.found.fault(f"the socket was closed with {code}: {why}")

    def _take(self, message: dict, checks: dict[str, StreamChecks]) -> None:
        arrived_ms = self.place.time.now_ms()
        if message["data"]["e"] != "kline":
            return  # it says that it ends
        name, bar = message["stream"], message["data"]["k"]
        check, pair = checks[name], self._pairs[name]
        row = numbers([bar["t"], bar["o"], bar["h"], bar["l"], bar["c"], bar["v"], bar["T"],
                       bar["q"], bar["n"], bar["V"], bar["Q"]])  # fmt: skip
        self.found.well()
        self.found.rows += 1
        faults = check.close(row, arrived_ms) if bar["x"] else check.open(row, arrived_ms)
        for text in faults:
            self.found.fault(f"{name}: {text}")
        if not bar["x"]:
            self.was_open(pair, [row], arrived_ms)


class EventBot(Bot):
    """Reads the closes of an exchange by their ids, and goes on with the last one."""

    def __init__(
        self, place: Place, name: str, exchange: str, symbols: Sequence[str] = (),
        timeframes: Sequence[str] = (), token: str = "",
    ):  # fmt: skip
        super().__init__(place, name, exchange, token)
        self._query = {"exchange": exchange}
        if symbols:
            self._query["symbols"] = ",".join(symbols)
        if timeframes:
            self._query["timeframes"] = ",".join(timeframes)
        self._checks = EventChecks(place.truth)
        self._last_id = ""

    def turn(self) -> None:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if self._last_id:
            headers["Last-Event-ID"] = self._last_id
        address = f"{self.place.url}/v1/events"
        try:
            with requests.get(
                address, params=self._query, headers=headers, stream=True, timeout=(20, 20)
            ) as reply:
                if reply.status_code != 200:
                    retry_after = reply.headers.get("Retry-After")
                    self.found.answered(reply.status_code, reply.text, retry_after)
                else:
                    self.found.well()
                    self._read(reply)
                    self.found.failing()
        except requests.RequestException as error:
            self.found.cut(error)
        self.pause(SECONDS_BETWEEN_TRIES)

    def _read(self, reply: requests.Response) -> None:
        for kind, event_id, data in messages(reply.iter_lines(chunk_size=1)):
            if kind == "close":
                self._take(event_id, json.loads(data))
            elif kind != "state":  # whether anybody streams the exchange
                self.found.fault(f"{kind}: {data}")
            if self.place.ending.is_set():
                return

    def _take(self, event_id: str, event: dict) -> None:
        pair = self.pair(event["symbol"], event["timeframe"])
        told: Row = [event.get(name) for name in FIELDS]
        self.found.closes += 1
        self.found.rows += 1
        late, again = bool(event.get("late")), bool(event.get("again"))
        arrived_ms = self.place.time.now_ms()
        for text in self._checks.take(event_id, pair, told, arrived_ms, late=late, again=again):
            self.found.fault(text)
        self._last_id = event_id

    def finish(self) -> None:
        super().finish()
        for text in self._checks.missing(self.place.time.now_ms() - SETTLED_MS):
            self.found.fault(text)
        self.found.late, self.found.again = self._checks.late, self._checks.again


def messages(lines: Iterator[bytes]) -> Iterator[tuple[str, str, str]]:
    """Yield server-sent events: kind, id, data."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, text = line.decode().partition(": ")
            fields[name] = text
        elif fields:
            if "event" in fields:
                yield fields["event"], fields.get("id", ""), fields.get("data", "")
            fields = {}
