"""Browsers in front of the Network page, in a process of their own.

    python -m benchmarks.programs.browsers PORT FILE

FILE has the key of a session on each line, and each is a browser's. The last of them is frozen: it
reads nothing after its first message. It prints `ready` when all have their first snapshot; ended
by TERM what it saw, as JSON:

- `delays_ms`: of each message about a warmup, from the stats' `updatedAt` to its arrival
- `waits_ms`: the same from the `updatedAt` before that on: what was written right after it waited
  no longer
- `messages`, `bytes`: of all but the frozen one; `lost`: how many of them were closed
- `frozen`: whether that one was closed
"""

import asyncio
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

SECONDS_BETWEEN_ANSWERS = 2.0
SECONDS_FOR_THE_FROZEN = 3.0
AT_ONCE = 20


@dataclass
class Seen:
    delays_ms: list[float] = field(default_factory=list)
    waits_ms: list[float] = field(default_factory=list)
    messages: int = 0
    bytes: int = 0
    lost: int = 0
    frozen: bool = False


async def main(port: str, path: str) -> None:
    keys = Path(path).read_text().split()
    entering = asyncio.Semaphore(AT_ONCE)
    sockets = await asyncio.gather(*(_enter(port, key, entering) for key in keys))
    seen, frozen = Seen(), sockets[-1]
    frozen.transport.pause_reading()
    reading = [asyncio.ensure_future(_read(socket, seen)) for socket in sockets[:-1]]
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    print("ready", flush=True)
    await ended.wait()
    for task in reading:
        task.cancel()
    seen.frozen = await _is_closed(frozen)
    print(orjson.dumps(seen).decode())
    for socket in sockets:
        socket.transport.abort()


async def _enter(port: str, key: str, entering: asyncio.Semaphore) -> ClientConnection:
    async with entering:
        socket = await connect(
            f"ws://127.0.0.1:{port}/ws/network/",
            origin=f"http://127.0.0.1:{port}",
            additional_headers={"Cookie": f"sessionid={key}"},
            ping_interval=None,
            open_timeout=60,
        )
        assert orjson.loads(await socket.recv())["type"] == "snapshot"
        await socket.send('{"type":"seen","count":1}')
    return socket


async def _read(socket: ClientConnection, seen: Seen) -> None:
    count, answered_at, before_ms = 1, 0.0, None
    try:
        async for text in socket:
            now = time.time()
            count += 1
            seen.messages += 1
            seen.bytes += len(text)
            if now - answered_at >= SECONDS_BETWEEN_ANSWERS:
                answered_at = now
                await socket.send(f'{{"type":"seen","count":{count}}}')
            updated_ms = _updated_ms(text)
            if updated_ms and updated_ms != before_ms:
                seen.delays_ms.append(1000 * now - updated_ms)
                if before_ms:
                    seen.waits_ms.append(1000 * now - before_ms)
                before_ms = updated_ms
    except ConnectionClosed:
        pass
    seen.lost += 1


def _updated_ms(text: str) -> int | None:
    """Return when the stats that a message tells were written, None for what tells none."""
    warmup = orjson.loads(text).get("changes", {}).get("warmup")
    return warmup["updatedAt"] if warmup else None


async def _is_closed(socket: ClientConnection) -> bool:
    socket.transport.resume_reading()
    try:
        async with asyncio.timeout(SECONDS_FOR_THE_FROZEN):
            await socket.wait_closed()
    except TimeoutError:
        return False
    return True


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
