"""An installation in a Redis: how its keys are named, and which exchanges it has."""

import threading
import time
from collections.abc import Mapping

from livermore_reader.address import Address
from livermore_reader.errors import BadRequest
from livermore_reader.sources.redis.client import Client, connect
from livermore_reader.sources.redis.exchanges import KnownExchange, read_exchanges
from livermore_reader.sources.redis.names import Names, find_names

SECONDS_KEPT = 30.0  # for which exchanges and their symbols are known; an unknown name asks again


class Installation:
    """Connects when it is first asked. Any thread may ask."""

    def __init__(self, address: Address, prefix: str | None = None):
        self.address = address
        self._prefix = prefix
        self._client: Client | None = None
        self._names: Names | None = None
        self._exchanges: Mapping[str, KnownExchange] = {}
        self._read_at = float("-inf")
        self._lock = threading.RLock()

    @property
    def client(self) -> Client:
        """The client of all that is asked here. Raises RedisError."""
        with self._lock:
            if self._client is None:
                self._client = connect(self.address)
            return self._client

    @property
    def names(self) -> Names:
        """How keys are named. Raises BadRequest, RedisError."""
        with self._lock:
            if self._names is None:
                self._names = find_names(self.client, self._prefix)
            return self._names

    def exchanges(self) -> Mapping[str, KnownExchange]:
        """Return all exchanges by name, as they are now. Raises RedisError."""
        with self._lock:
            self._exchanges = read_exchanges(self.client, self.names)
            self._read_at = time.monotonic()
            if not self._exchanges:
                self._names = None  # nothing may have been told yet
            return self._exchanges

    def exchange(self, name: str, symbol: str = "") -> KnownExchange:
        """Return an exchange by name; for a symbol that it isn't known to keep it is read anew.

        Raises BadRequest, RedisError.
        """
        known = self._exchanges
        is_new = name not in known or (symbol and known[name].canonical(symbol) is None)
        if is_new or time.monotonic() - self._read_at > SECONDS_KEPT:
            known = self.exchanges()
        if not known:
            raise BadRequest(
                f"no exchange is known in the Redis at {self.address.text}: no Livermore runs "
                "there, an older one, or it is another database or prefix"
            )
        if name not in known:
            raise BadRequest(
                f"there is no exchange {str(name)[:50]!r}; known: {', '.join(sorted(known))}"
            )
        return known[name]

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
