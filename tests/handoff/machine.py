"""A machine of its own to follow the documents on: a checkout, its services, an exchange.

Nothing that a document says is changed but port numbers, as others may use these here. What only
root may do is left out, but for systemctl: units are run as systemd would run them.
"""

import json
import os
import re
import shlex
import shutil
import sqlite3
import sys
from contextlib import ExitStack, closing
from pathlib import Path

from livermore.market import keys
from tests.fixtures.ports import free_port
from tests.handoff.documents import Block, Command
from tests.handoff.page_client import PageClient, answers
from tests.handoff.servers import lively_exchange, redis_server, wait_until
from tests.handoff.terminal import Terminal
from tests.handoff.units import OURS, Unit
from tests.test_run import LEFT_OUT, ROOT, environment

USER, PASSWORD = "ada", "a long enough pass phrase"
TYPIST = shlex.join([sys.executable, str(Path(__file__).with_name("typist.py")), PASSWORD])
PRESSED = re.compile(r"On the card \*(.+?)\* press \*\*(.+?)\*\*")
EXCHANGES = {
    "https://api.coinbase.com": "http",
    "https://api.binance.com": "http",
    "https://api.binance.us": "http",
    "wss://advanced-trade-ws.coinbase.com": "ws",
    "wss://stream.binance.com:9443": "ws",
    "wss://stream.binance.us:9443": "ws",
}
# Stands in for the program where there is none; it can do what the documents ask of it.
CURL = """#!/bin/sh
for address; do :; done
exec {python} -c 'import sys, urllib.request as r
print(r.urlopen(sys.argv[1]).read().decode())' "$address"
"""


class Machine:
    """A context manager; at its end everything is ended, too."""

    def __init__(self, folder: Path):
        self.checkout = folder / "livermore"
        self.went_wrong: list[str] = []
        self._home, self._tools = folder / "home", folder / "tools"
        self._ports = {"8000": str(free_port()), "6379": str(free_port())}
        path = f"{self._tools}{os.pathsep}{os.environ['PATH']}"
        self._env = environment() | OURS | {"HOME": str(self._home), "PATH": path, "COLUMNS": "120"}
        self._units: dict[str, Unit] = {}
        self._page_client: PageClient | None = None
        self._things = ExitStack()

    def __enter__(self) -> "Machine":
        with ExitStack() as things:
            exchange = things.enter_context(lively_exchange())
            self._home.mkdir()
            self._prepare_tools()
            self._prepare_checkout(exchange.url.partition("://")[2])
            self.redis = things.enter_context(redis_server(self._home, self._ports["6379"]))
            self._terminal = things.enter_context(Terminal(self._env, self.checkout))
            things.callback(self._stop_units)
            self._things = things.pop_all()
        return self

    def __exit__(self, *error) -> None:
        self._things.close()

    def page_client(self) -> PageClient:
        """Return who logged in once: each time costs a million rounds of a hash."""
        if self._page_client is None:
            self._page_client = PageClient(self._address, USER, PASSWORD)
        return self._page_client

    def follow(self, blocks: list[Block]) -> None:
        """Do all that a document says; where something else came of it, `went_wrong` has it."""
        for block in blocks:
            for card, button in PRESSED.findall(block.prose):
                self.page_client().press(card, button)
            if block.kind == "sh":
                self._type_all(block.commands)
            elif block.kind == "console":
                for command in block.commands:
                    self._do_as_root(shlex.split(command.text))

    # -- As the user

    def _type_all(self, commands: list[Command]) -> None:
        """Type a block's commands; those that stay are ended at the end of the block."""
        staying = [pid for command in commands if (pid := self._type(command))]
        for pid in staying:
            status = self._terminal.type(f"kill -TERM {pid}; wait {pid}").status
            if status:
                self.went_wrong.append(f"what stayed ended with status {status}")

    def _type(self, command: Command) -> int | None:
        """Return the process id of a command that stays."""
        text = self._with_our_ports(command.text)
        if command.stays:
            return self._start_runner(text)
        if "createsuperuser" in text:
            text = f"{TYPIST} {text}"
        typed = self._terminal.type(text)
        if typed.status or not command.prints(typed.output):
            told = "\n".join(command.printed)
            self.went_wrong.append(
                f"$ {text}\n{typed.output}\n{typed.complaints}\nstatus {typed.status}, while the "
                f"document says:\n{told}"
            )
        return None

    def _start_runner(self, text: str) -> int:
        """Start `./run start EXCHANGE` and wait until it streams."""
        pid = int(self._terminal.type(f"{text} >>~/runner.log 2>&1 & echo $!").output)
        name = keys.status(self._exchange_id(text.split()[2]))

        def streams() -> bool:
            status = json.loads(self.redis.get(name) or "{}")
            return (status.get("pid"), status.get("state")) == (pid, "active")

        wait_until(streams, f"{text} to stream")
        return pid

    def _exchange_id(self, name: str) -> int:
        with closing(sqlite3.connect(self.checkout / "var/livermore.sqlite3")) as database:
            query = "SELECT id FROM exchanges WHERE name = ?"
            return database.execute(query, [name]).fetchone()[0]

    # -- As root

    def _do_as_root(self, words: list[str]) -> None:
        if words[0] != "systemctl":
            return
        for name in [word for word in words[2:] if word.startswith("livermore-")]:
            if words[1] == "stop":
                self._units.pop(name).stop()
            elif words[1] in ("enable", "start"):
                self._start_unit(name)

    def _start_unit(self, name: str) -> None:
        unit = self._units[name] = Unit(self.checkout, name, self._env["PATH"])
        unit.start()
        if name == "livermore-web":
            wait_until(lambda: answers(self._address), "the web server")
        else:
            wait_until(self._all_is_live, "what is wanted to be live")

    def _all_is_live(self) -> bool:
        cards = self.page_client().cards().values()
        return all(card["stateText"] == "Active: streaming" for card in cards if card["wanted"])

    def _stop_units(self) -> None:
        with ExitStack() as ending:
            for unit in self._units.values():
                ending.callback(unit.stop)
            self._units = {}

    # -- What there is from the start

    @property
    def _address(self) -> str:
        return f"http://127.0.0.1:{self._ports['8000']}"

    def _with_our_ports(self, text: str) -> str:
        for port, ours in self._ports.items():
            text = re.sub(rf"\b{port}\b", ours, text)
        return text

    def _prepare_checkout(self, exchange: str) -> None:
        shutil.copytree(ROOT, self.checkout, ignore=LEFT_OUT)
        (self.checkout / ".venv").symlink_to(sys.prefix)
        for path in (self.checkout / "deploy").rglob("*.*"):
            path.write_text(self._with_our_ports(path.read_text()))
        migration = self.checkout / "exchanges/migrations/0002_presets.py"
        text = migration.read_text()
        for url, scheme in EXCHANGES.items():
            assert url in text
            text = text.replace(url, f"{scheme}://{exchange}")
        migration.write_text(text)

    def _prepare_tools(self) -> None:
        self._tools.mkdir()
        if not shutil.which("curl"):
            (self._tools / "curl").write_text(CURL.format(python=sys.executable))
            (self._tools / "curl").chmod(0o755)
