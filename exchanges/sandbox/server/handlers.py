"""What every REST call passes: the log, the faults, the limits, the socket."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

from aiohttp import web

from exchanges.sandbox.faults.fault import Fault
from exchanges.sandbox.faults.faults import Faults
from exchanges.sandbox.faults.replies import at_its_time, spoilt
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.protocol import Endpoint, Protocol, Rest
from exchanges.sandbox.server.calls import Call, Refusal, Reply
from exchanges.sandbox.server.request_log import RequestLog

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Handlers:
    """Turn a protocol's pure answers into HTTP, with whatever is meant to go wrong."""

    def __init__(self, clock: SandboxClock, requests: RequestLog, faults: Faults, latency_ms: int):
        self._clock = clock
        self._requests = requests
        self._faults = faults
        self._latency_seconds = latency_ms / 1000

    def handler(self, protocol: Protocol, rest: Rest, endpoint: Endpoint) -> Handler:
        """Return the aiohttp handler of one endpoint."""
        name = f"{protocol.name}.{endpoint.name}"

        async def handle(request: web.Request) -> web.StreamResponse:
            self._requests.count(name)
            call = read_call(request, self._clock.now_ms())
            asked = endpoint.candles(call) if endpoint.candles else None
            if asked:
                self._requests.add(asked)
            about = (asked.symbol, asked.timeframe) if asked else endpoint.about(call)
            faults = self._faults.take(protocol.name, endpoint.name, *about, endpoint.own_faults)
            wait = self._latency_seconds + sum(f.seconds for f in faults if f.kind == "slow")
            if wait:
                await asyncio.sleep(wait)
                call = read_call(request, self._clock.now_ms())
            reply = _reply(protocol, rest, endpoint, call, faults)
            if asked:
                asked.weight = int(reply.headers.get(protocol.weight_header, 0)) or None
                cut = any(fault.kind == "reset" for fault in faults)
                asked.status = 0 if cut else reply.status
            return await _send(request, reply, faults)

        return handle


def read_call(request: web.Request, now_ms: int) -> Call:
    """Return a request, or that of a WebSocket, as protocols see it."""
    segment = request.match_info.get("segment", "")
    return Call(request.query, request.headers, request.path, segment, now_ms)


def _reply(
    protocol: Protocol, rest: Rest, endpoint: Endpoint, call: Call, faults: list[Fault]
) -> Reply:
    headers: dict[str, str] = {}
    try:
        headers = rest.admit(endpoint, call)
        then = at_its_time(endpoint, call, faults)
        reply = endpoint.spoilt(then, faults) if endpoint.spoilt else endpoint.answer(then)
    except Refusal as refusal:
        reply = refusal.reply
    for fault in faults:
        reply = spoilt(protocol, rest, endpoint, fault, reply, call)
    reply.headers.update(headers)
    return reply


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
