"""Say what of a REDIS_URL can't work, before redis-py stumbles over it with a traceback."""

from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from redis import ConnectionPool, RedisError

from exchanges.redis.address import ENCODE, OF_SENTINELS, BadAddress, Kind, parse_address
from livermore.database_url import may_be_shown

FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


def fault_of(url: str) -> tuple[str, str] | None:
    """Return what is wrong and what to do, None where nothing is; neither repeats a password."""
    base, _, query = url.partition("?")
    scheme = base.partition("://")[0]
    try:
        address = parse_address(url if "#" in url else base)
        options = parse_qsl(query)
        if address.kind is Kind.SENTINEL:
            options = [each for each in options if not each[0].startswith(OF_SENTINELS)]
        faults = (_fault_of_option(scheme, *each, query) for each in options)
        if fault := next(filter(None, faults), None):
            return fault
        parse_address(url)
    except BadAddress as error:
        return error.fault, error.remedy
    return None


def _fault_of_option(scheme: str, name: str, value: str, query: str) -> tuple[str, str] | None:
    named = f"the option {name}" if may_be_shown(name, query) else "an option"
    try:
        pool = ConnectionPool.from_url(f"{scheme.partition('+')[0]}:///?{urlencode({name: value})}")
        pool.make_connection()  # which connects nothing yet
    except TypeError:
        needed = scheme.replace("redis", "rediss", 1)
        more = f" Those with ssl_ need {needed}://." if name.startswith("ssl_") else ""
        text = f"REDIS_URL has {named}, which a {scheme}:// address does not have."
        return text, f"Correct its name, or take it out.{more} {ENCODE}"
    except (ValueError, RedisError):
        return f"REDIS_URL has {named} with a value that it can't have.", "Correct the value."
    if name in FILES and not Path(value).is_file():
        return f"REDIS_URL has {named}, and no file is there.", "Give the path of a file."
    return None
