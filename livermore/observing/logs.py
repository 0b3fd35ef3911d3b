"""How a line of the log is written: as text, or as a JSON object for machines that collect them.

Every message of ours is an event's name, then key=value: `lock.lost exchange=3 reason=gone`.
"""

import contextlib
import json
import logging
import re
import sys
import threading
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http.multipartparser import MultiPartParserError
from redis.exceptions import RedisError

from livermore.observing.redaction import redacted

EVENT = re.compile(r"[a-z_]+(\.[a-z_]+)+(?= |$)")
# A value may hold spaces: it goes on until the next key, or to the end.
FIELD = re.compile(r"(?<= )([a-z_]+)=(.*?)(?= [a-z_]+=|$)", re.DOTALL)
NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]+)?")
# What would end a line, or steer a terminal: whoever names something could write lines of ours.
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")

LONGEST_READ, LONGEST_WORD = 8192, 200

logger = logging.getLogger(__name__)


def word(text: str, longest: int = LONGEST_WORD) -> str:
    r"""Return what anybody sent as one word of a line, fit for the value of a field.

    What is no letter, digit or sign is written as \xNN or \uNNNN, blanks and = too: nobody writes
    a field of ours, or a line. Secrets are taken out before, as then they would not be known.
    """
    text = redacted(text[:LONGEST_READ])
    spelled = "".join(each if _is_plain(each) else _spelled(each) for each in text[:longest])
    return spelled if len(text) <= longest else f"{spelled}…"


def _is_plain(character: str) -> bool:
    return character.isprintable() and character not in ' =\\"'


def _spelled(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


class TextFormatter(logging.Formatter):
    """The lines of the standard library, without secrets.

    What goes on in a further line is indented, and no other character ends one.
    """

    def format(self, record: logging.LogRecord) -> str:
        text = CONTROL.sub(_escaped, redacted(super().format(record)))
        return text.replace("\n", "\n    ")


class BriefTracebacks(logging.Filter):
    """Tells in a line what a library shows with its traceback, and that is no fault in any code.

    That Redis or the database is away, and that a request was refused. `of` are the beginnings of
    the loggers' names that it is for; without any it is for all.
    """

    def __init__(self, of: tuple[str, ...] = ("",)):
        super().__init__()
        self._of = tuple(of)

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info and record.exc_info[1]
        if error and record.name.startswith(self._of) and _is_no_fault(error):
            record.msg = f"{record.getMessage()} {type(error).__name__}: {error}"
            record.args = record.exc_info = None
        return True


class ForeignLines(logging.Filter):
    r"""Keeps fields for the lines of our own loggers, those below the names of `ours`.

    Libraries write paths, hosts and headers into their lines as they were sent. What would be
    a field there, `name=value`, is written `name\x3dvalue`: no program takes it for one of ours.
    """

    def __init__(self, ours: tuple[str, ...]):
        super().__init__()
        self._ours = frozenset(ours)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] not in self._ours:
            # Of a call whose arguments don't fit, `emit` says what is wrong.
            with contextlib.suppress(TypeError, ValueError, KeyError):
                record.msg = redacted(record.getMessage()).replace("=", _spelled("="))
                record.args = None
        return True


def _is_no_fault(error: BaseException) -> bool:
    from livermore.web.database_faults import is_away  # the settings name this module

    refusals = (SuspiciousOperation, BadRequest, PermissionDenied, MultiPartParserError)
    return isinstance(error, (RedisError, *refusals)) or is_away(error)


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, logger, message; of our own messages event and fields.

    A field never replaces one of the others. `exc_info` is a traceback, as one text.
    """

    def format(self, record: logging.LogRecord) -> str:
        message = redacted(record.getMessage())
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": message,
        }
        if event := EVENT.match(message):
            line["event"] = event[0]
            for name, text in FIELD.findall(message):
                line.setdefault(name, _value(text))
        if trace := self._trace(record):
            line["exc_info"] = redacted(trace)
        return json.dumps(line)

    def _trace(self, record: logging.LogRecord) -> str:
        parts = [record.exc_text or ""]
        if record.exc_info and not record.exc_text:
            parts = [self.formatException(record.exc_info)]
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return "\n".join(filter(None, parts))


def _value(text: str) -> str | int | float:
    number = NUMBER.fullmatch(text)
    if not number:
        return text
    return float(text) if number[2] else int(text)


def _escaped(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]


def log_last_words() -> None:
    """Let the log tell what ends a process or a thread, and Python's warnings, in its format.

    Python would write them as they are, with whatever is in the error's text. Who has hooks of
    their own keeps them.
    """
    logging.captureWarnings(True)
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _log_end_of_process
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _log_end_of_thread


def _log_end_of_process(kind, error, trace) -> None:
    if issubclass(kind, Exception):
        logger.critical("process.died error=%s", kind.__name__, exc_info=(kind, error, trace))
    else:
        sys.__excepthook__(kind, error, trace)  # Ctrl-C


def _log_end_of_thread(arguments: threading.ExceptHookArgs) -> None:
    if not issubclass(arguments.exc_type, SystemExit):
        thread = arguments.thread.name if arguments.thread else "unknown"
        trace = (arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
        logger.critical("thread.died thread=%s", thread, exc_info=trace)
