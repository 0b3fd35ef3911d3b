import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from livermore.running.children import Child, ChildError, Children, answers
from livermore.running.preflight import why_not_free
from tests.fixtures.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
PARENT = """
import sys
from pathlib import Path
from livermore.running.children import Child, Children
port, log = sys.argv[1:]
url = f"http://127.0.0.1:{port}/"
module = ["http.server", "--bind", "127.0.0.1", port]
Children(print).start(Child("web", module, url, Path(log), Path.cwd()))
print("up", flush=True)
sys.stdin.read()
"""


def web_child(tmp_path, port):
    module = ["http.server", "--bind", "127.0.0.1", str(port)]
    return Child("web", module, f"http://127.0.0.1:{port}/", tmp_path / "web.log", ROOT)


def wait_for(condition, seconds=15):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def said():
    return []


@pytest.fixture
def children(said):
    children = Children(said.append)
    yield children
    children.stop()


def test_a_child_that_died_is_told_and_started_again(tmp_path, children, said):
    child = web_child(tmp_path, free_port())
    children.start(child)
    first = child.pid
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: child.ended() is not None)

    children.step(now := time.monotonic())
    assert child.ended() is not None
    assert "web ended by signal 9" in said[0]
    children.step(now + 10)
    child.wait_until_up()
    assert child.pid != first
    assert len(said) == 1


def test_one_that_cannot_be_started_again_is_tried_later(tmp_path, children, said, monkeypatch):
    child = web_child(tmp_path, free_port())
    children.start(child)
    os.kill(child.pid, signal.SIGKILL)
    wait_for(lambda: child.ended() is not None)

    children.step(now := time.monotonic())
    monkeypatch.setattr("sys.executable", str(tmp_path / "no-python"))
    children.step(now + 10)
    assert "web can't be started" in said[1] and "no-python" in said[1]
    monkeypatch.undo()
    children.step(now + 20)
    child.wait_until_up()
    assert len(said) == 2


def test_a_child_that_dies_at_its_start_is_an_error_with_its_last_words(tmp_path, children):
    child = Child("web", ["nosuchmodule"], "http://127.0.0.1:9/", tmp_path / "web.log", ROOT)
    with pytest.raises(ChildError, match=r"web ended at its start: .*nosuchmodule.*web\.log"):
        children.start(child)


def test_stop_ends_even_those_that_do_not_listen(tmp_path, monkeypatch):
    monkeypatch.setattr("livermore.running.children.GRACE_SECONDS", 0.3)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "deaf.py").write_text(
        "import signal, runpy, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "runpy.run_module('http.server', run_name='__main__')\n"
    )
    port = free_port()
    children = Children(print)
    log = tmp_path / "deaf.log"
    module = ["deaf", "--bind", "127.0.0.1", str(port)]
    children.start(Child("deaf", module, f"http://127.0.0.1:{port}/", log, ROOT))
    children.stop()
    assert not why_not_free(port)


def test_children_end_when_their_parent_is_killed(tmp_path):
    port = free_port()
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(port), str(tmp_path / "web.log")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout.readline() == "up\n"
        parent.kill()
    wait_for(lambda: not answers(f"http://127.0.0.1:{port}/"))
