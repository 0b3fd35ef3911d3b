"""Look at what `./run` needs for itself, its folder and two ports, before anything is installed.

    python3 -I livermore/running/preflight.py [--port PORT] [--sandbox-port PORT]

Called by `./run` with whatever Python the machine has, so it uses the standard library alone.
"""

import argparse
import errno
import fcntl
import socket
import sys
from collections.abc import Container
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parents[2]
LOCK = "up.lock"  # below var/, held by the `./run` that runs: it says in there where it is
SANDBOX_FILE = "sandbox-port"  # below var/, where the sandbox was at the last start
WEB_PORT = 8000
SANDBOX_PORT = 8899
PORTS_TRIED = 100


class PortError(Exception):
    """A port can't be had; the text says which and what to do, `status` is that of the command."""

    status = 1


class SamePort(PortError):
    """One port was given for both."""

    status = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port",
        type=port,
        metavar="PORT",
        help=f"of the web server (default: the first free one from {WEB_PORT} on)",
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
    if text.isascii() and text.isdigit() and 0 < int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is not a port: give a number from 1 to 65535")


def choose(
    web: int | None, sandbox: int | None, usual_sandbox: int = SANDBOX_PORT
) -> tuple[int, int]:
    """Return both ports: what was given, else the first free one from the usual one on.

    Raises PortError where a given one can't be used, or none is free.
    """
    check_distinct(web, sandbox)
    for given, whose, option in (
        (web, "", "--port"),
        (sandbox, ", the sandbox's,", "--sandbox-port"),
    ):
        if given and (reason := why_not_free(given)):
            raise PortError(f"Port {given}{whose} {reason}: give another {option}, or none")
    web = web or _first_free(WEB_PORT, {sandbox or usual_sandbox}, "--port")
    return web, sandbox or _first_free(usual_sandbox, {web}, "--sandbox-port")


def check_distinct(web: int | None, sandbox: int | None) -> None:
    """Raise SamePort where one port was given for both."""
    if web and web == sandbox:
        raise SamePort(f"--port and --sandbox-port are both {web}: give two")


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


def _first_free(first: int, taken: Container[int], option: str) -> int:
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
        check_distinct(options.port, options.sandbox_port)
        if line := already_running(ROOT):
            sys.exit(f"Error: {line}")
        choose(options.port, options.sandbox_port, sandbox_port(ROOT / "var"))
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
