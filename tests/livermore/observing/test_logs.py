import io
import json
import logging
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import DisallowedHost, ImproperlyConfigured, PermissionDenied
from django.db import OperationalError
from redis.exceptions import ConnectionError

from livermore.observing.logs import BriefTracebacks, JsonFormatter, TextFormatter
from tests.fixtures.settings import settings_of

ROOT = Path(__file__).parents[3]
SECRET = "a secret of an account"


@pytest.fixture
def written(monkeypatch):
    """Log in a format; return the lines that come out."""
    monkeypatch.setenv("BINANCE_SECRET", SECRET)
    logger = logging.getLogger("tests.logs")

    def written(formatter, log):
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatter)
        logger.addHandler(handler)
        try:
            log(logger)
        finally:
            logger.removeHandler(handler)
        return stream.getvalue().splitlines()

    return written


@pytest.fixture
def as_json(written):
    """Log as JSON; return the only line, read."""

    def as_json(*arguments, **options):
        (line,) = written(JsonFormatter(), lambda log: log.warning(*arguments, **options))
        return json.loads(line)

    return as_json


def fail(text=SECRET):
    raise ValueError(f"it was {text}")


def log_a_failure(log):
    try:
        fail()
    except ValueError:
        log.exception("runner.died exchange=%d reason=%s", 3, SECRET, stack_info=True)


def test_a_message_of_ours_is_an_event_with_fields(as_json):
    line = as_json("warmup.complete exchange=%s fetched=%d seconds=%.1f", "binance", 7, 2.5)
    assert datetime.fromisoformat(line.pop("time")).tzinfo is UTC
    assert line == {
        "level": "WARNING",
        "logger": "tests.logs",
        "message": "warmup.complete exchange=binance fetched=7 seconds=2.5",
        "event": "warmup.complete",
        "exchange": "binance",
        "fetched": 7,
        "seconds": 2.5,
    }


def test_a_value_goes_on_until_the_next_key(as_json):
    line = as_json("lock.lost exchange=%s reason=%s left_ms=%d", 1, "taken over by b (10.0.0.2)", 5)
    assert (line["reason"], line["left_ms"]) == ("taken over by b (10.0.0.2)", 5)


@pytest.mark.parametrize("text", ["007", "1e5", "nan", "inf", "1_0", "", "-", "9" * 30, "1."])
def test_what_only_looks_like_a_number_stays_text(as_json, text):
    assert as_json("some.event value=%s", text)["value"] == text


def test_a_field_replaces_nothing(as_json):
    line = as_json("some.event level=none time=never message=x event=y logger=z exc_info=w")
    assert (line["level"], line["logger"], line["event"]) == ("WARNING", "tests.logs", "some.event")
    assert line["message"].startswith("some.event level=none")


def test_the_message_of_somebody_else_has_no_event(as_json):
    line = as_json("Not Found: /x?a=1 b=2")
    assert set(line) == {"time", "level", "logger", "message"}


@pytest.mark.parametrize("text", ["two\nlines", "a\u2028b", 'quotes " and \\'])
def test_a_line_is_one_object_whatever_is_in_it(as_json, text):
    assert as_json("some.event text=%s", text)["text"] == text


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\u2028", "\x85", "\x0b", "\x0c", "\x1c"])
def test_nobody_writes_a_line_of_ours(written, end):
    forged = f"x{end}2026-11-20 10:00:00,000 ERROR livermore it is all over"
    lines = written(TextFormatter("%(levelname)s %(message)s"), lambda log: log.error(forged))
    assert lines[0].startswith("ERROR x")
    assert all(line.startswith("    ") for line in lines[1:])


def test_nobody_steers_a_terminal(written):
    (line,) = written(TextFormatter(), lambda log: log.error("a\x1b[2Jb\x00c\td\x9be\x7f"))
    assert line == "a\\x1b[2Jb\\x00c\\td\\x9be\\x7f"


def test_what_no_encoding_can_write_is_written_all_the_same():
    # Not logged: pytest would send what it captures to another process, and can't.
    record = logging.makeLogRecord({"msg": "some.event text=%s", "args": ("\udcff",)})
    line = JsonFormatter().format(record)
    assert json.loads(line.encode())["text"] == "\udcff"


def test_a_traceback_is_one_text(written):
    (line,) = written(JsonFormatter(), log_a_failure)
    trace = json.loads(line)["exc_info"]
    assert trace.startswith("Traceback (most recent call last):\n")
    assert "ValueError: it was ***" in trace
    assert "Stack (most recent call last)" in trace


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_no_secret_is_in_a_line_nor_in_its_traceback(written, formatter):
    text = "\n".join(written(formatter, log_a_failure))
    assert SECRET not in text
    assert text.count("***") >= 2
    assert "runner.died" in text


