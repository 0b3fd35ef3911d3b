import base64
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from django.core.management import call_command
from django.core.management.base import CommandError

from exchanges.sandbox.binance.listing import native_name
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from exchanges.sandbox.symbols import CHEAP

ROOT = Path(__file__).parents[4]
RUN = """
import sys
from django.conf import settings
settings.configure()
from exchanges.management.commands.sandbox import Command
Command().run_from_argv(["manage.py", "sandbox", *sys.argv[1:]])
"""


def command(*arguments):
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )


def test_several_servers_live_side_by_side(start, get):
    one, other = start(seed=1), start(seed=2)
    path, query = "/api/v3/klines", {"symbol": "BTCUSD", "interval": "1d", "limit": 3}
    assert get(one, path, **query).json() != get(other, path, **query).json()
    assert other.requests.counts["binance.klines"] == 1


def test_a_stopped_server_closes_its_port_and_can_be_stopped_again():
    server = SandboxServer().start()
    server.stop()
    server.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{server.url}/api/v3/ping", timeout=5)


def test_a_taken_port_is_an_error_at_the_start():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        SandboxServer(SandboxConfig(port=taken.getsockname()[1])).start()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_tells_its_address_and_ends_cleanly(number):
    process = command("--port", "0", "--symbols", "3")
    url = process.stdout.readline().split()[-1]
    with requests.Session() as session:  # its idle connection must not hold up the end
        info = session.get(f"{url}/api/v3/exchangeInfo", timeout=5).json()
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
    assert sum(one["status"] == "TRADING" for one in info["symbols"]) == 3
    assert (process.returncode, out, err) == (0, "", "")


def test_the_command_can_list_a_market_far_below_a_cent():
    process = command("--port", "0", "--cheap", "--speed", "0")
    url = process.stdout.readline().split()[-1]
    query = {"timeframe": "1d", "symbol": CHEAP.symbol, "start": 0, "end": 2 * 10**12}
    truth = requests.get(f"{url}/sandbox/truth", params=query, timeout=5).json()[-3:]
    query = {"symbol": native_name(CHEAP), "interval": "1d", "limit": 4}
    rows = requests.get(f"{url}/api/v3/klines", params=query, timeout=5).json()[:-1]
    process.terminate()
    process.wait(10)
    assert [[row[0], *map(float, row[1:6])] for row in rows] == truth
    assert 0 < truth[0][1] < 1e-06


def test_the_command_can_leave_ipv6_dead():
    process = command("--port", "0", "--dead-ipv6")
    port = int(process.stdout.readline().rpartition(":")[2])
    assert requests.get(f"http://127.0.0.1:{port}/api/v3/ping", timeout=5).json() == {}
    with pytest.raises(TimeoutError):
        socket.create_connection(("::1", port), 0.3)
    process.terminate()
    process.wait(10)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("::1", port), 5)


@pytest.mark.parametrize(("login", "status"), [("ada:secret", 200), ("ada:wrong", 407), ("", 407)])
def test_the_command_can_have_a_proxy_that_wants_a_password(login, status):
    process = command("--port", "0", "--proxy-port", "0", "--proxy-login", "ada:secret")
    process.stdout.readline()
    port = int(process.stdout.readline().split()[-1])
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        token = base64.b64encode(login.encode()).decode()
        told = f"Proxy-Authorization: Basic {token}\r\n" if login else ""
        client.sendall(f"CONNECT any.example:443 HTTP/1.1\r\n{told}\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 %d " % status)
        process.terminate()
        assert process.wait(10) == 0


def test_the_command_says_in_one_line_that_the_port_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = command("--port", str(taken.getsockname()[1]))
        out, err = process.communicate(timeout=10)
    assert process.returncode == 1
    assert err.strip().splitlines() == [err.strip()]
    assert "in use" in err
    assert out == ""


@pytest.mark.parametrize(
    ("option", "told"),
    [("--port", "the port is in use; give another --port"), ("--host", "or --host")],
)
def test_a_place_that_can_not_be_had_is_one_line_with_what_to_do(option, told):
    with socket.create_server(("127.0.0.1", 0)) as other:
        value = {"--port": str(other.getsockname()[1]), "--host": "nowhere.invalid"}[option]
        with pytest.raises(CommandError) as error:
            call_command("sandbox", option, value)
    assert told in str(error.value)
    assert "Errno" not in str(error.value) and "\n" not in str(error.value)
