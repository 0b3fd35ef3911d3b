"""Where HTTP of a message may go: where that of an exchange may, looked at at each connect."""

import contextlib
import threading
from collections.abc import Iterator

from urllib3.util import connection

from exchanges.errors import LivermoreError
from exchanges.transport.dialing import DIRECTLY

SECONDS = 10.0  # to connect, where the caller sets no other
_call = threading.local()  # of this thread: whether it sends, and what its connects came to
_connect = connection.create_connection


class Faults(list[str]):
    """Why connects failed, in words without any address of the message's own."""


@contextlib.contextmanager
def guarded() -> Iterator[Faults]:
    """Let the HTTP of this thread go to allowed hosts alone; yield why connects failed.

    Redirects are connects too. Threads that send nothing connect as ever.
    """
    connection.create_connection = _create_connection
    _call.faults = Faults()
    try:
        yield _call.faults
    finally:
        _call.faults = None


def _create_connection(address, timeout=SECONDS, *arguments, **options):
    faults = getattr(_call, "faults", None)
    if faults is None:
        return _connect(address, timeout, *arguments, **options)
    host, port = address
    seconds = timeout if isinstance(timeout, int | float) else SECONDS
    try:
        return DIRECTLY.dial(host, port, seconds)
    except LivermoreError as error:
        faults.append(f"{error}".replace("the row's address", "the channel's address"))
        raise OSError("refused") from None  # as a connect that failed, to the library
    except OSError as error:
        faults.append(error.strerror or "it can't be reached")
        raise
