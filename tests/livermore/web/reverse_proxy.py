"""A proxy in front of the web side, as nginx would be: other names, below a path, in between."""

import asyncio
import contextlib
import threading


class ReverseProxy:
    """Passes requests on from a port of its own, one a connection, and sockets whole.

    `rewrite(line, headers)` gets each request's first line and its headers, a list of (name, value)
    as texts, and returns both as they shall go on.
    """

    def __init__(self, port, rewrite):
        self._to, self._rewrite = port, rewrite
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_):
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _end(self):
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *rest = head.strip().split("\r\n")
            headers = [tuple(each.split(": ", 1)) for each in rest]
            if not any(name.lower() == "upgrade" for name, _ in headers):
                headers = [each for each in headers if each[0].lower() != "connection"]
                headers.append(("Connection", "close"))
            line, headers = self._rewrite(line, headers)
            lines = [line, *(f"{name}: {value}" for name, value in headers), "", ""]
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._to)
            to_writer.write("\r\n".join(lines).encode("latin-1"))
            await asyncio.gather(_pass_on(reader, to_writer), _pass_on(to_reader, writer))


async def _pass_on(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


def with_header(headers, name, value):
    """Return headers with one of them replaced."""
    return [each for each in headers if each[0].lower() != name.lower()] + [(name, value)]
