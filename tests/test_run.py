"""`./run` as a person uses it: in a copy of this checkout, with processes and ports of its own."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode

import pytest
import redis as redis_client
import yaml

from livermore.command_line import CommandLine
from livermore.running.embedded_redis import socket_url
from tests.fixtures.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "var", ".*_cache", ".hypothesis", "tests")
READY = "Ctrl-C ends everything."
SANDBOX = "Sandbox exchange: "  # when all ports are chosen, and the web server is to start
OWN_SETTINGS = ("REDIS_URL", "DATABASE_URL", "DJANGO_SETTINGS_MODULE")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A copy of this checkout's files, to be linked to.

    What Python has compiled is copied too: each checkout would compile it anew.
    """
    return shutil.copytree(ROOT, tmp_path_factory.mktemp("files") / "all", ignore=LEFT_OUT)


@pytest.fixture
def checkout(files, tmp_path):
    """A checkout that never ran, in a folder with a space, its packages installed."""
    return make_checkout(files, tmp_path)


@pytest.fixture(scope="module")
def used(files, tmp_path_factory):
    """One that may have run before, as nobody begins anew each time."""
    return make_checkout(files, tmp_path_factory.mktemp("used"))


def make_checkout(files, folder):
    found = shutil.copytree(files, folder / "a copy", copy_function=os.link)
    (found / ".venv").symlink_to(sys.prefix)
    return found


def rewrite(path, text):
    """Let a checkout have a file of its own in place of one that others have too."""
    path.unlink()
    path.write_text(text)


@pytest.fixture
def up():
    """Return what starts a checkout, and waits until it has said `until`."""
    started = []

    def start(checkout, *arguments, until=READY):
        ports = () if "--serve-port" in arguments else ("--serve-port", str(free_port()))
        process = run(checkout, "up", *ports, *arguments, start_new_session=True)
        started.append(process)
        lines = []
        for line in process.stdout:
            lines.append(line)
            if until in line:
                return process, "".join(lines)
        raise AssertionError("".join(lines))

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.wait(30)
        process.stdout.close()


