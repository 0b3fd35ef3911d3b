"""What a machine of its own has around it: a Redis, and an exchange that is lively."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis as redis_client

from exchanges.sandbox.market import patterns
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from livermore.running import embedded_redis
from tests.handoff.terminal import SECONDS


def wait_until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.2)


@contextmanager
def lively_exchange() -> Iterator[SandboxServer]:
    """Serve an exchange in real time where something is traded every second."""
    usual = patterns.TRADES[False]
    patterns.TRADES[False] = 60 * patterns.MINUTES
    try:
        with SandboxServer(SandboxConfig(seed=2026)) as server:
            yield server
    finally:
        patterns.TRADES[False] = usual


@contextmanager
def redis_server(folder: Path, port: str) -> Iterator[redis_client.Redis]:
    """Run a Redis as a distribution's package does: on a port, whoever uses it."""
    _, program = embedded_redis._find_engine()
    command = [program, "--port", port, "--bind", "127.0.0.1", "--save", ""]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    with redis_client.Redis(port=int(port)) as client:
        try:
            wait_until(lambda: _pongs(client), "Redis")
            yield client
        finally:
            process.terminate()
            process.wait()


def _pongs(client: redis_client.Redis) -> bool:
    try:
        return client.ping()
    except redis_client.RedisError:
        return False
