"""Look at what `./run` needs for itself, its folder and three ports, before anything is installed.

    python3 -I livermore/running/preflight.py [the options of `./run up`]

Called by `./run` with whatever Python the machine has, so it uses the standard library alone.
"""

import argparse
import errno
import fcntl
import socket
import sys
from collections.abc import Container
from pathlib import Path
from typing import NamedTuple, TextIO

ROOT = Path(__file__).resolve().parents[2]
LOCK = "up.lock"  # below var/, held by the `./run` that runs: it says in there where it is
SANDBOX_FILE = "sandbox-port"  # below var/, where the sandbox was at the last start
WEB_PORT = 8000
SERVE_PORT = 8010
SANDBOX_PORT = 8899
PORTS_TRIED = 100


class PortError(Exception):
    """A port can't be had; the text says which and what to do, `status` is that of the command."""

    status = 1


class SamePort(PortError):
    """One port was given for two."""

    status = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port",
        type=port,
        metavar="PORT",
        help=f"of the web server (default: the first free one from {WEB_PORT} on)",
    )
    parser.add_argument(
        "--serve-port",
        type=port,
        metavar="PORT",
        help="where candles are served to programs (default: the first free one from "
        f"{SERVE_PORT} on)",
    )
    parser.add_argument(
        "--sandbox-port",
        type=port,
        metavar="PORT",
        help="move the sandbox exchange to this port, for good: its row is changed "
        "(default: where it is, or the next free one)",
    )


def port(text: str) -> int:
    """Return the port that was typed. Raises ArgumentTypeError."""
    if text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text[:40]} is not a port: give a number from 1 to 65535")


class Ports(NamedTuple):
    """The ports of the web server, of what serves candles, and of the sandbox; None: not given."""

    web: int | None = None
    serve: int | None = None
    sandbox: int | None = None


NONE_GIVEN = Ports()
# Of each of them, in that order: its option, and what it is called beside its number.
OPTIONS = ("--port", "--serve-port", "--sandbox-port")
WHOSE = ("", ", that candles are served at,", ", the sandbox's,")


def choose(given: Ports, usual_sandbox: int = SANDBOX_PORT) -> Ports:
    """Return the ports: what was given, else the first free one from the usual one on.

    Raises PortError where a given one can't be used, or none is free.
    """
    check_distinct(given)
    for port, whose, option in zip(given, WHOSE, OPTIONS, strict=True):
        if port and (reason := why_not_free(port)):
            raise PortError(f"Port {port}{whose} {reason}: give another {option}, or none")
    taken = {given.web, given.serve, given.sandbox or usual_sandbox}
    of_web, of_serve, of_sandbox = OPTIONS
    web = given.web or _first_free(WEB_PORT, taken, of_web)
    serve = given.serve or _first_free(SERVE_PORT, taken | {web}, of_serve)
    sandbox = given.sandbox or _first_free(usual_sandbox, {web, serve}, of_sandbox)
    return Ports(web, serve, sandbox)


def check_distinct(given: Ports) -> None:
    """Raise SamePort where one port was given for two."""
    by_port: dict[int, str] = {}
    for port, option in zip(given, OPTIONS, strict=True):
        if port in by_port:
            raise SamePort(f"{by_port[port]} and {option} are both {port}: give two")
        if port:
            by_port[port] = option


def sandbox_port(var: Path) -> int:
    """Return where this folder's sandbox is, as `./run` left it, or where it usually is."""
    try:
        return port((var / SANDBOX_FILE).read_text().strip())
    except (OSError, ValueError, argparse.ArgumentTypeError):
        return SANDBOX_PORT


def why_not_free(port: int) -> str | None:
    """Return why nothing of ours can listen at a port of this machine, None where it can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "is in use by another program"
            return f"can't be used ({error.strerror})"
    return None


def _first_free(first: int, taken: Container[int | None], option: str) -> int:
    for found in range(first, min(first + PORTS_TRIED, 65536)):
        if found not in taken and not why_not_free(found):
            return found
    raise PortError(f"No port from {first} on is free: give one with {option}")


def already_running(folder: Path) -> str | None:
    """Return what to say where a `./run` of this folder runs, None where none does."""
    try:
        with (folder / "var" / LOCK).open() as lock:
            return None if try_lock(lock, fcntl.LOCK_SH) else runs_already(folder, lock)
    except OSError:  # not there yet, or another user's, which is said later
        return None


def runs_already(folder: Path, lock: TextIO) -> str:
    """Return what to say to who starts another one; `lock` is the file that is held."""
    lock.seek(0)
    told = lock.read().splitlines()
    first = f"Livermore runs already from {folder}"
    if not told:
        return f"{first}, and is starting: it tells its address where it was started"
    return "\n".join([f"{first}: {told[0]}", *told[1:]])


def try_lock(lock: TextIO, how: int) -> bool:
    """Take a lock as long as the file is open; False where that would mean waiting."""
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def main(arguments: list[str]) -> None:
    """Raises SystemExit with a line for a person."""
    if {"-h", "--help", "--version"} & {*arguments}:
        return
    options = _parser().parse_args(arguments)
    try:
        given = Ports(options.port, options.serve_port, options.sandbox_port)
        check_distinct(given)
        if line := already_running(ROOT):
            sys.exit(f"Error: {line}")
        choose(given, sandbox_port(ROOT / "var"))
    except PortError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("./run up", add_help=False, allow_abbrev=False)
    add_arguments(parser)
    for option in ("--traceback", "--no-color", "--force-color", "--skip-checks"):  # Django's
        parser.add_argument(option, action="store_true", help=argparse.SUPPRESS)
    for names in (("-v", "--verbosity"), ("--settings",), ("--pythonpath",)):
        parser.add_argument(*names, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
