"""Where history is kept while it is measured."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings


@contextmanager
def history_in_a_folder() -> Iterator[Path]:
    """Let history of commands and of this process be kept in a folder for a while."""
    with tempfile.TemporaryDirectory(prefix="livermore-history-") as text:
        before, settings.HISTORY = settings.HISTORY, text
        os.environ["LIVERMORE_HISTORY"] = text
        try:
            yield Path(text)
        finally:
            settings.HISTORY = before
            del os.environ["LIVERMORE_HISTORY"]