def test_this_would_notice_a_secret(written):
    assert SECRET in "\n".join(written(logging.Formatter(), log_a_failure))


def test_both_formats_are_configured():
    formatters = django_settings.LOGGING["formatters"]
    assert formatters["text"]["class"] == "livermore.observing.logs.TextFormatter"
    assert formatters["json"]["class"] == "livermore.observing.logs.JsonFormatter"


def check(**environment):
    return subprocess.run(
        [sys.executable, "-c", "import django; django.setup(); import logging;"
         "logging.getLogger('django.request').error('a page failed');"
         "logging.getLogger('warmup').error('some.event n=%d', 1)"],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "livermore.settings"} | environment,
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_a_process_logs_in_the_format_it_is_told_each_line_once():
    plain = check(LIVERMORE_LOG_FORMAT="text", LIVERMORE_DEBUG="true").stderr.splitlines()
    assert [re.sub(r"^[0-9 :,-]+ ", "", line) for line in plain] == [
        "ERROR django.request a page failed",
        "ERROR warmup some.event n=1",
    ]
    lines = check(LIVERMORE_LOG_FORMAT="JSON", LIVERMORE_DEBUG="true").stderr.splitlines()
    assert [json.loads(line)["logger"] for line in lines] == ["django.request", "warmup"]


def log_in_brief(error):
    def log(logger):
        logger.addFilter(brief := BriefTracebacks())
        try:
            raise error
        except type(error):
            logger.exception("Tried in %s:", "vain")
        finally:
            logger.removeFilter(brief)

    return log


def test_redis_being_away_is_a_line_where_a_library_shows_its_traceback(written):
    (line,) = written(TextFormatter("%(message)s"), log_in_brief(ConnectionError("nobody there")))
    assert line == "Tried in vain: ConnectionError: nobody there"


@pytest.mark.parametrize(
    "error", [DisallowedHost("x"), PermissionDenied("x"), OperationalError("database is locked")]
)
def test_what_is_no_fault_of_any_code_is_a_line_too(written, error):
    (line,) = written(TextFormatter("%(message)s"), log_in_brief(error))
    assert line == f"Tried in vain: {type(error).__name__}: {error}"


def test_any_other_error_keeps_its_traceback(written):
    lines = written(TextFormatter("%(message)s"), log_in_brief(ValueError("a fault")))
    assert (lines[0], lines[-1].strip()) == ("Tried in vain:", "ValueError: a fault")


@pytest.mark.parametrize("name", ["HTTPS", "DEBUG", "BEHIND_PROXY"])
def test_what_says_neither_yes_nor_no_is_refused(name):
    with pytest.raises(ImproperlyConfigured) as refused:
        settings_of(**{f"LIVERMORE_{name}": "ja"})
    assert str(refused.value) == f"LIVERMORE_{name} is one of true, false"


def test_an_unknown_format_is_refused():
    done = check(LIVERMORE_LOG_FORMAT="xml")
    assert done.returncode != 0
    assert done.stderr.strip().endswith("LIVERMORE_LOG_FORMAT is one of text, json")


LAST_WORDS = """
import django; django.setup()
import os, threading, warnings
def fail(): raise ValueError("it was " + os.environ["BINANCE_SECRET"])
thread = threading.Thread(target=fail, name="some-thread"); thread.start(); thread.join()
thread = threading.Thread(target=exit); thread.start(); thread.join()
warnings.warn("beware of " + os.environ["BINANCE_SECRET"])
fail()
"""


def last_words(code=LAST_WORDS, **environment):
    settings = {"DJANGO_SETTINGS_MODULE": "livermore.settings", "BINANCE_SECRET": SECRET}
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | settings | environment,
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_what_ends_a_thread_or_a_process_is_a_line_like_others():
    done = last_words(LIVERMORE_LOG_FORMAT="json")
    thread, warning, process = map(json.loads, done.stderr.splitlines())
    assert (thread["event"], thread["thread"]) == ("thread.died", "some-thread")
    assert warning["logger"] == "py.warnings"
    assert (process["event"], process["error"]) == ("process.died", "ValueError")
    for line in (thread, process):
        assert line["exc_info"].endswith("ValueError: it was ***")
    assert (done.returncode, SECRET in done.stderr) == (1, False)


def test_who_interrupts_a_process_sees_what_python_says():
    done = last_words("import django; django.setup(); raise KeyboardInterrupt")
    assert "process.died" not in done.stderr
    assert done.stderr.endswith("KeyboardInterrupt\n")
