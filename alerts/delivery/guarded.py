"""Where HTTP of a message may go: where that of an exchange may. How long a message may take."""

import contextlib
import smtplib
import socket
import threading
from collections.abc import Iterator

from urllib3.util import connection

from exchanges.errors import LivermoreError
from exchanges.transport.dialing import DIRECTLY

SECONDS = 10.0  # to connect, where the caller sets no other
LONGEST_SECONDS = 120.0  # for a message: the library's limits begin anew with each byte
TOO_LONG = f"it was not done within {LONGEST_SECONDS:g} s"
_call = threading.local()  # of this thread: the connections of what it sends
_connect = connection.create_connection
_connect_to_mail = smtplib.SMTP._get_socket  # type: ignore[attr-defined]


class Connections:
    """The connections of one message: `faults` say why some failed, without any address of its own.

    `were_made` tells whether any was: something may have arrived.
    """

    def __init__(self):
        self.faults: list[str] = []
        self.were_made = False
        self._sockets: list[socket.socket] = []
        self._is_over = False
        self._lock = threading.Lock()

    def watch(self, sock: socket.socket) -> None:
        """Let a connection be shut down in the end, encrypted or not. Raises OSError after it."""
        with self._lock:
            if self._is_over:
                sock.close()
                raise OSError(TOO_LONG)
            self.were_made = True
            self._sockets.append(sock.dup())  # what encrypts takes the socket itself away

    def cut(self) -> None:
        """Shut down what there is, so that who reads or writes it is done, and refuse others."""
        self.faults.append(TOO_LONG)
        self.end(is_cut=True)

    def end(self, *, is_cut: bool = False) -> None:
        """Watch no more of them."""
        with self._lock:
            self._is_over = True
            ended, self._sockets = self._sockets, []
        for each in ended:
            with each, contextlib.suppress(OSError):  # it may be closed at the other end
                if is_cut:
                    each.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def guarded() -> Iterator[Connections]:
    """Let HTTP of this thread go to allowed hosts alone; it and mail have to be done in time.

    Redirects are connects too. Threads that send nothing connect as ever.
    """
    connection.create_connection = _create_connection
    smtplib.SMTP._get_socket = _get_socket  # type: ignore[attr-defined]
    connections = _call.connections = Connections()
    limit = threading.Timer(LONGEST_SECONDS, connections.cut)
    limit.name, limit.daemon = "alerts-limit", True
    limit.start()
    try:
        yield connections
    finally:
        limit.cancel()
        connections.end()
        _call.connections = None


def _create_connection(address, timeout=SECONDS, *arguments, **options):
    connections = getattr(_call, "connections", None)
    if connections is None:
        return _connect(address, timeout, *arguments, **options)
    host, port = address
    seconds = timeout if isinstance(timeout, int | float) else SECONDS
    try:
        sock = DIRECTLY.dial(host, port, seconds)
    except LivermoreError as error:
        connections.faults.append(f"{error}".replace("the row's address", "the channel's address"))
        raise OSError("refused") from None  # as a connect that failed, to the library
    except OSError as error:
        connections.faults.append(error.strerror or "it can't be reached")
        raise
    connections.watch(sock)
    return sock


def _get_socket(mail, host, port, timeout):
    """Connect as mail does, to whichever server its address names."""
    sock = _connect_to_mail(mail, host, port, timeout)
    if connections := getattr(_call, "connections", None):
        connections.watch(sock)
    return sock
