"""What to do about an error, in a line that names this exchange."""

from exchanges.errors import (
    BadCredentials,
    BadPayload,
    Banned,
    Blocked,
    LivermoreError,
    Misled,
    RateLimited,
    UnknownSymbol,
    Unreachable,
)
from exchanges.instances import Held
from exchanges.models import Exchange


def remedy_for(error: LivermoreError, exchange: Exchange) -> str:
    """Return the line for what went wrong on the way."""
    name = exchange.name
    match error:
        case Banned():
            return "end what else calls it from this address, and run this after that time"
        case RateLimited():
            return "end what else calls it from this address, wait a minute, run this again"
        case Held():
            return f"let it end and run this again, or `./run start {name} --take-over`"
        case Misled():
            return "check this machine's name server, and /etc/hosts"
        case Blocked():
            return "run it on a machine in a place that the exchange serves"
        case BadCredentials():
            return "correct the variables that the account names, or clear the names"
        case UnknownSymbol():
            return f"`./run symbols {name} --sync`, or another with --symbol"
        case BadPayload():
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
