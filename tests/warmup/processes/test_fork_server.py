"""Processes that are forked where nothing is open, and end with whoever let them be forked."""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.warmup.runners import ROOT, wait_until

PROGRAM = """
import os, signal, sys, time
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
server = ForkServer(target)
print(server._pid, flush=True)
sockets = []
notices = []
def wait_for(what, count=1):
    while sum(each[0] == what for each in notices) < count:
        notices.extend(server.notices())
for line in sys.stdin:
    name = line.strip()
    if name == "close":
        server.close()
        break
    sockets.append(server.fork())
    sockets[-1].sendall(name.encode())
    if name == "talk":
        print(sockets[-1].recv(100).decode(), flush=True)
    if name in ("talk", "raise"):
        wait_for(b"e")
        print(notices[-1][2], flush=True)
    else:
        wait_for(b"f", len(sockets))
        print(notices[-1][1], flush=True)
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts in /proc")


class Program:
    """A process with a fork server."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.server = int(self._process.stdout.readline())
        self.pid = self._process.pid

    def ask(self, what):
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return self.line()

    def line(self):
        assert select.select([self._process.stdout], [], [], 20)[0]
        return self._process.stdout.readline().strip()

    def close(self):
        self._process.stdin.write("close\n")
        self._process.stdin.flush()
        return self._process.wait(10)

    def kill(self):
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def program():
    program = Program()
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


def test_closing_kills_what_is_left_and_waits_for_it(program):
    hangs = int(program.ask("hang"))
    started = time.monotonic()
    assert program.close() == 0
    assert not is_alive(program.server)
    assert not is_alive(hangs)
    assert time.monotonic() - started < 5
