"""A protocol as small as one can be; a test puts this folder beside the real ones."""

from dataclasses import dataclass

import orjson

from exchanges.sandbox.faults.frames import FrameFaults, FrameInfo
from exchanges.sandbox.faults.rows import CandleRows
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.protocol import Endpoint, Protocol, option
from exchanges.sandbox.server.calls import Call, Refusal, Reply, as_json
from exchanges.sandbox.server.connection import Connection
from exchanges.sandbox.server.limits import RateLimit
from exchanges.sandbox.server.request_log import CandleRequest
from exchanges.sandbox.server.stream_log import StreamCounts
from livermore.market.timeframe import Timeframe

M1 = Timeframe.M1
NAME = "toy"


@dataclass(frozen=True)
class ToySettings:
    toy_rate: int = option(3, "calls in a second")


class ToyRest:
    """Tells the last ten minutes of a symbol, as lists in `bars`."""

    def __init__(self, market: Market, settings: ToySettings):
        self._market = market
        self._limit = RateLimit(settings.toy_rate)
        self.endpoints = (
            Endpoint("time", "/toy/time", lambda call: as_json(call.now_ms)),
            Endpoint("candles", "/toy/candles/{segment}", self.candles, candles=self.asked),
        )

    def candles(self, call: Call) -> Reply:
        end_ms = M1.floor(call.now_ms)
        rows = self._market.closed_candles(call.segment, M1, end_ms - 600_000, end_ms)
        return as_json({"bars": rows})

    def asked(self, call: Call) -> CandleRequest:
        return CandleRequest(NAME, call.segment, "1m", None, None, None, arrived_ms=call.now_ms)

    def admit(self, endpoint: Endpoint, call: Call) -> dict[str, str]:
        if not self._limit.spend(call.now_ms):
            raise Refusal(self.failure(429, None, call.now_ms))
        return {}

    def failure(self, status: int, retry_after: int | None, now_ms: int) -> Reply:
        return as_json("no", status)

    def reset(self) -> None:
        self._limit.reset()


class ToyStreams:
    """Tells the time, as often as it can, to whoever names a symbol in the URL."""

    name = NAME

    def __init__(
        self,
        market: Market,
        clock: SandboxClock,
        settings: ToySettings,
        counts: StreamCounts,
        faults: FrameFaults,
    ):
        self._counts, self._faults = counts, faults
        self._clients: dict[Connection, FrameInfo] = {}

    def refusal(self, now: float) -> int | None:
        self._counts.attempt(now)

    def open(self, connection: Connection, call: Call) -> None:
        self._clients[connection] = FrameInfo(call.segment)

    def receive(self, connection: Connection, opcode: int, data: bytes, now: float) -> None:
        connection.send(data[::-1])

    def leave(self, connection: Connection) -> None:
        del self._clients[connection]

    def maintain(self, connection: Connection, now: float) -> None:
        pass

    def announce_end(self, connection: Connection, now: float) -> None:
        connection.send(b'"bye"')

    def send_due(self, now_ms: int, now: float) -> None:
        for connection, info in self._clients.items():
            payload = orjson.dumps({info.symbol: now_ms})
            for one in self._faults.spoil(connection, info, payload, now_ms):
                if one is not None:
                    connection.send(one)


PROTOCOL = Protocol(
    name=NAME,
    settings=ToySettings,
    rest=ToyRest,
    candle_rows=CandleRows(time=0, open=1, high=2, low=3, close=4, volume=5, ms=1, table="bars"),
    streams=ToyStreams,
    ws_paths=("/toy/stream/{segment}",),
)
