"""Addresses of a name, within a time: the system's resolver itself knows none that we could set."""

import queue
import socket
import threading
from contextlib import suppress
from ipaddress import ip_address

SECONDS = 10.0  # the system asks other servers meanwhile


def resolve(host: str, port: int, seconds: float = SECONDS) -> list[str]:
    """Return the addresses that a host leads to, each once.

    Raises OSError or UnicodeError, as the resolver does; TimeoutError where it says nothing within
    `seconds`. It is asked in a thread then that ends when the system gives up.
    """
    if _is_address(host):
        return _ask(host, port)
    answers: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(_ask(host, port))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    answer: list[str] | Exception = TimeoutError("the name server gave no answer in time")
    with suppress(queue.Empty):
        answer = answers.get(timeout=max(0.0, seconds))
    if isinstance(answer, Exception):
        raise answer
    return answer


def _ask(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
