"""How often a password may be tried: counted in Redis, for all web processes together.

An attempt is counted before the password is looked at, in one step with the question whether it
may be: so attempts at the same time don't pass the limit. Each counter ends by itself, whatever is
tried meanwhile. Who tries the passwords of somebody else from elsewhere keeps nobody out: that
fills the user's counter, and this doesn't count for addresses from which the user logged in lately.
"""

import hashlib
import logging
import unicodedata
from dataclasses import dataclass
from math import ceil

from django_redis import get_redis_connection
from redis import RedisError

from exchanges.redis.client import own_client
from exchanges.redis.scripts import load_script
from livermore.market import keys
from livermore.web.client_address import network_of

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 1.0
KNOWN_SECONDS = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Limit:
    """So many attempts in so many seconds from the first on."""

    attempts: int
    seconds: int


USER_AND_ADDRESS, ADDRESS, USER = Limit(5, 300), Limit(30, 300), Limit(100, 3600)

ENTER = load_script("livermore/web/limits/lua/enter.lua")
GIVE_BACK = load_script("livermore/web/limits/lua/give_back.lua")


class Attempts:
    """The attempts to log in as a user from an address.

    Where Redis is away nothing is counted and everybody is let try: who has to fix it must get in,
    and no client can take Redis away. The log says so each time.
    """

    def __init__(self, user: str, address: str):
        who = _hash(unicodedata.normalize("NFKC", user).casefold())
        where = _hash(network_of(address))
        self._pair = keys.login_attempts(f"{who}:{where}")
        self._address = keys.login_attempts(f"address:{where}")
        self._user = keys.login_attempts(f"user:{who}")
        self._known = keys.login_known(f"{who}:{where}")
        self._counted: list[str] = []  # the counters that hold this attempt

    def enter(self) -> int:
        """Count one; return 0, or for how many seconds there may be none."""
        counters = [self._pair, self._address, self._user]
        names = [*counters, self._known]
        limits = (USER_AND_ADDRESS, ADDRESS, USER)
        numbers = [number for each in limits for number in (each.attempts, each.seconds * 1000)]
        told = self._told(lambda redis: ENTER(redis, names, numbers))
        wait_ms, count = told or (0, 0)
        self._counted = counters[:count]
        return ceil(wait_ms / 1000)

    def succeeded(self) -> None:
        """Forget this user's failures from here; not those of others, nor those from elsewhere."""

        def tell(redis):
            redis.delete(self._pair)
            redis.set(self._known, 1, ex=KNOWN_SECONDS)
            self._take_back(redis, [each for each in self._counted if each != self._pair])

        self._told(tell)

    def give_back(self) -> None:
        """Take back one that came to nothing: nobody learned whether the password was right."""
        self._told(lambda redis: self._take_back(redis, self._counted))

    def _take_back(self, redis, counters):
        """Take this attempt out of counters that hold it: others' stay there."""
        GIVE_BACK(redis, counters)
        self._counted = []

    def _told(self, tell):
        try:
            with own_client(get_redis_connection("default"), TIMEOUT_SECONDS) as redis:
                return tell(redis)
        except RedisError as error:
            logger.warning("login.not_counted error=%s", error)
            return None


def _hash(text: str) -> str:
    """Return a name of one length for whatever somebody typed, which is nobody's to read here."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]
