"""What every exchange request passes: the log, the limits, the faults, the socket."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web

from exchanges.sandbox.faults.faults import Fault, Faults
from exchanges.sandbox.faults.limits import spoil_limits
from exchanges.sandbox.faults.listings import spoil_listing
from exchanges.sandbox.faults.rows import Columns, leave_out, spoil
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.server.calls import Call, Endpoint, Protocol, Refusal, Reply, as_page
from exchanges.sandbox.server.request_log import CandleRequest, RequestLog
from livermore.market.timeframe import Timeframe

LISTINGS = {"exchangeInfo": "symbols", "products": "products"}  # and where their rows are

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Handlers:
    """Turn a protocol's pure answers into HTTP, with whatever is meant to go wrong."""

    def __init__(self, clock: SandboxClock, requests: RequestLog, faults: Faults, latency_ms: int):
        self._clock = clock
        self._requests = requests
        self._faults = faults
        self._latency_seconds = latency_ms / 1000

    def handler(self, protocol: Protocol, endpoint: Endpoint) -> Handler:
        """Return the aiohttp handler of one endpoint."""
        name = f"{protocol.name}.{endpoint.name}"

        async def handle(request: web.Request) -> web.StreamResponse:
            self._requests.count(name)
            call = self._call(request)
            asked = endpoint.candles(call) if endpoint.candles else None
            if asked:
                self._requests.add(asked)
            faults = self._faults.take(
                protocol.name,
                endpoint.name,
                asked and asked.symbol,
                asked and asked.timeframe,
                endpoint.private,
            )
            wait = self._latency_seconds + sum(f.seconds for f in faults if f.kind == "slow")
            if wait:
                await asyncio.sleep(wait)
                call = self._call(request)
            reply = _reply(protocol, endpoint, call, faults)
            if asked:
                asked.weight = int(reply.headers.get("X-MBX-USED-WEIGHT-1M", 0)) or None
                cut = any(fault.kind == "reset" for fault in faults)
                asked.status = 0 if cut else reply.status
            return await _send(request, reply, faults)

        return handle

    def _call(self, request: web.Request) -> Call:
        segment = request.match_info.get("product_id", "")
        return Call(request.query, request.headers, request.path, segment, self._clock.now_ms())


def _reply(protocol: Protocol, endpoint: Endpoint, call: Call, faults: list[Fault]) -> Reply:
    headers: dict[str, str] = {}
    try:
        headers = protocol.admit(endpoint, call)
        reply = endpoint.answer(_at_its_time(endpoint, call, faults))
    except Refusal as refusal:
        reply = refusal.reply
    for fault in faults:
        reply = _spoiled(protocol, endpoint, fault, reply, call)
    reply.headers.update(headers)
    return reply


def _at_its_time(endpoint: Endpoint, call: Call, faults: list[Fault]) -> Call:
    """Return a call as one made when the answer's time is, which may be off or late."""
    off_ms = sum(fault.ms for fault in faults if fault.kind == "time")
    if endpoint.candles:
        off_ms -= sum(int(fault.seconds * 1000) for fault in faults if fault.kind == "late")
    return call._replace(now_ms=call.now_ms + off_ms)


def _spoiled(
    protocol: Protocol, endpoint: Endpoint, fault: Fault, reply: Reply, call: Call
) -> Reply:
    if fault.kind == "status" and fault.text is not None:
        return as_page(fault.text, fault.status)
    if fault.kind == "status":
        return protocol.failure(fault.status, fault.retry_after, call.now_ms)
    if fault.kind == "refused_key":
        return protocol.failure(401, None, call.now_ms)
    if fault.kind == "html200":
        return as_page("Just a moment...", 200)
    if fault.kind == "truncated" and fault.cut == "json":
        reply.body = reply.body[: len(reply.body) // 2]
    if fault.kind in _OF_ROWS and endpoint.candles and reply.status == 200:
        content = orjson.loads(reply.body)
        rows = content[protocol.table] if protocol.table else content
        _OF_ROWS[fault.kind](rows, fault, protocol.columns, endpoint.candles(call))
        reply.body = orjson.dumps(content)
    if fault.kind == "listing" and endpoint.name in LISTINGS and reply.status == 200:
        content = orjson.loads(reply.body)
        spoil_listing(content[LISTINGS[endpoint.name]], fault.way, fault.chance, fault.listed)
        reply.body = orjson.dumps(content)
    if fault.kind == "limits" and reply.status == 200:
        content = orjson.loads(reply.body)
        spoil_limits(content, fault.way)
        reply.body = orjson.dumps(content)
    return reply


def _leave_out(rows: list, fault: Fault, columns: Columns, asked: CandleRequest) -> None:
    rows[:] = leave_out(rows, fault.open_times, columns, fault.chance)


def _spoil(rows: list, fault: Fault, columns: Columns, asked: CandleRequest) -> None:
    at = fault.row
    if fault.open_time is not None:
        times = [int(row[columns.time]) * columns.ms for row in rows]
        if fault.open_time not in times:
            return
        at = times.index(fault.open_time)
    spoil(rows, fault.way, at, columns)


def _empty(rows: list, fault: Fault, columns: Columns, asked: CandleRequest) -> None:
    rows.clear()


def _leave_out_late(rows: list, fault: Fault, columns: Columns, asked: CandleRequest) -> None:
    """Leave out what had not ended when the answer's time was; it may stay as it was then."""
    ended_ms = asked.arrived_ms - int(fault.seconds * 1000) - Timeframe(asked.timeframe).ms
    if fault.way == "missing":
        rows[:] = [row for row in rows if int(row[columns.time]) * columns.ms <= ended_ms]


_OF_ROWS = {"holes": _leave_out, "bad_rows": _spoil, "empty": _empty, "late": _leave_out_late}


async def _send(request: web.Request, reply: Reply, faults: list[Fault]) -> web.StreamResponse:
    if any(fault.kind == "reset" for fault in faults):
        return await _half(request, reply, abort=True)
    if any(fault.kind == "truncated" and fault.cut == "length" for fault in faults):
        return await _half(request, reply, abort=False)
    return web.Response(body=reply.body, status=reply.status, headers=reply.headers)


async def _half(request: web.Request, reply: Reply, *, abort: bool) -> web.StreamResponse:
    """Send half the promised body, then end the connection, by a reset if `abort`."""
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    response.content_length = len(reply.body)
    await response.prepare(request)
    await response.write(reply.body[: len(reply.body) // 2])
    if transport := request.transport:
        if abort:  # no lingering: the peer gets RST, not FIN
            raw = transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()
    return response
