"""The web server in a process of its own, and clients who speak to it byte by byte."""

import contextlib
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from django.conf import settings

from livermore.running.children import START_SECONDS, answers
from tests.fixtures.ports import free_port
from tests.warmup.runners import ROOT, database_url, wait_until

SERVE = """
import sys
from livermore.web import database_faults
from livermore.web.limits import requests
requests.TIMEOUTS = requests.Timeouts(*map(float, sys.argv[1].split(",")))
database_faults.SHORT_SECONDS = float(sys.argv[2])
from django.conf import settings
settings.STATICFILES_DIRS.append(("test", sys.argv[3]))
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "web", "--port", *sys.argv[4:]])
"""
USUAL = "10,20,60"
LARGE = "/static/test/large.js"
LARGE_BYTES = 5_000_000


class WebServer:
    """`manage.py web`, with a folder for temporary files that can be looked at.

    What is in its folder `static` it sends below /static/test/.
    """

    def __init__(
        self,
        folder,
        *arguments,
        timeout=USUAL,
        lock_seconds=5,
        descriptors=None,
        by_hand=False,
        **environment,
    ):
        self.folder = Path(folder)
        self.log = self.folder / "web.log"
        self.temporary = self.folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self.static = self.folder / "static"
        self.static.mkdir(exist_ok=True)
        self.port = free_port()
        given = (timeout, str(lock_seconds), str(self.static), str(self.port))
        self._command = ["-c", SERVE, *given, *arguments]
        if by_hand:
            self._command = ["-m", "daphne", "-p", str(self.port), "livermore.asgi:application"]
        self._descriptors = descriptors
        self._environment = environment

    def start(self):
        named = {
            "DATABASE_URL": database_url(),
            "DJANGO_SETTINGS_MODULE": "livermore.settings",
            "LIVERMORE_SECRET_KEY": settings.SECRET_KEY,
            "LIVERMORE_LOG_LEVEL": "INFO",
            "TMPDIR": str(self.temporary),
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self._command],
                env=os.environ | named | self._environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=self._limit,
            )
        live = f"http://127.0.0.1:{self.port}/health/live/"
        wait_until(lambda: self.process.poll() is not None or answers(live), START_SECONDS)
        assert self.process.poll() is None, self.words()
        return self

    def write_large(self):
        """Have a file to send that no socket's buffer holds, compressed or not."""
        text = random.Random(0).randbytes(LARGE_BYTES // 2).hex()
        (self.static / "large.js").write_text(text)
        return self

    def _limit(self):
        if self._descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, self._descriptors)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    def end(self, number=signal.SIGTERM):
        """Return its exit status."""
        self.process.send_signal(number)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def words(self):
        return self.log.read_text(errors="replace")

    def url(self, path, host="127.0.0.1"):
        return f"http://{host}:{self.port}{path}"

    def megabytes(self):
        """Return what it has in memory, and what its temporary files take."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        held = 0
        for descriptor in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if str(self.temporary) in str(descriptor.readlink()):
                    held += descriptor.stat().st_size
        return pages * resource.getpagesize() / 2**20, held / 2**20

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), 20)

    def ask(self, data):
        """Send bytes, and return all that comes back until the end."""
        with self.connect() as client:
            with contextlib.suppress(ConnectionError):
                client.sendall(data)
            return read_all(client)

    def get(self, path, *headers):
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
        return self.ask("\r\n".join([*lines, "", ""]).encode())


@contextlib.contextmanager
def web_server(*arguments, **options):
    with tempfile.TemporaryDirectory(prefix="livermore-web-") as folder:
        server = WebServer(folder, *arguments, **options).write_large().start()
        try:
            yield server
        finally:
            if server.process.poll() is None:
                server.end()


def read_all(client):
    """Return what a connection brings until its end, however it ends."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while data := client.recv(65536):
            found += data
    return found


def status(answer):
    """Return the status of an answer, None where there is none."""
    return int(answer.split()[1]) if answer.startswith(b"HTTP/1.1 ") else None


def seconds_until_closed(client, every, byte, limit=30):
    """Send a byte now and then until the other side has had enough; return after how long."""
    started = time.monotonic()
    client.settimeout(every)
    with contextlib.suppress(ConnectionError):
        while time.monotonic() - started < limit:
            with contextlib.suppress(TimeoutError):
                if not client.recv(65536):
                    break
            client.sendall(byte)
    return time.monotonic() - started
