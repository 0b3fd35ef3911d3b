import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis as redis_client
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError, ProgrammingError

from exchanges.errors import Unreachable
from livermore.command import LivermoreCommand, UsageError, url_without_password

ROOT = Path(__file__).resolve().parents[2]
RUNNER = """
import sys, time, django
django.setup()
from django.core.management.base import CommandError
from django.db import OperationalError
from livermore.command import LivermoreCommand, UsageError
from exchanges.errors import Unreachable
import redis
class Command(LivermoreCommand):
    requires_system_checks = []
    def handle(self, **options):
        try:
            {body}
        finally:
            print("cleaned up", flush=True)
Command().run_from_argv(["manage.py", "try", *sys.argv[1:]])
"""
SLEEP = 'print("ready", flush=True); time.sleep(60)'
# What is raised in the callback of a weak reference goes nowhere.
SLEEP_IN_A_CALLBACK = f"""
            import weakref
            def called(_):
                {SLEEP}
            class Thing: pass
            thing = Thing()
            reference = weakref.ref(thing, called)
            del thing
            time.sleep(60)
"""
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


def start(body, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", RUNNER.replace("{body}", body), *arguments],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "livermore.settings"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def raising(error):
    class Command(LivermoreCommand):
        requires_system_checks = []

        def handle(self, **options):
            raise error

    return Command()


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (Unreachable("api.x.com did not answer"), 1, "Error: api.x.com did not answer\n"),
        (UsageError("unknown: XX"), 2, "Error: unknown: XX\n"),
        (CommandError("no"), 1, "Error: no\n"),
    ],
)
def test_an_error_is_one_line_and_a_status(capsys, error, status, line):
    with pytest.raises(SystemExit) as ended:
        raising(error).run_from_argv(["manage.py", "try"])
    assert (ended.value.code, *capsys.readouterr()) == (status, "", line)


def test_traceback_shows_where_it_came_from():
    status, said, err = finish(start("raise Unreachable('far')", "--traceback"))
    assert (status, said) == (1, "cleaned up\n")
    assert "Traceback" in err


def test_a_mistake_of_ours_keeps_its_traceback():
    status, _, err = finish(start("1 / 0"))
    assert status == 1
    assert "ZeroDivisionError" in err


@pytest.mark.parametrize(("number", "status"), SIGNALS)
@pytest.mark.parametrize("body", [SLEEP, SLEEP_IN_A_CALLBACK], ids=["usual", "in a callback"])
def test_a_signal_runs_what_cleans_up_and_shows_in_the_status(number, status, body):
    process = start(body)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert finish(process) == (status, "cleaned up\n", "")


def test_the_embedded_server_runs_around_a_command(tmp_path):
    settings = tmp_path / "own_settings.py"
    settings.write_text(
        "from pathlib import Path\n"
        "from livermore.settings import *\n"
        "from livermore.running.embedded_redis import socket_url\n"
        f"EMBEDDED_REDIS_DIR = Path({str(tmp_path / 'valkey')!r})\n"
        "REDIS_URL = socket_url(EMBEDDED_REDIS_DIR)\n"
    )
    body = "import django.conf as c; print(redis.Redis.from_url(c.settings.REDIS_URL).ping())"
    environment = {"DJANGO_SETTINGS_MODULE": "own_settings", "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    assert finish(start(body, **environment)) == (0, "True\ncleaned up\n", "")
    assert not (tmp_path / "valkey" / "server.sock").exists()


def test_redis_that_is_gone_is_one_line_without_its_password(settings):
    settings.REDIS_URL = "redis://user:secret@127.0.0.1:1/0"
    with pytest.raises(CommandError, match=r"is gone.*correct REDIS_URL") as error:
        call_command(raising(redis_client.ConnectionError("refused")))
    assert "secret" not in str(error.value)
    assert error.value.returncode == 1


def test_a_refused_password_is_not_called_gone(settings):
    with pytest.raises(CommandError, match="refuses: invalid password"):
        call_command(raising(redis_client.AuthenticationError("invalid password")))


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("no such table: exchanges"),
        ProgrammingError('relation "exchanges" does not exist\nLINE 1: SELECT'),
    ],
)
def test_a_database_without_tables_says_migrate(error):
    with pytest.raises(CommandError, match=r"\./run migrate"):
        call_command(raising(error))


def test_a_wrong_query_is_no_business_of_the_person():
    with pytest.raises(ProgrammingError):
        call_command(raising(ProgrammingError("syntax error")))


def test_called_from_code_errors_are_command_errors():
    with pytest.raises(CommandError, match="far") as error:
        call_command(raising(Unreachable("far")))
    assert error.value.returncode == 1
    with pytest.raises(UsageError) as error:
        call_command(raising(UsageError("typed wrong")))
    assert error.value.returncode == 2


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@host:6379/0", "redis://:***@host:6379/0"),
        ("redis://host/1", "redis://host/1"),
        ("redis+sentinel://u:secret@h1:1,h2:2/m/0", "redis+sentinel://u:***@h1:1,h2:2/m/0"),
        (
            "redis+sentinel://h1/m?sentinel_password=se",
            "redis+sentinel://h1/m?sentinel_password=***",
        ),
        ("unix:///a/b.sock?db=0", "unix:///a/b.sock?db=0"),
    ],
)
def test_a_shown_url_has_no_password(url, shown):
    assert url_without_password(url) == shown
