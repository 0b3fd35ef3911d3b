"""IPv6 that leads nowhere, as some networks have it."""

import contextlib
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def dead_ipv6(port: int) -> Iterator[None]:
    """Let connections to [::1] at this port be neither answered nor refused.

    A queue of one that we fill ourselves: what comes after that is dropped.
    """
    with contextlib.ExitStack() as opened:
        server = socket.create_server(("::1", port), family=socket.AF_INET6, backlog=0)
        opened.enter_context(server)
        for _ in range(4):
            filling = opened.enter_context(socket.socket(socket.AF_INET6))
            filling.setblocking(False)
            filling.connect_ex(("::1", port))
        yield
