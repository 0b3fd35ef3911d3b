"""How a line of the log is written: as text, or as a JSON object for machines that collect them.

Every message of ours is an event's name, then key=value: `lock.lost exchange=3 reason=gone`.
"""

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

from livermore.redaction import redacted

EVENT = re.compile(r"[a-z_]+(\.[a-z_]+)+(?= |$)")
# A value may hold spaces: it goes on until the next key, or to the end.
FIELD = re.compile(r"(?<= )([a-z_]+)=(.*?)(?= [a-z_]+=|$)", re.DOTALL)
NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]+)?")


class TextFormatter(logging.Formatter):
    """The lines of the standard library, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


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
