"""A protocol of the sandbox is one folder and one line."""

import os
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import orjson
import pytest
import requests
import websockets.sync.client
from websockets.exceptions import ConnectionClosed

from exchanges.sandbox.protocols import PROTOCOLS
from exchanges.sandbox.server.config import SandboxConfig, ServerSettings
from tests.exchanges.sandbox.server.test_server import RUN

ROOT = Path(__file__).parents[3]
SANDBOX = ROOT / "exchanges/sandbox"
COMMAND = ROOT / "exchanges/management/commands/sandbox.py"
NAMES = [protocol.name for protocol in PROTOCOLS]
LINE = '    "coinbase",\n'
SECONDS = 10


def modules(name):
    return {path.stem for path in (SANDBOX / name).glob("*.py")}


def sources():
    """Return what of the sandbox no protocol owns, but the registry, and its command."""
    own = {SANDBOX / name for name in NAMES}
    files = [path for path in SANDBOX.rglob("*.py") if not own & set(path.parents)]
    return [*(path for path in files if path != SANDBOX / "protocols.py"), COMMAND]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_outside_its_folder_names_a_protocol(path):
    text = path.read_text(encoding="utf-8").lower()
    assert [name for name in NAMES if name in text] == []


def test_what_one_folder_has_the_others_have_or_say_that_they_lack():
    every = set().union(*(modules(name) for name in NAMES))
    for name in NAMES:
        told = (SANDBOX / name / "__init__.py").read_text(encoding="utf-8").split('"""')[1]
        assert {one for one in every if f"`{one}`" in told} == every - modules(name), name


def test_no_two_have_a_setting_of_one_name():
    kinds = [ServerSettings, *(protocol.settings for protocol in PROTOCOLS)]
    names = [one.name for kind in kinds for one in fields(kind)]
    assert len(names) == len(set(names))


def test_a_setting_is_taken_by_its_name_and_refused_where_nobody_has_it():
    config = SandboxConfig(speed=2, coinbase_rate=7, weight_limit=8)
    told = (config.speed, config.of["coinbase"].coinbase_rate, config.of["binance"].weight_limit)
    assert told == (2, 7, 8)
    with pytest.raises(TypeError, match="colour"):
        SandboxConfig(colour="red")


@pytest.fixture
def toy(tmp_path):
    """Serve a copy of the sandbox with one more folder and one more line; return its address."""
    unwanted = shutil.ignore_patterns("__pycache__")
    copy = shutil.copytree(SANDBOX.parent, tmp_path / "exchanges", ignore=unwanted) / "sandbox"
    shutil.copytree(Path(__file__).parent / "toy", copy / "toy", ignore=unwanted)
    registry = copy / "protocols.py"
    text = registry.read_text(encoding="utf-8")
    registry.write_text(text.replace(LINE, f'{LINE}    "toy",\n'), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "--port", "0", "--toy-rate", "5", "--speed", "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": f"{tmp_path}:{ROOT}"},
    )
    yield process.stdout.readline().split()[-1]
    process.terminate()
    assert process.wait(SECONDS) == 0


def test_a_folder_and_a_line_are_served_over_rest_and_websockets(toy):
    def get(path, **params):
        return requests.get(toy + path, params=params, timeout=SECONDS)

    def post(path, **content):
        requests.post(f"{toy}/sandbox/{path}", json=content, timeout=SECONDS).raise_for_status()

    now_ms = get("/toy/time").json()
    query = {"symbol": "ETH-USD", "timeframe": "1m", "start": now_ms - 660_000, "end": now_ms}
    truth = get("/sandbox/truth", **query).json()[-10:]
    assert get("/toy/candles/ETH-USD").json() == {"bars": truth}
    post("faults", kind="holes", protocol="toy", open_times=[truth[3][0]])
    assert get("/toy/candles/ETH-USD").json() == {"bars": truth[:3] + truth[4:]}
    post("faults", kind="status", protocol="toy", status=503, times=1)
    statuses = [get("/toy/candles/ETH-USD").status_code for _ in range(3)]
    assert statuses == [503, 200, 429]
    told = get("/sandbox/requests").json()
    assert told["counts"] == {"toy.time": 1, "toy.candles": 5}
    assert {(one["protocol"], one["symbol"]) for one in told["log"]} == {("toy", "ETH-USD")}
    assert get("/api/v3/ping").json() == {}

    address = toy.replace("http", "ws", 1) + "/toy/stream/ETH-USD"
    with websockets.sync.client.connect(address, close_timeout=0.2) as client:
        assert orjson.loads(client.recv(SECONDS)) == {"ETH-USD": now_ms}
        post("scenarios", kind="silent_symbol", protocol="toy", symbol="ETH-USD")
        client.send("abc")
        while (answer := client.recv(SECONDS)) != "cba":
            assert orjson.loads(answer) == {"ETH-USD": now_ms}
        assert get("/sandbox/streams").json()["toy"]["connects"] == 1
        post("scenarios", kind="drop", protocol="toy")
        with pytest.raises(ConnectionClosed):
            client.recv(SECONDS)
