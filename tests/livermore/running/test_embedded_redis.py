import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager

import pytest
import redis

from livermore.running import embedded_redis
from livermore.running.embedded_redis import (
    EmbeddedRedisError,
    ensure_running,
    is_running,
    socket_path,
)

JOIN = """
import sys
from pathlib import Path
from livermore.running.embedded_redis import ensure_running
with ensure_running(Path(sys.argv[1])) as server:
    import redis
    print(redis.Redis.from_url(server.url).info("server")["process_id"], flush=True)
    sys.stdin.read()
"""


@contextmanager
def user(folder):
    """A process that has joined, with the pid of the server that it found."""
    process = subprocess.Popen(
        [sys.executable, "-c", JOIN, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def client(server):
    return redis.Redis.from_url(server.url)


def server_pid(server):
    return client(server).info("server")["process_id"]


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def is_alive(folder):
    """Whether some server holds the folder, told by its lock."""
    with (folder / "server.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.fixture
def folder(tmp_path):
    yield tmp_path
    if (tmp_path / "server.lock").exists():
        with ensure_running(tmp_path):
            pass  # ends what a killed user left behind


def test_data_outlive_a_clean_end(folder):
    with ensure_running(folder) as server:
        client(server).set("kept", "1")
    assert not is_alive(folder)
    with ensure_running(folder) as server:
        assert client(server).get("kept") == b"1"


def test_the_last_one_to_leave_ends_it(folder):
    first, second = ensure_running(folder), ensure_running(folder)
    first.leave()
    assert client(second).ping()
    second.leave()
    second.leave()
    assert not is_alive(folder)


def test_ten_processes_at_once_get_one_server(folder):
    with ExitStack() as stack:
        users = [stack.enter_context(user(folder)) for _ in range(10)]
        pids = {each.stdout.readline() for each in users}
        assert len(pids) == 1
        for each in users:
            each.stdin.close()
        assert [each.wait(30) for each in users] == [0] * 10
    assert not is_alive(folder)


def test_entering_while_others_leave_always_finds_a_server(folder):
    loop = f"""
from pathlib import Path
import redis
from livermore.running.embedded_redis import ensure_running
for _ in range(15):
    with ensure_running(Path({str(folder)!r})) as server:
        assert redis.Redis.from_url(server.url).incr("entered")
"""
    processes = [subprocess.Popen([sys.executable, "-c", loop]) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    with ensure_running(folder) as server:
        assert client(server).get("entered") == b"60"


def test_a_killed_server_is_started_anew_with_its_data(folder):
    with ensure_running(folder) as server:
        client(server).set("kept", "1")
        wait_for(lambda: client(server).info("persistence")["aof_pending_bio_fsync"] == 0)
        os.kill(server_pid(server), signal.SIGKILL)
        wait_for(lambda: not is_alive(folder))
        assert socket_path(folder).exists()
        with ensure_running(folder) as again:
            assert client(again).get("kept") == b"1"


def test_a_log_cut_short_loses_its_last_command_only(folder):
    with ensure_running(folder) as server:
        client(server).set("kept", "1")
        client(server).set("lost", "1")
    [log] = folder.glob("*-data/appendonlydir/*.incr.aof")
    os.truncate(log, log.stat().st_size - 5)
    with ensure_running(folder) as server:
        assert client(server).mget("kept", "lost") == [b"1", None]


def test_a_damaged_log_is_named_with_what_to_do(folder):
    with ensure_running(folder) as server:
        client(server).set("a", "1")
    [log] = folder.glob("*-data/appendonlydir/*.incr.aof")
    log.write_bytes(b"nonsense\r\n" * 20)
    with pytest.raises(EmbeddedRedisError, match=r"server\.log.*remove"):
        ensure_running(folder)
    log.unlink()
    log.touch()


def test_the_server_of_a_killed_user_ends_with_the_next_one(folder):
    with user(folder) as killed:
        pid = int(killed.stdout.readline())
    assert is_alive(folder)
    with ensure_running(folder) as server:
        assert server_pid(server) == pid
    assert not is_alive(folder)


def test_a_server_without_its_socket_is_replaced(folder):
    with ensure_running(folder) as first:
        pid = server_pid(first)
        socket_path(folder).unlink()
        with ensure_running(folder) as second:
            assert server_pid(second) != pid


def test_a_folder_removed_under_a_server_gets_a_new_one_and_both_end(folder):
    inner = folder / "inner"
    first = ensure_running(inner)
    pid = server_pid(first)
    inner.rename(folder / "old")
    with ensure_running(inner) as second:
        assert server_pid(second) != pid
        first.leave()
        assert client(second).ping()
    assert not is_alive(folder / "old")
    assert not is_alive(inner)


def test_only_its_user_can_open_it(folder):
    with ensure_running(folder) as server:
        assert socket_path(folder).stat().st_mode & 0o777 == 0o700
        assert client(server).config_get("port") == {"port": "0"}


def test_the_terminals_signals_do_not_reach_it(folder):
    with ensure_running(folder) as server:
        assert os.getsid(server_pid(server)) != os.getsid(0)


@pytest.mark.parametrize("name", ["with space # and 100%20", "x" * 120])
def test_any_folder_will_do(folder, name):
    inner = folder / name
    with ensure_running(inner) as server:
        assert client(server).ping()
        assert len(os.fsencode(socket_path(inner))) <= 100


def test_a_folder_that_others_could_open_is_refused_for_the_socket(folder, monkeypatch):
    shared = folder / "shared"
    shared.mkdir(mode=0o755)
    monkeypatch.setattr(embedded_redis, "socket_path", lambda directory: shared / "s.sock")
    with pytest.raises(EmbeddedRedisError, match="nobody else"):
        ensure_running(folder / "data")


@pytest.mark.parametrize("use", [ensure_running, is_running])
def test_a_folder_of_another_user_is_named_with_what_to_do(folder, monkeypatch, use):
    def refuse(path, *_arguments):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("os.open", refuse)  # root, as which tests may run, is never refused
    with pytest.raises(EmbeddedRedisError, match=r"lock is another user's.*chown.*REDIS_URL"):
        use(folder)


def test_without_any_engine_the_error_says_what_to_install(folder, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(EmbeddedRedisError, match="REDIS_URL"):
        ensure_running(folder / "data")


def test_a_forked_child_that_leaves_ends_nothing(folder):
    with ensure_running(folder) as server:
        child = os.fork()
        if child == 0:
            server.leave()
            os._exit(0)
        os.waitpid(child, 0)
        assert client(server).ping()
