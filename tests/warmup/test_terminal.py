import os
import pty
from contextlib import contextmanager
from io import StringIO

import pytest
from django.core.management.base import OutputWrapper
from django.core.management.color import color_style

from warmup.stats import Status, WarmupStats
from warmup.terminal import WarmupProgress

ERASE_LINE = "\x1b[2K"


@pytest.fixture(autouse=True)
def ordinary_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def terminal():
    """Yield a command's error stream on a terminal, and what the terminal was sent so far."""
    ours, theirs = pty.openpty()
    sent = ""

    def read():
        nonlocal sent
        os.set_blocking(ours, False)
        try:
            while text := os.read(ours, 65536):
                sent += text.decode()
        except BlockingIOError:
            return sent
        return sent

    with os.fdopen(theirs, "w") as file:
        stream = OutputWrapper(file)
        stream.style_func = color_style(force_color=True).ERROR
        yield stream, read
    os.close(ours)


def stats(status, done, total):
    return WarmupStats(7).as_json() | {
        "status": status,
        "completedPairs": done,
        "totalPairs": total,
    }


def test_a_bar_stays_on_its_line_and_goes_with_the_warmup():
    with terminal() as (stream, read), WarmupProgress("sandbox", stream) as show:
        show(stats(Status.SCANNING, 0, 0))
        assert read() == ""
        for done in range(1, 4):
            show(stats(Status.EXECUTING, done, 4))
        assert "\n" not in read()
        show(stats(Status.COMPLETE, 4, 4))
        ended = read()
        assert "sandbox" in ended and ended.endswith(ERASE_LINE)
        show(stats(Status.COMPLETE, 4, 4))
        assert read() == ended, "nothing more, however long the command goes on"


def test_the_next_warmup_of_the_same_command_has_a_bar_again():
    with terminal() as (stream, read), WarmupProgress("sandbox", stream) as show:
        show(stats(Status.EXECUTING, 1, 4))
        show(stats(Status.ERROR, 1, 4))
        before = len(read())
        show(stats(Status.EXECUTING, 2, 4))
        show(stats(Status.COMPLETE, 4, 4))
        assert "sandbox" in read()[before:]


def test_where_nothing_is_to_be_fetched_there_is_no_bar():
    with terminal() as (stream, read), WarmupProgress("sandbox", stream) as show:
        show(stats(Status.EXECUTING, 0, 0))
        show(stats(Status.COMPLETE, 0, 0))
        assert read() == ""


def test_a_log_gets_a_plain_line_now_and_then(monkeypatch):
    monkeypatch.setattr("warmup.terminal.SECONDS_BETWEEN_LINES", 0)
    file = StringIO()
    with WarmupProgress("sandbox", OutputWrapper(file)) as show:
        show(stats(Status.EXECUTING, 1, 4))
        show(stats(Status.EXECUTING, 4, 4))
        show(stats(Status.COMPLETE, 4, 4))
    assert file.getvalue() == "sandbox: 25 % 1/4 pairs\n"
