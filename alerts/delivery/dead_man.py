"""An address that is fetched each minute while all is well: who watches it rings when it is not.

The dead can't ring themselves: a service elsewhere does, once it misses the calls.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import closing

import requests
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from alerts.delivery.guarded import guarded

logger = logging.getLogger(__name__)

SECONDS_BETWEEN = 60.0
SECONDS = 10.0  # for an answer


class DeadMan:
    """Fetches `LIVERMORE_DEAD_MAN_URL` in a thread of its own.

    `why_not` says why it may not be, "" where all is well; None where another process does it.
    """

    def __init__(self, why_not: Callable[[], str | None], seconds_between: float = SECONDS_BETWEEN):
        self._why_not = why_not
        self._seconds_between = seconds_between
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts-dead-man", daemon=True)

    def start(self) -> None:
        """Begin, where there is an address."""
        if settings.LIVERMORE_DEAD_MAN_URL:
            self._thread.start()

    def stop(self) -> None:
        self._ending.set()

    def step(self) -> bool:
        """Fetch it where all is well; tell whether it was, and answered."""
        try:
            reason = self._why_not()
        except DatabaseError as error:
            reason = f"the database does not answer ({type(error).__name__})"
        if reason is None:
            return False
        if reason:
            logger.warning("alerts.not_well reason=%s", reason)
            return False
        return fetch(settings.LIVERMORE_DEAD_MAN_URL)

    def _run(self) -> None:
        wait = 1.0  # the first look is over by then
        while not self._ending.wait(wait):
            wait = self._seconds_between if self.step() else min(self._seconds_between, 10.0)
            connection.close()


def fetch(url: str) -> bool:
    """Tell whether an address answers well; what is wrong is logged without it."""
    with guarded() as connections:
        try:
            with closing(requests.get(url, timeout=SECONDS, stream=True)) as answer:
                fault = "" if answer.ok else f"HTTP {answer.status_code}"
        except requests.RequestException as error:
            fault = (connections.faults or [type(error).__name__])[-1]
    if fault:
        logger.warning("alerts.dead_man_not_reached fault=%s", fault)
    return not fault
