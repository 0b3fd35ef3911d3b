"""A webhook on this machine that keeps each message, fails for a while, and sees its sender die."""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from tests.alerts.receiver import Receiver

KEY = "livermore-"  # before a delivery's number, in the header that tells a repetition
REFUSED, HANGING, RESET = "refused", "hanging", "reset"
HANGS_SECONDS = 15.0  # for longer than anybody waits
ARRIVED, LOST = "arrived", "lost"  # what became of a message whose sender was killed


class Told(NamedTuple):
    """A message that was taken: when, in seconds of the epoch, and the delivery it was."""

    at: float
    number: int
    text: str


class Doubt(NamedTuple):
    """A try of which its sender could not know, or note, whether the message arrived: since when,
    in seconds of the epoch, and of which delivery."""

    at: float
    number: int


class Webhook(Receiver):
    """`failures` are what its first calls come to. Of the calls in `deaths` the sender is killed
    by `kill`: when its message has arrived and no answer has, or before it has arrived.

    `unanswered` are the calls that had no answer; they were not taken.
    """

    def __init__(
        self,
        failures: Sequence[str] = (),
        deaths: dict[int, str] | None = None,
        kill: Callable[[], object] = lambda: None,
    ):
        self.taken: list[Told] = []
        self.killed_at: dict[int, str] = {}  # deliveries whose sender was killed, and what became
        self.failed = Counter()
        self.unanswered: list[Doubt] = []
        self._failures, self._deaths, self._kill = list(failures), deaths or {}, kill
        self._order = threading.Lock()
        super().__init__()

    def _take(self, handler, body):
        number = int((handler.headers.get("Idempotency-Key") or f"{KEY}0").removeprefix(KEY))
        with self._order:
            self.calls += 1
            fails = self._failures.pop(0) if self._failures else ""
            death = self._deaths.get(self.calls, "")
        if fails:
            self.failed[fails] += 1
            if fails != REFUSED:
                self.unanswered.append(Doubt(time.time(), number))
            self._fail(handler, fails)
            return
        if death:
            self.killed_at[number] = death
        if death != LOST:
            self.taken.append(Told(time.time(), number, self._text(body)))
        if death:
            self._kill()
            return
        handler.send_response(200)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def _fail(self, handler, how):
        if how == REFUSED:
            handler.send_error(500)
            return
        if how == HANGING:
            time.sleep(HANGS_SECONDS)
        handler.close_connection = True
        with suppress(OSError):
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            handler.connection.close()

    @staticmethod
    def _text(body):
        return json.loads(body)["message"] if body else ""
