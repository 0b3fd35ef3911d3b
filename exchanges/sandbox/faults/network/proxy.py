"""A proxy in front of the sandbox, as some people have one between themselves and an exchange."""

import asyncio
import contextlib
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator

from exchanges.sandbox.faults.scenarios import Scenarios

SOCKS, BY_NAME, ITS_LOGIN, NO_LOGIN, BY_PASSWORD, NOBODY = 5, 3, 1, 0, 2, 0xFF  # RFC 1928, 1929
ADDRESS_BYTES = {1: 4, 4: 16}
FORBIDDEN = 2
WANTS_LOGIN = 407
_PART = 65_536


class Proxy:
    """Speaks CONNECT and SOCKS5 on one port; wherever it is asked for, it leads to the sandbox.

    `login` is `user:password`, empty where it wants none. The scenarios `proxy_refuse` and
    `proxy_silence` keep it from that.
    """

    def __init__(self, scenarios: Scenarios, sandbox: tuple[str, int], login: str):
        self._scenarios = scenarios
        self._sandbox = sandbox
        self._login = login
        self._tunnels: set[asyncio.Task] = set()

    @contextlib.asynccontextmanager
    async def serving(self, host: str, port: int, tls: ssl.SSLContext | None) -> AsyncIterator[int]:
        """Serve in the block; yield the port."""
        server = await asyncio.start_server(self._serve, host, port, ssl=tls)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for tunnel in self._tunnels:
                tunnel.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            self._tunnels.add(task)
            task.add_done_callback(self._tunnels.discard)
        broken = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, LookupError)
        with contextlib.suppress(*broken, asyncio.CancelledError):
            first = await reader.readexactly(1)
            handshake = self._socks if first[0] == SOCKS else self._connect
            if await handshake(reader, writer):
                theirs, ours = await asyncio.open_connection(*self._sandbox)
                await asyncio.gather(_forward(reader, ours), _forward(theirs, writer))
        writer.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        login = b64encode(self._login.encode())
        status = await self._status()
        if self._login and b"Proxy-Authorization: Basic %s\r\n" % login not in head:
            status = WANTS_LOGIN
        writer.write(b"HTTP/1.1 %d \r\n\r\n" % (status or 200))
        return not status

    async def _socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        methods = await _counted(reader)
        method = BY_PASSWORD if self._login else NO_LOGIN
        writer.write(bytes([SOCKS, method if method in methods else NOBODY]))
        if method not in methods:
            return False
        if self._login:
            await reader.readexactly(1)
            told = b":".join([await _counted(reader), await _counted(reader)])
            wrong = told != self._login.encode()
            writer.write(bytes([ITS_LOGIN, wrong]))
            if wrong:
                return False
        kind = (await reader.readexactly(4))[3]
        await (_counted(reader) if kind == BY_NAME else reader.readexactly(ADDRESS_BYTES[kind]))
        await reader.readexactly(2)
        refused = await self._status()
        writer.write(bytes([SOCKS, FORBIDDEN if refused else 0, 0, 1]) + bytes(6))
        return not refused

    async def _status(self) -> int:
        """Return the HTTP status of a refusal, 0 for none; in silence never."""
        active = {one.kind: one for one in self._scenarios.in_force if one.active}
        if "proxy_silence" in active:
            await asyncio.Event().wait()
        return active["proxy_refuse"].status if "proxy_refuse" in active else 0


async def _counted(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly((await reader.readexactly(1))[0])


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while part := await reader.read(_PART):
            writer.write(part)
            await writer.drain()
    writer.close()
