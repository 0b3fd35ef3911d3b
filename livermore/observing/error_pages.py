"""Django's technical error page (`LIVERMORE_DEBUG`) and error mails, without secrets.

With DEBUG on Django shows every local variable and setting, and covers none that was declared
sensitive. Ours covers those, and takes known secrets out of all the rest.
"""

from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.template.defaultfilters import pprint
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from livermore.observing.redaction import redacted


class ShownText:
    """A variable of which only this text is left."""

    def __init__(self, text: str):
        self._text = text

    def __repr__(self) -> str:
        return self._text


class Filter(SafeExceptionReporterFilter):
    """Covers what `sensitive_variables` names, with DEBUG too."""

    def is_active(self, request: HttpRequest | None) -> bool:
        return True

    def get_traceback_frame_variables(
        self, request: HttpRequest | None, tb_frame: FrameType
    ) -> list[tuple[str, Any]]:
        found = super().get_traceback_frame_variables(request, tb_frame)
        # Here and not on the page alone, where a long value is cut, maybe in the middle of one.
        return [(name, ShownText(_text(value))) for name, value in found]


def _text(value: Any) -> str:
    """Return a value laid out in lines, or on one where a secret was in it.

    Lines would have cut a long one in pieces that nobody knows again.
    """
    try:
        text = repr(value)
    except Exception:  # whatever it is, its page is about another error
        text = ""
    covered = redacted(text)
    return redacted(pprint(value)) if covered == text else covered


class Reporter(ExceptionReporter):
    """Writes the page and the mail."""

    def get_traceback_html(self) -> str:
        return redacted(super().get_traceback_html())

    def get_traceback_text(self) -> str:
        return redacted(super().get_traceback_text())
