"""The forms of DATABASE_URL that docs/settings.md names, on a PostgreSQL at another port."""

import re
import subprocess
import tempfile

import pytest

from tests.fixtures.ports import free_port
from tests.livermore.databases import PostgresServer, manage, program
from tests.warmup.runners import ROOT

TEXT = (ROOT / "docs/settings.md").read_text()
ASK = """
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT current_setting('port'), current_user, current_database()")
    print(*cursor.fetchone())
"""


class ElsewhereServer(PostgresServer):
    """On a socket and on TCP, both at a port of its own."""

    def __init__(self, folder):
        self.port = free_port()
        super().__init__(folder)

    def start(self):
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 "
            f"-c unix_socket_directories={self._folder} -c fsync=off"
        )
        arguments = ["-D", str(self._folder / "data"), "-l", str(self._folder / "log")]
        subprocess.run(
            [program("pg_ctl"), *arguments, "-w", "-o", options, "start"],
            **self._options | {"capture_output": False, "stdout": subprocess.DEVNULL},
        )


@pytest.fixture(scope="module")
def server():
    with tempfile.TemporaryDirectory(prefix="livermore-db-") as folder:
        made = ElsewhereServer(folder)
        try:
            made.folder = folder
            yield made
        finally:
            made.stop()


@pytest.mark.parametrize(
    ("documented", "form"),
    [
        (
            "postgres://user:password@host:5433/name",
            "postgres://postgres:p%40ss%23@127.0.0.1:{port}/postgres",
        ),
        (
            "postgres:///name?host=/var/run/postgresql&port=5433",
            "postgres://postgres@/postgres?host={folder}&port={port}",
        ),
        (
            "postgres:///name?host=/var/run/postgresql&port=5433",
            "postgres:///postgres?host={folder}&port={port}&user=postgres",
        ),
    ],
)
def test_a_database_at_another_port_or_socket_is_found(server, documented, form):
    assert f"`{documented}`" in TEXT
    url = form.format(port=server.port, folder=server.folder)
    done = manage(url, "shell", "--no-imports", "-c", ASK)
    assert done.stdout.split()[-3:] == [str(server.port), "postgres", "postgres"], done.stderr


def test_without_the_port_the_usual_one_is_asked_and_the_line_says_so(server):
    done = manage(f"postgres://postgres@/postgres?host={server.folder}", "warmup", "sandbox")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert re.search(r"Error: The database does not work: .*5432", done.stderr)


def test_a_server_without_tls_is_refused_where_it_is_wanted(server):
    assert "`…/name?sslmode=verify-full&sslrootcert=/path/ca.pem`" in TEXT
    url = f"postgres://postgres@127.0.0.1:{server.port}/postgres?sslmode=require"
    done = manage(url, "warmup", "sandbox")
    assert done.returncode == 1
    assert re.search(r"Error: The database does not work: .*SSL", done.stderr)
