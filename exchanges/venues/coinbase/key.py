"""A key of Coinbase's and how it is taken: a good one is refused now and then, a bad one always."""

import threading
import time
from dataclasses import dataclass

from django.views.decorators.debug import sensitive_variables

from exchanges.credentials import Credentials
from exchanges.venues.coinbase.signing import Signer

REFUSALS_BELIEVED = 3  # in a row, of a key that was taken before; of another the first one
REFUSED_SECONDS = 3600.0  # then it is tried again


class Standing:
    """How one key was taken in this process. Threads may share it."""

    def __init__(self):
        self._lock = threading.Lock()
        self._refusals = 0
        self._believed = 1
        self._refused_at: float | None = None

    @property
    def is_refused(self) -> bool:
        """Tell whether the key is not worth sending now."""
        at = self._refused_at
        return at is not None and time.monotonic() - at < REFUSED_SECONDS

    def taken(self) -> None:
        """Take note that a signed call was answered."""
        with self._lock:
            self._refusals, self._believed = 0, REFUSALS_BELIEVED

    def refused(self) -> bool:
        """Take note that a call was refused with two tokens; return whether a person is to know."""
        with self._lock:
            self._refusals += 1
            if self._refusals < self._believed:
                return False
            is_news = self._refused_at is None
            self._refusals, self._believed = 0, 1
            self._refused_at = time.monotonic()
            return is_news


_STANDINGS: dict[tuple[str, int], Standing] = {}  # by host and key, as long as the process lives


@dataclass(frozen=True, slots=True)
class Key:
    """What proves to Coinbase who calls, and which variables hold it: those of key and secret."""

    sign: Signer
    variables: tuple[str, str]
    standing: Standing


@sensitive_variables()
def load_key(credentials: Credentials, host: str) -> Key:
    """Return the key for calls to `host`. Raises BadCredentials where it can't be used."""
    signer = Signer(credentials.key, credentials.secret)
    standing = _STANDINGS.setdefault((host, hash(credentials)), Standing())
    return Key(signer, credentials.variables, standing)