def run(checkout, *arguments, script=None, **options):
    options.setdefault("env", environment())
    return subprocess.Popen(
        [script or checkout / "run", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def environment():
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LIVERMORE_")}
    return {name: value for name, value in kept.items() if name not in OWN_SETTINGS}


def finish(process):
    out, _ = process.communicate(timeout=60)
    return process.returncode, out


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def command_lines(folder):
    """Return what still runs from this folder, on Linux; nothing elsewhere."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in text:
            found.append(text)
    return found


def assert_nothing_is_left(checkout, *ports):
    deadline = time.monotonic() + 5
    while command_lines(checkout) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert command_lines(checkout) == []
    assert not any(is_listening(port) for port in ports)
    with (checkout / "var/valkey/server.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def kill_redis_and_wait_for_the_next(checkout):
    killed = (checkout / "var/valkey/server.lock").read_text()
    os.kill(int(killed), signal.SIGKILL)
    deadline = time.monotonic() + 15
    with redis_client.Redis.from_url(socket_url(checkout / "var/valkey")) as client:
        while time.monotonic() < deadline:
            with contextlib.suppress(redis_client.ConnectionError):
                if client.ping() and (checkout / "var/valkey/server.lock").read_text() != killed:
                    return
            time.sleep(0.05)
    raise AssertionError("the embedded Redis was not started again")


def wait_until(is_so, seconds=60):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_live(port):
    """Tell whether the web server answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live/") as answer:
            return json.load(answer)["live"]
    except OSError:
        return False


def candle_calls(port):
    """Return how many candle requests the sandbox has served."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/sandbox/requests") as answer:
        return len(json.load(answer)["log"])


def log_in(port, password):
    """Return the page that follows the log-in form."""
    login = f"http://127.0.0.1:{port}/admin/login/?next=/admin/"
    cookies = CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
    browser.open(login).close()
    token = next(cookie.value for cookie in cookies if cookie.name == "csrftoken")
    form = {"username": "admin", "password": password, "csrfmiddlewaretoken": token}
    with browser.open(login, urlencode(form).encode()) as page:
        return page.read().decode()


def assert_candles_are_served(port, said):
    (address,) = re.findall(r"^Candles for programs: (\S+) ", said, re.M)
    assert address == f"http://127.0.0.1:{port}/sandbox/api/v3/"
    with urllib.request.urlopen(f"{address}klines?symbol=BTCUSD&interval=1h&limit=50") as answer:
        rows = json.load(answer)
    assert 49 <= len(rows) <= 50
    assert len(rows[0]) == 12


def assert_others_tell_where_it_is(checkout, web):
    """Start others beside the one that runs, which install nothing and change nothing."""
    rewrite(checkout / "livermore/running/install.py", "raise SystemExit('it installs')")
    for others in ([], ["--port", "1"], ["up"]):
        status, said = finish(run(checkout, *others))
        assert status == 1
        assert said == (
            f"Error: Livermore runs already from {checkout}: http://127.0.0.1:{web}/\n"
            f"Log in as admin: password in {checkout}/var/admin-password\n"
        )
    assert is_listening(web)


def test_the_first_run_warms_and_serves_and_the_second_asks_for_nothing(checkout, up):
    web, sandbox, serve = free_port(), free_port(), free_port()

    ports = ("--port", web, "--sandbox-port", sandbox, "--serve-port", serve)
    process, said = up(checkout, *map(str, ports))
    assert f"http://127.0.0.1:{web}/" in said
    assert_candles_are_served(serve, said)
    password = re.search(r"password (\S+) \(kept", said)[1]
    assert "Log out" in log_in(web, password)
    kept = checkout / "var/admin-password"
    assert (kept.read_text().strip(), kept.stat().st_mode & 0o777) == (password, 0o600)
    assert (checkout / "var").stat().st_mode & 0o777 == 0o700
    with redis_client.Redis.from_url(socket_url(checkout / "var/valkey")) as client:
        keys = list(client.scan_iter("candles:*", count=1000))
        assert keys
        assert all(client.zcard(key) >= 60 for key in keys)
        wait_until(lambda: client.exists("alerts:turn"))  # somebody looks whether all is well
    assert candle_calls(sandbox) > 0
    os.killpg(process.pid, signal.SIGINT)  # what the terminal does on Ctrl-C
    assert process.wait(30) == 0
    assert_nothing_is_left(checkout, web, sandbox)

    process, said = up(checkout, "--port", str(web))
    assert password not in said
    assert "var/admin-password" in said
    assert candle_calls(sandbox) == 0
    assert "Log out" in log_in(web, password)
    assert_others_tell_where_it_is(checkout, web)
    process.terminate()
    assert process.wait(30) == 0
    assert_nothing_is_left(checkout, web, sandbox)


def test_nothing_outlives_a_run_that_was_killed(used, up):
    web, sandbox = free_port(), free_port()
    process, _ = up(used, "--port", str(web), "--sandbox-port", str(sandbox))
    kill_redis_and_wait_for_the_next(used)
    process.kill()
    process.wait()
    assert_nothing_is_left(used, web, sandbox)


def test_a_second_run_beside_one_that_starts_says_that(checkout):
    (checkout / "var").mkdir()
    with (checkout / "var/up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        status, said = finish(run(checkout))
    assert status == 1
    assert said.startswith(f"Error: Livermore runs already from {checkout}, and is starting")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "whose"),
    [
        ("--port", ""),
        ("--serve-port", ", that candles are served at,"),
        ("--sandbox-port", ", the sandbox's,"),
    ],
)
def test_a_given_port_that_is_taken_is_one_line_before_anything_is_installed(
    checkout, option, whose
):
    (checkout / ".venv").unlink()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, said = finish(run(checkout, "up", option, str(port)))
    assert status == 1
    assert said.startswith(f"Error: Port {port}{whose} is in use by another program")
    assert said.count("\n") == 1
    assert not (checkout / ".venv").exists()
    assert not (checkout / "var").exists()


@pytest.mark.parametrize("port", ["zero", "0", "65536", "-1"])
def test_what_is_no_port_is_said_before_anything_is_installed(checkout, port):
    (checkout / ".venv").unlink()
    status, said = finish(run(checkout, f"--sandbox-port={port}"))
    assert status == 2
    assert f"{port} is not a port" in said
    assert not (checkout / ".venv").exists()


def test_one_port_for_both_is_refused(checkout):
    port = str(free_port())
    status, said = finish(run(checkout, "--port", port, "--sandbox-port", port))
    assert (status, said) == (2, f"Error: --port and --sandbox-port are both {port}: give two\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--bogus"], "--bogus"),
        (["up", "extra"], "extra"),
        (["--port", "8500", "--sandbox-port", "8500"], "both 8500"),
    ],
)
@pytest.mark.parametrize("one_runs", [False, True])
def test_a_wrong_call_is_said_first_whether_one_runs_or_not(checkout, arguments, told, one_runs):
    (checkout / ".venv").unlink()
    (checkout / "var").mkdir()
    with (checkout / "var/up.lock").open("w") as lock:
        if one_runs:
            fcntl.flock(lock, fcntl.LOCK_EX)
        status, said = finish(run(checkout, *arguments))
    assert status == 2
    assert told in said and "runs already" not in said
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["exchang"], "unknown command 'exchang'; similar are: exchange"),
        (["help", "nosuch"], "check_exchange"),
        (["exchange", "--bogus"], "--bogus; `./run help exchange` tells"),
    ],
)
def test_a_wrong_call_of_a_command_is_one_line_and_2(checkout, arguments, told):
    assert_one_line(*finish(run(checkout, *arguments)), told)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["tests"], "similar are: test"),
        (["help", "warmupp"], "unknown command 'warmupp'; similar are: warmup"),
        (["nosuch"], "check_exchange"),
        (["warmup"], "exchange; `./run help warmup` tells"),
    ],
)
def test_the_program_that_run_passes_it_to_says_so(capsys, arguments, told):
    with pytest.raises(SystemExit) as ended:
        CommandLine(["manage.py", *arguments]).execute()
    assert_one_line(ended.value.code, "".join(capsys.readouterr()), told)


def assert_one_line(status, said, told):
    assert status == 2
    assert told in said and "./run help" in said and "manage.py" not in said
    assert said.count("\n") == 1


def test_both_ports_move_by_themselves_where_they_are_taken(checkout, up):
    with taken(8000), taken(8899):
        process, said = up(checkout)
        (line,) = re.findall(r"^Port 8000 .*$", said, re.M)
        moved = re.fullmatch(
            r"Port 8000 is taken: the page goes to (\d+)\. "
            r"Port 8899 is taken: the sandbox goes to (\d+)\.",
            line,
        )
        web, sandbox = map(int, moved.groups())
        assert f"Open http://127.0.0.1:{web}/" in said
        assert f"Sandbox exchange: http://127.0.0.1:{sandbox}" in said
        assert candle_calls(sandbox) > 0
        process.terminate()
        assert process.wait(30) == 0
    with taken(web), taken(sandbox):  # nothing moves where one of both can not be had
        status, _ = finish(run(checkout, "--port", str(web)))
    assert status == 1
    _, said = up(checkout, "--port", str(web), until=SANDBOX)
    assert f"{SANDBOX}http://127.0.0.1:{sandbox}\n" in said
    assert (checkout / "var/sandbox-port").read_text() == f"{sandbox}\n"


@contextlib.contextmanager
def taken(port):
    """Have a port in use, by us or by whoever has it."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            stack.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


@pytest.mark.parametrize("streams", ["< /dev/null > said 2>&1", "<&- > said 2>&1", "<&- >&- 2>&-"])
def test_it_runs_in_the_background_until_it_is_told_to_end(used, streams):
    web, sandbox = free_port(), free_port()
    options = f"--port {web} --sandbox-port {sandbox}"
    shell = subprocess.Popen(
        ["sh", "-c", f'nohup ./run {options} {streams} & echo $!; wait $!; echo "status $?"'],
        cwd=used,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    with shell:
        process = int(shell.stdout.readline())
        try:
            wait_until(lambda: is_live(web))
            os.kill(process, signal.SIGINT)
            os.kill(process, signal.SIGHUP)
            if "said" in streams:
                end = f"kill {process} ends everything."
                wait_until(lambda: end in (used / "said").read_text())
            assert is_live(web)
        finally:
            os.kill(process, signal.SIGTERM)
        # One that says nothing may be told to end while it still warms.
        assert shell.stdout.read() in ("status 0\n", "status 143\n")
    assert_nothing_is_left(used, web, sandbox)


def test_it_works_through_a_link_from_elsewhere_and_passes_the_status_on(checkout, tmp_path):
    link = tmp_path / "livermore link"
    link.symlink_to("a copy/run")
    process = run(checkout, "up", "--port", "zero", script=link, cwd="/")
    status, said = finish(process)
    assert status == 2
    assert "zero is not a port" in said


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["history", "--follow"], "requirements-history.txt"),
        (["audit", "sandbox"], "requirements-history.txt"),
        (["candles", "sandbox", "BTC-USD", "1h", "--parquet", "F"], "requirements-history.txt"),
        (["candles", "sandbox", "BTC-USD", "1h"], "requirements.txt"),
        (["warmup", "sandbox"], "requirements.txt"),
    ],
)
def test_what_a_command_needs_is_installed_when_it_is_called(tmp_path, arguments, file):
    (tmp_path / "livermore/running").mkdir(parents=True)
    install = "import sys; sys.exit('installs ' + sys.argv[1])"
    (tmp_path / "livermore/running/install.py").write_text(install)
    shutil.copy(ROOT / "run", tmp_path)
    assert finish(run(tmp_path, *arguments)) == (1, f"installs {file}\n")


