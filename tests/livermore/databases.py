"""Databases of a test's own, that can be taken away from whoever works on them."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.warmup.runners import ROOT

FILL = """
import django; django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.contrib.auth import get_user_model
from django.test import Client
ada = get_user_model().objects.create_superuser("ada", password="correct horse")
from exchanges.models import Exchange
sandbox = Exchange.objects.get(name="sandbox")
sandbox.symbols.create(symbol="BTC-USD", native_symbol="BTCUSD", base="BTC", quote="USD")
client = Client()
client.force_login(ada)
print(client.cookies["sessionid"].value, sandbox.pk)
"""


def manage(url, *arguments, **changes):
    """Run a command on a database."""
    return run_python(url, "manage.py", *arguments, **changes)


def run_python(url, *arguments, **changes):
    """Run a program that works on a database."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"DATABASE_URL": url} | changes,
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90,
    )  # fmt: skip


class Database:
    """One that is migrated, with the superuser ada and a session of hers."""

    url = ""

    def fill(self, key):
        own = {"DJANGO_SETTINGS_MODULE": "livermore.settings", "LIVERMORE_SECRET_KEY": key}
        done = run_python(self.url, "-c", FILL, **own)
        assert done.returncode == 0, done.stderr
        self.session, self.exchange_id = done.stdout.split()[-2:]
        return self


class SqliteFile(Database):
    """A file."""

    ways = ("locked", "missing", "a folder", "garbage")

    def __init__(self, folder):
        self.path = Path(folder) / "database.sqlite3"
        self.url = f"sqlite:///{self.path}"

    @contextlib.contextmanager
    def away(self, way):
        if way == "locked":
            with contextlib.closing(sqlite3.connect(self.path, timeout=20)) as other:
                other.execute("PRAGMA locking_mode=EXCLUSIVE")
                other.execute("BEGIN EXCLUSIVE")
                yield
                other.rollback()
            return
        kept = self.path.with_name("kept")
        self.path.rename(kept)
        if way == "a folder":
            self.path.mkdir()
        elif way == "garbage":
            self.path.write_bytes(b"garbage " * 4096)
        try:
            yield
        finally:
            for each in self.path.parent.glob("database.sqlite3*"):
                shutil.rmtree(each) if each.is_dir() else each.unlink()
            kept.rename(self.path)


class PostgresServer(Database):
    """A server of its own, without a password, on a socket in a folder."""

    ways = ("refused", "silent")

    def __init__(self, folder):
        self._folder = Path(folder)
        self.url = f"postgres://postgres@/{folder}/postgres"
        owner = {"user": "postgres"} if os.geteuid() == 0 else {}
        if owner:
            shutil.chown(folder, "postgres")
        self._options = {"check": True, "capture_output": True, "cwd": "/", **owner}
        data = str(self._folder / "data")
        self._run("initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-locale", "-EUTF8")
        self.start()

    def start(self):
        options = f"-c listen_addresses= -c unix_socket_directories={self._folder} -c fsync=off"
        log = str(self._folder / "log")
        data = str(self._folder / "data")
        subprocess.run(
            [program("pg_ctl"), "-D", data, "-l", log, "-w", "-o", options, "start"],
            **self._options | {"capture_output": False, "stdout": subprocess.DEVNULL},
        )

    def stop(self):
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "-w", "stop")

    @contextlib.contextmanager
    def away(self, way):
        if way == "refused":
            self.stop()
            yield
            self.start()
            return
        processes = self._processes()
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                with contextlib.suppress(ProcessLookupError):  # it was about to end
                    os.kill(process, signal.SIGCONT)

    def _processes(self):
        main = int((self._folder / "data/postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        return [main, *map(int, children)]

    def _run(self, name, *arguments):
        subprocess.run([program(name), *arguments], **self._options)


def program(name):
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin") or next(
        map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), None
    )
    if found is None:
        pytest.skip(f"there is no {name} here")
    return found


@contextlib.contextmanager
def database(kind, key):
    with tempfile.TemporaryDirectory(prefix="livermore-db-") as folder:
        made = kind(folder)
        try:
            yield made.fill(key)
        finally:
            if kind is PostgresServer:
                made.stop()
