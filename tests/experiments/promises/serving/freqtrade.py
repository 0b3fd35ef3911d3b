"""freqtrade works with nothing but its configuration changed, as docs/bots.md shows it: all that it
downloads and all that its bot is shown in a dry run is equal to the sandbox's truth, and it calls
nobody but `serve`.

It is installed from the package index into an environment of this experiment's own and used as a
program alone. `freqtrade download-data` fetches a few pairs in all timeframes that the sandbox has,
some of it older than the cache keeps; then its bot runs dry, over REST and WebSocket, with a
strategy that it made from its own template, and its API tells which candles it has. Every
connection that its processes open, and each name that they look up, is written down by a hook of
Python (`sys.addaudithook`) in that environment. `tests/serving/test_bots.py` runs other programs of
that document in every run of the tests.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import requests

from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from livermore.market.timeframe import Timeframe
from tests.experiments.bots.fleet import Kept, command
from tests.experiments.outcome import Outcome, faults_of
from tests.fixtures.ports import free_port
from tests.warmup.runners import ROOT, chosen, make_row, running, wait_until

QUICK = {"days": 1, "trade_seconds": 45}
PACKAGE = "freqtrade"
SYMBOLS = ["BTC-USD", "ETH-USD"]
TIMEFRAMES = ["1m", "5m", "15m", "1h", "4h", "1d"]
TRADED = "1m"
LONGEST_INSTALLATION_SECONDS, LONGEST_DOWNLOAD_SECONDS = 1500, 400
SECONDS_TO_BEGIN = 120
LATEST_SECONDS = 30  # its bot looks every few seconds
ADDRESS = "127.0.0.1:8010"  # in the document
USER, PASSWORD = "livermore", "of no use to anybody"
HOOK = """
import os, sys
_log = os.open(os.environ["CONNECTIONS_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def _note(event, arguments):
    if event == "socket.connect":
        os.write(_log, f"connect {arguments[1]!r}\\n".encode())
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        os.write(_log, f"name {arguments[0]!r}\\n".encode())
if "CONNECTIONS_LOG" in os.environ:
    sys.addaudithook(_note)
"""
USUAL = {
    "max_open_trades": 0,  # before it opens one it asks for order books, which a sandbox has not
    "stake_currency": "USD",
    "stake_amount": 100,
    "dry_run": True,
    "dry_run_wallet": 1000,
    "timeframe": TRADED,
    "initial_state": "running",
    "entry_pricing": {"price_side": "same", "use_order_book": False},
    "exit_pricing": {"price_side": "same", "use_order_book": False},
    "pairlists": [{"method": "StaticPairList"}],
}


class NotInstalled(Exception):
    """freqtrade could not be installed: the package index is away, or has none for this Python."""


def run(redis, folder, days=3, trade_seconds=150):
    program = Program(folder)
    version = program.install()
    with SandboxServer(SandboxConfig(listings=chosen(SYMBOLS))) as sandbox:
        row = make_row(sandbox, "sandbox", SYMBOLS)
        port = free_port()
        with running(redis, row, SYMBOLS):
            server = command("serve", "--port", str(port))
            try:
                wait_until(lambda: server.out, SECONDS_TO_BEGIN)
                trial = Trial(sandbox, program, port)
                faults = faults_of("download-data", trial.download, days)
                faults += faults_of("dry run", trial.trade, trade_seconds)
                faults += faults_of("connections", trial.look_at_connections)
            finally:
                server.end()
    return Outcome(
        f"freqtrade {version} downloaded {len(SYMBOLS)} pairs in {len(TIMEFRAMES)} timeframes, "
        f"{days} days of each, and its bot ran dry for {trade_seconds} s.",
        {"freqtrade": version} | trial.numbers,
        faults,
    )


class Program:
    """freqtrade in an environment of its own, below a folder."""

    def __init__(self, folder: Path):
        self.home = folder / "freqtrade"
        self.connections = folder / "connections.log"
        self._environment = folder / "environment"
        self._bin = self._environment / "bin"

    def install(self) -> str:
        """Return its version. Raises NotInstalled."""
        self._do([sys.executable, "-m", "venv", str(self._environment)])
        pip = [str(self._bin / "python"), "-m", "pip", "install", "--quiet", "--prefer-binary",
               "--disable-pip-version-check", PACKAGE]  # fmt: skip
        self._do(pip)
        (packages,) = (self._environment / "lib").glob("python*/site-packages")
        (packages / "noted_connections.py").write_text(HOOK)
        (packages / "noted_connections.pth").write_text("import noted_connections\n")
        said = self.run("--version")
        return re.search(r"freqtrade\D*(\d[\w.]*)", said, re.I)[1]

    def _do(self, words: list[str]) -> None:
        try:
            done = subprocess.run(
                words, capture_output=True, text=True, timeout=LONGEST_INSTALLATION_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise NotInstalled(f"freqtrade can't be installed: {error}") from None
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["pip said nothing"]
            raise NotInstalled(f"freqtrade can't be installed from the package index: {lines[-1]}")

    def run(self, *words: str, seconds: float = SECONDS_TO_BEGIN) -> str:
        """Return what it says; AssertionError where it fails."""
        done = subprocess.run(
            [str(self._bin / "freqtrade"), *words],
            env=self._variables(), cwd=self.home.parent, capture_output=True, text=True,
            timeout=seconds,
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"freqtrade {words[0]} ended with {done.returncode}: {said}"
        return said

    def start(self, *words: str) -> Kept:
        return Kept(
            subprocess.Popen(
                [str(self._bin / "freqtrade"), *words],
                env=self._variables(), cwd=self.home.parent, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip

    def _variables(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home.parent),
            "LANG": "C.UTF-8",
            "CONNECTIONS_LOG": str(self.connections),
        }


class Trial:
    """freqtrade, pointed at `serve`, and what it makes of that."""

    def __init__(self, sandbox: SandboxServer, program: Program, port: int):
        self._sandbox, self._program, self._port = sandbox, program, port
        self._api_port = free_port()
        self._config = program.home.parent / "config.json"
        self._config.write_text(json.dumps(self._configuration()))
        program.run("create-userdir", "--userdir", str(program.home))
        self.numbers: dict = {}

    def _configuration(self) -> dict:
        """Return the configuration: of the exchange as the document shows it."""
        shown = documented().replace(ADDRESS, f"127.0.0.1:{self._port}")
        server = {
            "enabled": True,
            "listen_ip_address": "127.0.0.1",
            "listen_port": self._api_port,
            "verbosity": "error",
            "jwt_secret_key": "of no use to anybody but this experiment",
            "CORS_origins": [],
            "username": USER,
            "password": PASSWORD,
        }
        return USUAL | json.loads(shown) | {"api_server": server}

    def download(self, days: int) -> Iterator[str]:
        """Download; yield what is not true of it."""
        began_ms = self._sandbox.clock.now_ms()
        pairs = [symbol.replace("-", "/") for symbol in SYMBOLS]
        said = self._program.run(
            "download-data", "--config", str(self._config), "--userdir", str(self._program.home),
            "--pairs", *pairs, "--timeframes", *TIMEFRAMES, "--days", str(days),
            "--data-format-ohlcv", "json", seconds=LONGEST_DOWNLOAD_SECONDS,
        )  # fmt: skip
        if "Traceback" in said or "ERROR" in said:
            yield f"it said: {said[-1500:]}"
        count = 0
        for symbol in SYMBOLS:
            for timeframe in map(Timeframe, TIMEFRAMES):
                name = f"{symbol.replace('-', '_')}-{timeframe}.json"
                (path,) = self._program.home.glob(f"data/**/{name}")
                rows = json.loads(path.read_text())
                count += len(rows)
                since_ms = timeframe.ceil(began_ms - days * Timeframe.D1.ms)
                # While a bar that has just ended is awaited there is no open row: it drops another.
                due_ms = began_ms - Timeframe.M1.ms
                yield from self._untrue(symbol, timeframe, rows, since_ms, due_ms)
        self.numbers["candles downloaded"] = count

    def _untrue(
        self, symbol: str, timeframe: Timeframe, rows: list[list], since_ms: int, until_ms: int
    ) -> Iterator[str]:
        """Yield what is not so of candles, which should reach from one time to another."""
        title = f"{symbol} {timeframe}"
        if not rows:
            yield f"{title}: nothing at all"
            return
        if rows[0][0] > max(since_ms, timeframe.ceil(self._listed_ms(symbol))) + timeframe.ms:
            yield f"{title}: begins at {rows[0][0]}, not at {since_ms}"
        ends_ms = rows[-1][0] + timeframe.ms
        if ends_ms < timeframe.floor(until_ms):
            yield f"{title}: ends at {ends_ms}, not at {timeframe.floor(until_ms)}"
        true = self._sandbox.market.closed_candles(symbol, timeframe, rows[0][0], ends_ms)
        told = [list(map(float, row)) for row in rows]
        expected = [list(map(float, row)) for row in true]
        if ends_ms > self._sandbox.clock.now_ms():
            yield f"{title}: told as closed before its end"
        elif told != expected:
            wrong = [row for row in told if row not in expected][:3]
            yield f"{title}: {len(told)} candles of {len(expected)}; not true: {wrong}"

    def _listed_ms(self, symbol: str) -> int:
        return self._sandbox.market.listings[symbol].listed_ms

    def trade(self, seconds: float) -> Iterator[str]:
        """Let its bot run dry; yield what is not true of the candles that it has."""
        home = str(self._program.home)
        self._program.run("new-strategy", "--userdir", home, "--strategy", "Shown",
                          "--template", "minimal")  # fmt: skip
        # Without a database of its own, as nothing is to be kept.
        bot = self._program.start(
            "trade", "--config", str(self._config), "--userdir", home, "--strategy", "Shown",
            "--db-url", "sqlite://",
        )  # fmt: skip
        try:
            wait_until(lambda: self._candles(bot, SYMBOLS[0]), SECONDS_TO_BEGIN)
            ends_at = time.monotonic() + seconds
            looks = 0
            while time.monotonic() < ends_at:
                for symbol in SYMBOLS:
                    yield from self._look(bot, symbol)
                    looks += 1
                time.sleep(5)
        finally:
            bot.end()
        said = "".join([*bot.out, *bot.errors])
        self.numbers |= {"looks at the candles of its bot": looks}
        for line in said.splitlines():
            if "Traceback" in line or " - ERROR - " in line or "Exception" in line:
                yield f"its bot said: {line[-600:]}"
                break
        self.numbers["warnings of its bot"] = said.count(" - WARNING - ")

    def _look(self, bot: Kept, symbol: str) -> Iterator[str]:
        """Compare the candles that its bot has of one pair."""
        now_ms = self._sandbox.clock.now_ms()
        rows = self._candles(bot, symbol)
        due_ms = Timeframe.M1.floor(now_ms - 1000 * LATEST_SECONDS)
        yield from self._untrue(symbol, Timeframe.M1, rows, rows[0][0] if rows else 0, due_ms)
        name = "candles that its bot had, at the most"
        self.numbers[name] = max(self.numbers.get(name, 0), len(rows))

    def _candles(self, bot: Kept, symbol: str) -> list[list]:
        """Return the candles of its bot as its API tells them; none before it has any."""
        assert bot.process.poll() is None, f"it ended: {''.join([*bot.out, *bot.errors])[-1500:]}"
        try:
            answer = requests.get(
                f"http://127.0.0.1:{self._api_port}/api/v1/pair_candles",
                params={"pair": symbol.replace("-", "/"), "timeframe": TRADED},
                auth=(USER, PASSWORD),
                timeout=10,
            )
        except requests.ConnectionError:
            return []
        if answer.status_code != 200:
            return []
        found = answer.json()
        if "__date_ts" not in found["columns"]:
            return []
        at = [found["columns"].index(name) for name in
              ("__date_ts", "open", "high", "low", "close", "volume")]  # fmt: skip
        return [[row[index] for index in at] for row in found["data"]]

    def look_at_connections(self) -> Iterator[str]:
        """Yield whom it called beside `serve`, and what names it looked up."""
        lines = self._program.connections.read_text().splitlines()
        own = f"connect ('127.0.0.1', {self._port})"
        connects = Counter(line for line in lines if line.startswith("connect "))
        self.numbers["connections that it opened to serve"] = connects[own]
        if not connects[own]:
            yield "it opened no connection to serve"
        for line, count in connects.items():
            if line != own and not _is_local(line):
                yield f"{count} times: {line}"
        names = Counter(line for line in lines if line.startswith("name "))
        for line, count in names.items():
            if line not in ("name '127.0.0.1'", "name b'127.0.0.1'", "name None"):
                yield f"{count} times: {line}"


def _is_local(line: str) -> bool:
    """Tell whether a connection is one within the program: by a path, or by a pair of sockets."""
    return not line.startswith("connect (")


def documented() -> str:
    """Return the configuration that the document shows."""
    text = (ROOT / "docs" / "bots.md").read_text()
    (found,) = re.findall(r"^## freqtrade.*?^```json\n(.*?)^```", text, re.M | re.S)
    return found