def test_help_needs_nothing_installed(checkout):
    (checkout / ".venv").unlink()
    status, said = finish(run(checkout, "help"))
    assert status == 0
    assert "./run test" in said
    assert not (checkout / "var").exists()


def test_lint_fails_where_a_type_is_wrong(checkout):
    rewrite(checkout / "livermore/running/install.py", "")  # nothing is to be installed
    (checkout / "warmup/wrong.py").write_text('SECONDS: int = "1"\n')
    read = re.compile(r"^files = .*livermore/market.*exchanges.*warmup.*$", re.M)
    config = (checkout / "pyproject.toml").read_text()
    assert read.search(config) and "ignore_errors" not in config
    one = read.sub('files = ["warmup/wrong.py"]', config)  # what the others import takes seconds
    rewrite(checkout / "pyproject.toml", one)
    status, said = finish(run(checkout, "lint"))
    assert status == 1
    assert "warmup/wrong.py:1: error: Incompatible types" in said


def test_lint_runs_before_a_commit_too():
    lint = (ROOT / "run").read_text().partition("    lint)")[2].partition(";;")[0]
    commands = re.findall(r'^ +(?:exec )?"\$python" (.+)$', lint, re.M)
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert len(commands) == 5
    assert [hook["entry"] for hook in hooks] == [f".venv/bin/python {each}" for each in commands]
    for hook in hooks:  # nothing is fetched, and a hook sees the project as lint does
        assert hook["language"] == "system"
        assert hook["pass_filenames"] is False


def test_without_python_it_says_what_it_needs(checkout, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("dirname", "readlink", "cat"):
        (tools / name).symlink_to(shutil.which(name))
    process = run(checkout, "check", env={"PATH": str(tools)})
    status, said = finish(process)
    assert status == 1
    assert said.count("\n") == 1
    assert "Python 3.11" in said
