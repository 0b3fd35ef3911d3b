"""What an error means, and what to do about it in a line that names this exchange."""

from django.db import Error as DatabaseError
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from exchanges.errors import (
    BadCredentials,
    BadPayload,
    Banned,
    Blocked,
    Excessive,
    KeptWaiting,
    LivermoreError,
    Misconfigured,
    Misled,
    ProxyFailed,
    RateLimited,
    TurnedAway,
    UnknownSymbol,
    Unreachable,
    clip,
)
from exchanges.lock.acquire import Held
from exchanges.models import Exchange
from exchanges.redis.unreadable import Unreadable
from warmup.harness.facts import Facts
from warmup.harness.report import Failed
from warmup.harness.steps import stored

ALL_NEEDS = ("redis", "row", "rest", "stream", "listing", "symbol")


def remedy_for(error: LivermoreError, exchange: Exchange) -> str:
    """Return the line for what went wrong on the way."""
    name = exchange.name
    match error:
        case Banned():
            return "end what else calls it from this address, and run this after that time"
        case RateLimited():
            return "end what else calls it from this address, wait a minute, run this again"
        case KeptWaiting():
            return "let what else of ours calls it end (a warmup, a repair), and run this again"
        case TurnedAway():
            return "leave it alone for some minutes and run this again; end what else calls it here"
        case Held():
            return f"let it end and run this again, or `./run start {name} --take-over`"
        case Misled() | Misconfigured() | ProxyFailed() | Unreadable():
            return error.remedy
        case Blocked():
            return "run it on a machine in a place that the exchange serves"
        case BadCredentials():
            return "correct the variables that the account names, or clear the names"
        case UnknownSymbol():
            return f"`./run symbols {name} --sync`, or another with --symbol"
        case BadPayload() | Excessive():
            return (
                f"compare {exchange.rest_url} with the exchange's documents: it is another's "
                "address, or the format has changed"
            )
        case Unreachable():
            return (
                f"try `curl -i {exchange.rest_url}`: correct the row's REST address, or the "
                "network between here and there"
            )
    return "run this again; if it stays so, LIVERMORE_LOG_LEVEL=DEBUG shows more"


def redis_failure(error: RedisError, facts: Facts) -> Failed:
    """Return what Redis refused: all of it where it is gone or takes nothing, else one key."""
    text = f"Redis does not work: {clip(str(error))}"
    match error:
        case OutOfMemoryError():
            return Failed(text, "it is full: give it more memory (maxmemory)", ALL_NEEDS)
        case ReadOnlyError():
            return Failed(
                text,
                "it is a replica: name its master in REDIS_URL, or the Sentinels that know it",
                ALL_NEEDS,
            )
        case AuthenticationError() | NoPermissionError():
            remedy = "correct the user and password of REDIS_URL, and what that user may do"
            return Failed(text, remedy, ALL_NEEDS)
        case ResponseError() if str(error).startswith(("MISCONF", "NOREPLICAS", "LOADING")):
            return Failed(text, "see the log of Redis, then run this again", ALL_NEEDS)
        case ResponseError():
            return _foreign_key(error, facts)
    return Failed(text, "start Redis or correct REDIS_URL, then run this again", ALL_NEEDS)


def _foreign_key(error: ResponseError, facts: Facts) -> Failed:
    """Return which key something else has written: Redis itself doesn't say."""
    symbol = facts.market.symbol if facts.market else None
    found = stored.misfits(facts.redis, facts.exchange, symbol)
    text = "; ".join(found) or f"Redis refused a script of ours: {clip(str(error))}"
    return Failed(text, "no Livermore wrote that: find out who did, and delete it")


def database_failure(error: DatabaseError) -> Failed:
    """Return what the database said; nothing is known of the row then."""
    return Failed(
        f"the database does not work: {clip(str(error)) or type(error).__name__}",
        "start it or correct DATABASE_URL, and `./run migrate`, then run this again",
        ["row"],
    )


def own_failure(error: Exception) -> Failed:
    """Return that we were wrong; the error's text is left out, as nobody knows what is in it."""
    return Failed(
        f"a fault of Livermore's own: {type(error).__name__}",
        "report it with what LIVERMORE_LOG_LEVEL=DEBUG shows of it",
    )
