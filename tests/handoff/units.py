"""A service as systemd runs it, by its file in `deploy/`."""

import shlex
import subprocess
from configparser import RawConfigParser
from pathlib import Path
from typing import ClassVar

HOME = "/srv/livermore"  # where units expect the checkout
OURS = {"LIVERMORE_PRIVATE_EXCHANGE_HOSTS": "127.0.0.1"}  # the exchange that is played is here


class Unit:
    """A unit of a checkout that is somewhere else.

    What comes before it is run once for as long as its environment stays the same.
    """

    _ran_before: ClassVar[list[tuple]] = []

    def __init__(self, checkout: Path, name: str, path: str):
        """`path` is the PATH that it gets."""
        service = read_unit(checkout / f"deploy/{name}.service")["Service"]
        here = {key: text.replace(HOME, str(checkout)) for key, text in service.items()}
        self._command = shlex.split(here["ExecStart"])
        self._before = shlex.split(here["ExecStartPre"])
        self._folder = here["WorkingDirectory"]
        self._env = {"PATH": path} | OURS | read_environment(Path(here["EnvironmentFile"]))
        self._seconds = int(here["TimeoutStopSec"])
        self._log = checkout / f"var/{name}.log"
        self._process: subprocess.Popen | None = None

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        with self._log.open("ab") as log:
            options = {"cwd": self._folder, "env": self._env, "stdout": log, "stderr": log}
            if (self._before, self._env) not in self._ran_before:
                subprocess.run(self._before, check=True, **options)
                self._ran_before.append((self._before, self._env))
            self._process = subprocess.Popen(self._command, **options)

    def stop(self) -> None:
        """End it with SIGTERM, and hold it to an end in peace."""
        assert self.runs, self._log.read_text()
        self._process.terminate()
        try:
            status = self._process.wait(self._seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        assert status == 0, f"status {status}: {self._log.read_text()}"


def read_unit(path: Path) -> RawConfigParser:
    """Return a unit's sections. What systemd allows to be said twice, none of ours says twice."""
    parser = RawConfigParser(delimiters=("=",), comment_prefixes=("#", ";"))
    parser.optionxform = str
    parser.read_string(path.read_text())
    return parser


def read_environment(path: Path) -> dict[str, str]:
    """Return the variables of an EnvironmentFile, as systemd takes them."""
    found = {}
    for line in path.read_text().splitlines():
        if line.strip() and not line.startswith(("#", ";")):
            name, _, text = line.partition("=")
            quoted = len(text) > 1 and text[0] == text[-1] == "'"
            found[name] = text[1:-1] if quoted else text
    return found
