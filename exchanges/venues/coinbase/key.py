"""A key of Coinbase's and how it is taken: a good one is refused now and then, a bad one always."""

import re
import threading
import time

from django.views.decorators.debug import sensitive_variables

from exchanges.errors import BadCredentials
from exchanges.rest.key import Credentials, Key

UUID = "-".join(f"[0-9a-fA-F]{{{size}}}" for size in (8, 4, 4, 4, 12))
# As docs.cdp.coinbase.com writes the name of a key; newer keys have a bare id.
SHAPE = re.compile(f"(organizations/{UUID}/apiKeys/)?{UUID}")
REFUSALS_BELIEVED = 3  # in a row, of a key that was taken before; of another the first one
REFUSED_SECONDS = 3600.0  # then it is tried again


class KeyState:
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


_STATES: dict[tuple[str, int], KeyState] = {}  # by host and key, as long as the process lives


@sensitive_variables()
def load_key(credentials: Credentials, host: str) -> Key:
    """Return the key for calls to `host`.

    Raises BadCredentials, which names the variable, where either part has not the form that
    Coinbase gives it: the key's name is sent in clear, so nothing else may go out in its place.
    """
    key, secret = credentials.variables
    if not SHAPE.fullmatch(credentials.key):
        raise BadCredentials(
            f"{key} holds no name of a Coinbase key, which is organizations/{{id}}/apiKeys/{{id}} "
            "or the id alone: nothing is signed"
        )
    # It brings cryptography, which no command is to load that has no key to sign with.
    from exchanges.venues.coinbase.signing import Signer

    try:
        signer = Signer(credentials.key, credentials.secret)
    except BadCredentials as error:
        raise BadCredentials(f"{secret}: {error}") from None
    state = _STATES.setdefault((host, hash(credentials)), KeyState())
    return Key(signer, credentials.variables, state)
