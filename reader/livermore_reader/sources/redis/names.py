"""How an installation names its keys: what stands before them, and whether numbers have braces."""

import json
from dataclasses import dataclass
from typing import Any

from redis.exceptions import NoPermissionError, ResponseError

from livermore_reader.errors import BadRequest
from livermore_reader.sources.redis.client import Client

INSTALLATION = "installation"
AT_ONCE = 100_000


@dataclass(frozen=True, slots=True)
class Names:
    """Names keys as an installation does."""

    prefix: str = ""
    tagged: bool = False

    def number(self, exchange: int) -> str:
        return f"{{{exchange}}}" if self.tagged else str(exchange)

    def exchanges(self) -> str:
        return f"{self.prefix}exchanges"

    def candles(self, exchange: int, symbol: str, timeframe: str) -> str:
        return f"{self.prefix}candles:{self.number(exchange)}:{symbol}:{timeframe}"

    def live_candle(self, exchange: int, symbol: str, timeframe: str) -> str:
        return f"{self.prefix}candle:live:{self.number(exchange)}:{symbol}:{timeframe}"

    def coverage(self, exchange: int, symbol: str, timeframe: str) -> str:
        return f"{self.prefix}coverage:{self.number(exchange)}:{symbol}:{timeframe}"

    def indicator(self, exchange: int, symbol: str, timeframe: str) -> str:
        return f"{self.prefix}indicator:{self.number(exchange)}:{symbol}:{timeframe}:macd-v"

    def ticker(self, exchange: int, symbol: str) -> str:
        return f"{self.prefix}ticker:{self.number(exchange)}:{symbol}"

    def of_exchange(self, exchange: int, what: str) -> str:
        """Name what an exchange has once: `status`, `events`, `unconfirmed`."""
        return f"{self.prefix}exchange:{self.number(exchange)}:{what}"


def find_names(client: Client, prefix: str | None) -> Names:
    """Return how the installation in a Redis names its keys. Raises BadRequest, RedisError.

    `prefix` None is to be found: the one that stands before nothing, or the only one there is.
    """
    if found := _at(client, prefix or ""):
        return found
    if prefix is not None:
        return Names(prefix)
    seen = [_text(each) for each in client.scan_iter(match=f"*{INSTALLATION}", count=AT_ONCE)]
    others = [_at(client, each.removesuffix(INSTALLATION)) for each in sorted(set(seen))]
    known = [each for each in others if each]
    if len(known) > 1:
        raise BadRequest(
            "several installations are in that Redis: say which one by its prefix, "
            + " or ".join(f"prefix={each.prefix!r}" for each in known)
        )
    return known[0] if known else Names()


def _at(client: Client, prefix: str) -> Names | None:
    """Return the names with a prefix, None where no installation says that it has it."""
    try:
        stored = client.hgetall(prefix + INSTALLATION)
    except (NoPermissionError, ResponseError):  # another's, or not for us to see
        return None
    told = [each for each in map(_read, stored.values()) if each]
    if not told:
        return None
    newest = max(told, key=lambda each: each["seenAt"])
    return Names(prefix, bool(newest.get("tags")))


def _read(text: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
        return found if isinstance(found["seenAt"], int | float) else None
    except (ValueError, LookupError, TypeError):
        return None


def _text(name: bytes | str) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name
