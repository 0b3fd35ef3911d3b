"""PostgreSQL behind a pooler that gives each transaction another connection."""

import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.fixtures.ports import free_port
from tests.livermore.databases import PostgresServer, manage, program
from tests.warmup.runners import wait_until

CONFIG = """
[databases]
* = host={folder} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
min_pool_size = 3
default_pool_size = 3
server_round_robin = 1
logfile = {own}/log
pidfile = {own}/pid
"""
PAGES = """
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from exchanges.models import Exchange
ada = get_user_model().objects.create_superuser("ada", password="correct horse")
with connection.cursor() as cursor:
    asked = set()
    for _ in range(6):
        cursor.execute("SELECT pg_backend_pid()")
        asked.add(cursor.fetchone()[0])
    print("servers", len(asked))
    zones = set()
    for _ in range(6):
        cursor.execute("SHOW TIME ZONE")
        zones.add(cursor.fetchone()[0])
    print("zones", *zones)
print("rows", len([each.name for each in Exchange.objects.iterator(chunk_size=1)]))
client = Client(headers={"host": "localhost"})
client.force_login(ada)
sandbox = Exchange.objects.get(name="sandbox").pk
for path in (
    "exchanges/exchange/", f"exchanges/exchange/{sandbox}/change/", "auth/user/add/", "network/",
):
    print("page", path, client.get(f"/admin/{path}").status_code)
"""


class Pooler:
    """pgbouncer in transaction mode, which hands its servers out in turn."""

    def __init__(self, folder):
        own = Path(tempfile.mkdtemp(prefix="pooler-", dir=folder))
        port = free_port()
        config = own / "pgbouncer.ini"
        config.write_text(CONFIG.format(folder=folder, port=port, own=own))
        as_user = {"user": "postgres"} if Path(folder).stat().st_uid else {}
        if as_user:
            for each in (own, config):
                subprocess.run(["chown", "postgres", str(each)], check=True)
        self.url = f"postgres://postgres@127.0.0.1:{port}/postgres"
        self._process = subprocess.Popen(
            [program("pgbouncer"), str(config)], cwd="/", stderr=subprocess.DEVNULL, **as_user
        )
        wait_until(lambda: _listens(port))

    def end(self):
        self._process.terminate()
        self._process.wait(timeout=20)


def _listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def pooler():
    program("pgbouncer")
    with tempfile.TemporaryDirectory(prefix="livermore-db-") as folder:
        server = PostgresServer(folder)
        try:
            made = Pooler(folder)
            try:
                yield made
            finally:
                made.end()
        finally:
            server.stop()


def test_everything_works_where_each_transaction_has_another_connection(pooler):
    done = manage(pooler.url, "migrate")
    assert done.returncode == 0, done.stderr
    done = manage(pooler.url, "shell", "--no-imports", "-c", PAGES)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "servers 1" not in lines  # so that the pooler did what it is here for
    assert "zones UTC" in lines
    pages = [line for line in lines if line.startswith("page ")]
    assert len(pages) == 4
    assert all(line.endswith(" 200") for line in pages), pages
