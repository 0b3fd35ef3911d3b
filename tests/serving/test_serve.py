"""`manage.py serve` as a process: how it begins, and how it ends."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress

import pytest
import requests
from django.core.management import CommandError, call_command

from tests.fixtures.ports import free_port
from tests.fixtures.redis_server import Server
from tests.serving.together.test_processes import health, serving
from tests.warmup.runners import ROOT, database_url, processes, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

WRONG = {
    ("--host", ""): "'' is no address",
    ("--host", "a" * 300): "is no address",
    ("--host", "127.0.0.1 "): "is no address",
    ("--host", "ad\ndress"): "is no address",
    ("--host", "b\u00fccher"): "is no address",
    ("--host", "a..b"): "is no address",
    ("--port", "0"): "0 is not a port",
    ("--port", "65536"): "65536 is not a port",
    ("--port", "9" * 5000): "is not a port",
    ("--port", "-1"): "-1 is not a port",
    ("--port", "\u0663"): "is not a port",
    ("--port", "8010.0"): "is not a port",
    ("--workers", "0000000011500"): "is no number from 1 to 64",
    ("--workers", "1" * 5000): "is no number from 1 to 64",
    ("--workers", "2.0"): "is no number from 1 to 64",
    ("more",): "unrecognized arguments",
}


def begun(process):
    line = process.stdout.readline()
    assert "Serving candles" in line, process.communicate()
    return re.search(r"http://[^/]+", line)[0]


def test_what_is_typed_wrongly_is_one_line():
    for words, why in WRONG.items():
        with pytest.raises(CommandError) as raised:
            call_command("serve", *words)
        text = str(raised.value)
        assert why in text and "\n" not in text and len(text) < 300, text


def test_the_address_that_it_prints_is_one():
    port = free_port()
    with processes() as manage:
        process = manage("serve", "--host", "[::1]", "--port", str(port))
        url = begun(process)
        assert url == f"http://[::1]:{port}"
        assert health(url) == 200


def test_one_that_shall_outlive_its_terminal_does(redis):
    port = free_port()
    ignoring = "import signal, os, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
    start = "os.execv(sys.executable, [sys.executable, '-u', 'manage.py', *sys.argv[1:]])"
    with processes() as manage:
        process = manage("serve", "--port", str(port), code=ignoring + start)
        url = begun(process)
        process.send_signal(signal.SIGHUP)
        assert health(url) == health(url) == 200
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "")


ENDS = [("1", signal.SIGINT), ("1", signal.SIGHUP), ("2", signal.SIGINT), ("2", signal.SIGTERM)]


@contextmanager
def in_group_of_its_own(workers):
    """Start one that is ended as a terminal ends what runs in it: all of its processes."""
    options = ("--port", str(free_port()), "--workers", workers)
    process = subprocess.Popen(
        [sys.executable, "-u", "manage.py", "serve", *options],
        env=os.environ | {"DATABASE_URL": database_url()},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_it_ends_in_order_however_often_it_is_told(redis):
    with ExitStack() as stack:
        started = [stack.enter_context(in_group_of_its_own(workers)) for workers, _ in ENDS]
        for process, (_, how) in zip(started, ENDS, strict=True):
            events = f"{begun(process)}/v1/events?exchange=sandbox"
            held = requests.get(events, stream=True, timeout=20)
            with suppress(ProcessLookupError):
                while process.poll() is None:
                    os.killpg(process.pid, how)
                    time.sleep(0.01)
            out, err = process.communicate(timeout=30)
            assert (process.returncode, out, err) == (0, "", ""), how
            assert b"event: close" not in b"".join(held.iter_content(None))  # it has an end


CRASHING = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "livermore.settings"
import django
django.setup()
from django.core.management import execute_from_command_line
from serving.management.commands import serve
def make_server(*args):
    raise OSError(5, "it can't be")
serve.make_server = make_server
execute_from_command_line(["manage.py", *sys.argv[1:]])
"""


def test_processes_that_end_at_once_are_begun_ever_more_rarely(redis):
    with processes() as manage:
        process = manage("serve", "--port", str(free_port()), "--workers", "2", code=CRASHING)
        waits = []
        while len(waits) < 6:
            if found := re.search(r"serving.process_died.* again_in=([0-9.]+)", line(process)):
                waits.append(float(found[1]))
        assert sorted(waits) == [0.2, 0.2, 0.4, 0.4, 0.8, 0.8]
        process.terminate()
        assert process.wait(20) == 0


def test_where_there_is_no_room_for_another_process_the_others_serve_on(redis):
    with processes() as manage:
        port = free_port()
        process = manage("serve", "--port", str(port), "--workers", "2")
        assert "Serving candles" in process.stdout.readline()
        files = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (4, files[1]))
        first, second = serving(process)
        os.kill(first, signal.SIGKILL)
        assert "serving.process_died number=1 how=signal 9" in line(process)
        for _ in range(2):
            found = line(process)
            assert "serving.process_died number=1 how=not forked: no socket to another" in found
        assert serving(process) == [second]
        wait_until(lambda: health(f"http://127.0.0.1:{port}") == 200)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, files)
        wait_until(lambda: len(serving(process)) == 2)
        process.terminate()
        assert process.wait(20) == 0


def test_where_not_even_the_process_that_forks_them_has_room_it_says_so(redis):
    with processes() as manage:
        words = ("--port", str(free_port()), "--workers", "2")
        process = manage("serve", *words, code=CROWDED)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 1
        assert err.startswith("Error: there is no room for the process that forks others; make")
        assert err.count("\n") == 1 and "--workers 1" in err


CROWDED = """
import errno, os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "livermore.settings"
from django.core.management import execute_from_command_line
def fork():
    raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
os.fork = fork
execute_from_command_line(["manage.py", *sys.argv[1:]])
"""


def line(process):
    found = process.stderr.readline()
    assert found and "Traceback" not in found, process.communicate()
    return found


def test_it_begins_without_redis_and_serves_once_that_is_there(tmp_path, monkeypatch):
    server = Server(tmp_path)
    server.kill()
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{server.port}/0")
    with processes() as manage:
        process = manage("serve", "--port", str(free_port()))
        url = begun(process)
        found = requests.get(f"{url}/health/", timeout=10)
        assert (found.status_code, found.json()["failing"]) == (503, "redis")
        asked = f"{url}/sandbox/api/v3/time"
        assert requests.get(asked, timeout=20).status_code == 503
        server.start()
        try:
            wait_until(lambda: health(url) == 200)
            wait_until(lambda: requests.get(asked, timeout=20).status_code == 200)
            process.terminate()
            assert process.wait(20) == 0
        finally:
            server.close()
