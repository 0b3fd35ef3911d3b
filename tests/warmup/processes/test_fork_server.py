"""Processes that are forked where nothing is open, and end with whoever let them be forked."""

import os
import resource
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.warmup.runners import ROOT, wait_until

PROGRAM = """
import contextlib, errno, os, signal, sys, time
fork = os.fork
def fork_if_there_is_room():
    if os.path.exists(sys.argv[1]):
        raise BlockingIOError(errno.EAGAIN, "no room")
    return fork()
os.fork = fork_if_there_is_room
from warmup.processes import fork_server
fork_server.GRACE_SECONDS = 0.5
from warmup.processes.fork_server import ForkServer

def target(end):
    what = end.recv(100)
    if what == b"talk":
        end.sendall(b"%d threads" % len(os.listdir("/proc/self/task")))
    elif what == b"wait":
        end.recv(1)
    elif what == b"hang":
        signal.pause()
    elif what == b"raise":
        sys.exit(7)

import threading
stdin_is_read = threading.Thread(target=threading.Event().wait, daemon=True).start()
server = ForkServer(target, "do without")
print(server._pid, flush=True)
sockets = []
notices = []
def wait_for(what, count=1):
    while sum(each[0] in what for each in notices) < count:
        notices.extend(server.notices())
for line in sys.stdin:
    name = line.strip()
    if name == "close":
        server.close()
        break
    sockets.append(server.fork())
    with contextlib.suppress(BrokenPipeError):  # nobody was forked
        sockets[-1].sendall(name.encode())
    if name == "talk":
        print(sockets[-1].recv(100).decode(), flush=True)
    if name in ("talk", "raise"):
        wait_for(b"e")
        print(notices[-1][2], flush=True)
    else:
        wait_for(b"fn", len(sockets))
        what, pid, number = notices[-1]
        print(pid or errno.errorcode[number], flush=True)
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts in /proc")


class Program:
    """A process with a fork server."""

    def __init__(self, no_room):
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, no_room],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # a line that has come and is not read yet must not be in a buffer of ours
            start_new_session=True,
        )
        self.server = int(self._process.stdout.readline())
        self.pid = self._process.pid

    def ask(self, what):
        self._process.stdin.write(f"{what}\n".encode())
        return self.line()

    def line(self):
        assert select.select([self._process.stdout], [], [], 20)[0]
        return self._process.stdout.readline().decode().strip()

    def close(self):
        self._process.stdin.write(b"close\n")
        return self._process.wait(10)

    def kill(self):
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def no_room(tmp_path):
    """Return the path of a file: as long as there is one nothing can be forked."""
    return tmp_path / "no-room"


@pytest.fixture
def program(no_room):
    program = Program(no_room)
    yield program
    program.kill()


def is_alive(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_what_is_forked_has_one_thread_and_how_it_ended_is_told(program):
    assert (program.ask("talk"), program.line()) == ("1 threads", "0")


def test_a_status_is_told(program):
    assert program.ask("raise") == "7"


def test_what_is_forked_ends_when_who_asked_for_it_is_killed(program):
    waits, hangs = int(program.ask("wait")), int(program.ask("hang"))
    assert is_alive(waits) and is_alive(hangs)
    os.kill(program.pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, (waits, hangs, program.server))))


def test_signals_to_the_whole_group_end_nothing_of_it_by_themselves(program):
    waits = int(program.ask("wait"))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(program.server, number)
    assert int(program.ask("wait")) != waits
    assert is_alive(program.server)


def test_one_that_could_not_be_forked_is_told_and_all_else_goes_on(program, no_room):
    waits = int(program.ask("wait"))
    no_room.touch()
    assert program.ask("wait") == "EAGAIN"
    no_room.unlink()
    assert (program.ask("talk"), program.line()) == ("1 threads", "0")
    assert is_alive(waits)


def test_one_whose_socket_found_no_room_is_told_and_all_else_goes_on(program):
    waits = int(program.ask("wait"))
    limits = resource.prlimit(program.server, resource.RLIMIT_NOFILE, (3, 3000))
    assert program.ask("wait") == "EMFILE"
    resource.prlimit(program.server, resource.RLIMIT_NOFILE, (min(limits[0], 3000), 3000))
    assert (program.ask("talk"), program.line()) == ("1 threads", "0")
    assert is_alive(waits)


def test_closing_kills_what_is_left_and_waits_for_it(program):
    hangs = int(program.ask("hang"))
    started = time.monotonic()
    assert program.close() == 0
    assert not is_alive(program.server)
    assert not is_alive(hangs)
    assert time.monotonic() - started < 5
