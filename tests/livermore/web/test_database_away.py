"""Without its database: what the web server and the commands say, and that they recover."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings

from tests.livermore.databases import PostgresServer, SqliteFile, database, manage, run_python
from tests.livermore.web_server import status, web_server
from tests.warmup.runners import wait_until

AWAY = "The database is away: nothing can be read or changed now. Try again in a moment."
EVERY = [(kind, way) for kind in (SqliteFile, PostgresServer) for way in kind.ways]
NAMES = [f"{kind.__name__}-{way}" for kind, way in EVERY]


@pytest.fixture(scope="module")
def databases():
    """Return a database of each kind, made when it is asked for."""
    opened = {}

    def get(kind):
        if kind not in opened:
            manager = database(kind, settings.SECRET_KEY)
            opened[kind] = (manager, manager.__enter__())
        return opened[kind][1]

    yield get
    for manager, _ in opened.values():
        manager.__exit__(None, None, None)


@pytest.fixture(scope="module")
def webs(databases):
    opened = {}

    def get(kind):
        if kind not in opened:
            url = databases(kind).url + ("?connect_timeout=2" if kind is PostgresServer else "")
            manager = web_server(DATABASE_URL=url, lock_seconds=1)
            opened[kind] = (manager, manager.__enter__())
        return opened[kind][1]

    yield get
    for manager, _ in opened.values():
        manager.__exit__(None, None, None)


def body(answer):
    return answer.partition(b"\r\n\r\n")[2]


def as_json(answer):
    text = body(answer).decode()
    return json.loads(text[text.index("{") : text.rindex("}") + 1])


def at_once(web, paths, *headers):
    """Return each path with its answer, asked for together: each may wait for the database."""
    with ThreadPoolExecutor(len(paths)) as pool:
        return [*zip(paths, pool.map(lambda path: web.get(path, *headers), paths), strict=True)]


@pytest.mark.parametrize(("kind", "way"), EVERY, ids=NAMES)
def test_without_the_database_every_page_says_so_and_comes_back(databases, webs, kind, way):
    base, web = databases(kind), webs(kind)
    cookie = f"Cookie: sessionid={base.session}"
    pages = [
        "/admin/",
        "/admin/network/",
        f"/admin/network/{base.exchange_id}/symbols/",
        "/admin/exchanges/exchange/",
        f"/admin/exchanges/exchange/{base.exchange_id}/change/",
    ]
    for path in pages:
        assert status(web.get(path, cookie)) == 200, path
    with base.away(way):
        for path, answer in at_once(web, pages, cookie):
            assert (status(answer), AWAY in answer.decode()) == (503, True), path
            assert b"Retry-After: 10\r\n" in answer
        for path, answer in at_once(web, pages, cookie, "Accept: application/json"):
            assert as_json(answer) == {"ok": False, "text": AWAY}, path
        health = web.get("/health/")
        assert status(health) == 503
        assert {"database", "migrations"} & {*as_json(health)["failing"]}
        assert status(web.get("/health/live/")) == 200
    wait_until(lambda: status(web.get("/health/")) == 200)
    for path in pages:
        assert status(web.get(path, cookie)) == 200, path
    assert "Traceback" not in web.words()
    assert f"web.no_database path={pages[1]} error=" in web.words()


COMMANDS = [
    ("warmup", "sandbox"),
    ("warmup", "sandbox", "--plan"),
    ("repair", "sandbox"),
    ("backfill", "sandbox", "--symbols", "BTC-USD"),
    ("symbols", "sandbox"),
    ("stream", "sandbox", "--seconds", "1"),
    ("start", "sandbox"),
    ("indicators", "sandbox"),
    ("check_exchange", "sandbox"),
    ("migrate",),
    ("createsuperuser", "--username", "eve", "--email", "", "--no-input"),
    ("clearsessions",),
    ("showmigrations",),
]


# In one process: to start each takes longer than to find out. Output is taken where it is written.
IN_TURN = f"""
import json, os, sys, tempfile
import manage

def run(command):
    sys.argv = ["manage.py", *command]
    try:
        manage.main()
        return 0
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
            return 1
        return error.code or 0

told = []
before = os.dup(1), os.dup(2)
for command in {COMMANDS}:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
        status = run(command)
        sys.stdout.flush(), sys.stderr.flush()
        out.seek(0), err.seek(0)
        told.append((command, status, out.read().decode(), err.read().decode()))
os.dup2(before[0], 1), os.dup2(before[1], 2)
print(json.dumps(told))
"""


def says_so_in_a_line(command, status, out, err):
    said = [line for line in err.splitlines() if "WARNING" not in line]
    assert "Traceback" not in err + out
    if command[0] == "check_exchange":
        assert (status, "database" in out + err) == (1, True)
    else:
        assert (status, len(said)) == (1, 1), (command, out, err)
        assert said[0].startswith("Error: The database ")


def test_without_the_database_each_command_says_so_in_a_line(databases):
    base = databases(PostgresServer)
    with base.away("refused"):
        done = run_python(base.url, "-c", IN_TURN)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [tuple(command) for command, *_ in told] == COMMANDS
    for each in told:
        says_so_in_a_line(*each)


@pytest.mark.parametrize("way", ["a folder", "garbage"])
def test_without_its_file_a_command_says_so_in_a_line(databases, way):
    base, command = databases(SqliteFile), ("warmup", "sandbox")
    with base.away(way):
        done = manage(base.url, *command)
    says_so_in_a_line(command, done.returncode, done.stdout, done.stderr)
